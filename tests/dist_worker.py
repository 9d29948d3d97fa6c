"""Training runs of the distributed tests, one after the other in a process.

horovodrun -np 2 python tests/dist_worker.py FOLDER '{"NAME": [FLAGS], ...}'
trains each run with the workdir FOLDER/NAME and writes its weights to
FOLDER/NAME-RANK.npz. Several runs in one process, since a start takes longer
than a tiny run.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import tensorflow as tf

from segnet.config import flags
from segnet.runtime import distributed
from segnet.runtime.device import prepare_environment
from segnet.training import start


def smooth_network() -> None:
    """Makes the networks built from now on smooth functions.

    ReLU and max pooling have kinks: a rounding error can send a gradient
    another way, and the next steps blow that up. Without kinks, what two runs
    differ by stays at the size of rounding, unless one of them is wrong.
    """
    tf.keras.layers.ReLU = lambda name: tf.keras.layers.Activation(
        "softplus", name=name
    )
    tf.keras.layers.MaxPooling2D = tf.keras.layers.AveragePooling2D


def work(folder: Path, name: str, arguments: list[str]) -> None:
    """Trains by the flags given and saves this rank's weights.

    `{rank}` in a flag is the number of the worker: hosts with other files.
    """
    rank = os.environ.get("HOROVOD_RANK", "0")
    arguments = [flag.replace("{rank}", rank) for flag in arguments]
    command = flags.parse_command(
        ["dist_worker.py", f"--workdir={folder / name}", *arguments]
    )
    flags.check_command(command)
    prepare_environment(command.config.device)
    device = start.set_up(command.config)
    result = start.train_and_evaluate(command.config, device)
    np.savez(
        folder / f"{name}-{distributed.rank()}.npz",
        *result.model.get_weights(),
    )


if __name__ == "__main__":
    for run, its_flags in json.loads(sys.argv[2]).items():
        if run.startswith("smooth"):
            smooth_network()
        work(Path(sys.argv[1]), run, its_flags)
