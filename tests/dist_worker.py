"""Run by the distributed tests in each process: trains, then saves weights.

horovodrun -np 2 python tests/dist_worker.py OUTPUT_FOLDER [flags of main.py]
writes OUTPUT_FOLDER/rank-N.npz.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from segnet import commands, distributed, flags, runtime, train


def work(output: str, argv: list[str]) -> None:
    """Trains by the flags in argv and saves this rank's weights."""
    command = flags.parse_command(["dist_worker.py", *argv])
    flags.check_command(command)
    runtime.prepare_environment(command.config.device)
    device = commands.setup(command.config)
    result = train.train_and_evaluate(command.config, device)
    np.savez(
        Path(output) / f"rank-{distributed.rank()}.npz",
        *result.model.get_weights(),
    )


if __name__ == "__main__":
    work(sys.argv[1], sys.argv[2:])
