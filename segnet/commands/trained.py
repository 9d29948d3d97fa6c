"""Opening a workdir to use what was trained in it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from segnet.config import Config, config_file
from segnet.config.flags import Command
from segnet.config.validate import CHANGEABLE_AFTER_TRAINING
from segnet.constants import MC_SAMPLES
from segnet.errors import ConfigError
from segnet.evaluation.inference import Predictor
from segnet.runtime.device import Runtime
from segnet.training import checkpoint, start
from segnet.training.run import create_network

__all__ = ["TrainedRun", "load_trained"]


@dataclasses.dataclass(frozen=True)
class TrainedRun:
    """What a mode needs to use a trained network.

    Attributes:
      config: Of the run, with the flags given now.
      runtime: Where and how to compute.
      checkpoint: Path of the weights in use.
      predictor: The network.
    """

    config: Config
    runtime: Runtime
    checkpoint: str
    predictor: Predictor

    @property
    def weights(self) -> str:
        """The checkpoint in use and, where its name says it, its step."""
        step = self.checkpoint.rpartition("-")[2]
        after = f", step {step}" if step.isdecimal() else ""
        return f"{self.checkpoint}{after}"


def load_trained(
    command: Command, seen: Callable[[Config], Config] = lambda config: config
) -> TrainedRun:
    """Loads the network of a workdir.

    Args:
      command: What the user asked for.
      seen: Gives the config for the network as it is to be used, with another
        input size for example, from that of the run.

    Raises:
      ConfigError: The workdir holds no run, or flags contradict it.
      DataError: Its checkpoint cannot be read.
    """
    workdir = command.config.workdir
    saved = config_file.load_config(workdir)
    if saved is None:
        raise ConfigError(f"--workdir={workdir} {_without_config(workdir)}")
    config = config_file.merge(
        saved,
        command.given,
        workdir=workdir,
        changeable=CHANGEABLE_AFTER_TRAINING,
    )
    samples = _mc_samples(command, config)
    runtime = start.set_up(config)
    # An answer at once where there is none.
    checkpoint.saved_checkpoint(workdir, command.checkpoint)
    with tf.device(runtime.device_name):
        network = create_network(config)
        path = checkpoint.load_saved(network, workdir, command.checkpoint)
    predictor = Predictor(
        seen(config), runtime, tta=command.tta, mc_samples=samples
    )
    predictor.load(network)
    return TrainedRun(config, runtime, path, predictor)


def _mc_samples(command: Command, config: Config) -> int:
    """How many dropout samples are taken.

    Raises:
      ConfigError: The run has no dropout.
    """
    if command.mc_samples is None:
        asked = command.mode == "predict" and command.uncertainty
        return MC_SAMPLES if asked and config.dropout else 0
    if command.mc_samples and not config.dropout:
        raise ConfigError(
            f"--mc_samples={command.mc_samples}: the run in --workdir="
            f"{config.workdir} was trained without dropout, so there is "
            "nothing to sample; leave it out, or train with --dropout=0.3"
        )
    return command.mc_samples


def _without_config(workdir: str) -> str:
    """What is wrong with a workdir that has no config.json, and what to do."""
    if checkpoint.has_checkpoint(workdir):
        return (
            "has checkpoints but no config.json, which says what network they "
            "are of; put it back, or give the flags of its training again "
            "with --mode=train, which writes it"
        )
    return (
        "has no config.json; train first, or give the workdir of a training run"
    )
