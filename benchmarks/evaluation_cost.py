"""What the details of an evaluation cost: calibration, entropy, intervals.

python -m benchmarks.evaluation_cost --workdir=RUN [--rounds=5]

Scores the evaluation split of a run in turn with all that `--mode=evaluate`
gives, and with confusion matrix and boundary F1 alone. Prints the seconds of
each, and their ratio: of the time that passed, and of the computing, which
other work on the machine changes less.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.harness.report import describe_machine

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Runs the comparison; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args(argv)

    # TensorFlow after the arguments are known to be good.
    from segnet.commands.trained import load_trained
    from segnet.config.flags import parse_command
    from segnet.evaluation import boundary, inference, metrics
    from segnet.evaluation.evaluate import Evaluation
    from segnet.records.splits import read_manifest

    command = ["main.py", "evaluate", f"--workdir={given.workdir}"]
    trained = load_trained(parse_command(command))
    config = trained.config
    manifest = read_manifest(config.data_dir, config.eval_split)
    evaluation = Evaluation(trained.predictor, manifest, config)

    def score(index: int, logits: Any, truth: np.ndarray, number: int) -> Any:
        labels = inference.labels_at(logits, *truth.shape)
        return (
            metrics.confusion_matrix(truth, labels, number),
            boundary.boundary_f1_scores(truth, labels, number),
        )

    def plain() -> None:
        for _ in evaluation._scored(score, False, iter):
            pass

    ways = {"all of it": evaluation.detailed, "without details": plain}
    for way in ways.values():  # Traces, and fills the caches of the disk.
        way()
    rounds = [
        {name: _measured(way) for name, way in ways.items()}
        for _ in range(given.rounds)
    ]
    print(f"{describe_machine()}: {manifest.num_records} images")
    for name in ways:
        passed, computed = zip(*(found[name] for found in rounds), strict=True)
        print(
            f"{name}: {statistics.median(passed):.2f} s, "
            f"{statistics.median(computed):.2f} s of computing"
        )
    for kind, what in enumerate(("time", "computing")):
        ratios = [
            found["all of it"][kind] / found["without details"][kind]
            for found in rounds
        ]
        print(
            f"ratio of {what}: {statistics.median(ratios):.3f} "
            f"({min(ratios):.3f} to {max(ratios):.3f})"
        )
    return 0


def _measured(way: Callable[[], object]) -> tuple[float, float]:
    """Seconds that pass, and of computing."""
    start, before = time.perf_counter(), time.process_time()
    way()
    return time.perf_counter() - start, time.process_time() - before


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
