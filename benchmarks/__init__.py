"""Measurements behind the figures of the documentation.

| command | figures in |
|---|---|
| `make bench`: `python -m benchmarks.run` | docs/performance.md |
| `python -m benchmarks.scaling` | docs/scaling.md |
| `python -m benchmarks.slow_link` (root) | docs/scaling.md |
| `python -m benchmarks.compare_recipes` | docs/camvid.md; README, results |
| `python -m benchmarks.kill_and_resume` | README, results |
| `python -m benchmarks.evaluation_cost` | docs/evaluation.md |

`comparisons` is the table of what `run` measures. `contenders` are the things
that are measured; `contenders.own` is the one module that builds the network,
the steps and the datasets of `segnet`. `harness` measures, describes the
machine, makes the data and prints tables. `segnet` imports nothing from here.
"""

from __future__ import annotations

from segnet.environment import prepare_tensorflow

# Before anything imports TensorFlow: the tables are the output.
prepare_tensorflow()
