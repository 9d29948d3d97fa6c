"""How a training run starts, from the flags to the first step.

In this order:

1. `merge_config`: the flags given, on top of the config of the workdir.
2. `set_up`: device, precision, seeds and workers of this process.
3. `resolve`: what the config leaves open, from the data and `--init_from`.
4. `create_run` (`training.run`): all objects, the network with random weights.
5. `initialise`, on rank 0, by the first of these that applies: the newest
   checkpoint of the workdir (weights, optimizer, position); `--init_from`: all
   weights of a workdir, checkpoint or Keras file; `--encoder_weights`: the
   encoder from VGG16, the rest at random; random weights.
6. All workers get rank 0's variables, and `training.trainer` goes on from
   there; in an elastic run also each time the workers change.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import shlex
from collections.abc import Callable, Container, Iterator
from typing import Any

import tensorflow as tf

from segnet import models, signals
from segnet.config import Config, config_file, validate
from segnet.config.validate import CHANGEABLE_ON_RESUME
from segnet.config.workdir import checkpoint_dir, config_path
from segnet.data import dispatcher, plausibility, sources
from segnet.errors import ConfigError, RunError
from segnet.installation import named_as_here
from segnet.locks import Lock
from segnet.progress import say
from segnet.runtime import device, distributed, elastic
from segnet.training import checkpoint, initial_weights
from segnet.training.loggers import check_logger
from segnet.training.metric_writer import step_known_saved
from segnet.training.run import Run, create_run
from segnet.training.trainer import Trainer

__all__ = [
    "TrainResult",
    "initialise",
    "merge_config",
    "resolve",
    "set_up",
    "train_and_evaluate",
]

# Said at once when a signal comes.
_STOPPING = "finishing this step, then saving; once more leaves at once"
# How long the new rank 0 of an elastic run waits for the lock.
_PASS_ON_SECONDS = 60.0


@dataclasses.dataclass(frozen=True)
class TrainResult:
    """How a run ended.

    Attributes:
      model: The network with its last weights.
      step: Steps done.
      best_score: Best `best_metric` on the evaluation split; -1 if never
        scored.
      best_metric: Its name, for example `val_mean_iou`.
      best_step: Step of that score.
      stopped_early: Whether `--early_stopping_epochs` ended it.
    """

    model: tf.keras.Model
    step: int
    best_score: float
    best_metric: str
    best_step: int
    stopped_early: bool


def merge_config(
    config: Config,
    given: dict[str, Any],
    tell: Callable[[str], None] = lambda line: None,
) -> Config:
    """The config to train by: that of the workdir, if it holds a run.

    Args:
      config: All flags, defaults filled in.
      given: The flags that the user gave, by name.
      tell: Called with a line on what a resumed run takes from its workdir.

    Raises:
      ConfigError: Flags contradict the workdir or cannot be used.
      DataError: The workdir cannot be read.
      RunError: It had checkpoints, which are not there.
    """
    # A run that ended before its first checkpoint left nothing to resume: a
    # whole command starts anew.
    resumes = checkpoint.has_checkpoint(config.workdir)
    if not resumes:
        _refuse_lost(config.workdir)
    saved = None
    if resumes or not config.data_dir:
        saved = config_file.load_config(config.workdir)
    if resumes and saved is None:
        tell(
            f"{config.workdir} has checkpoints but no config.json: it is "
            "resumed with the flags given now"
        )
    if saved is not None:
        config = config_file.merge(
            saved,
            given,
            workdir=config.workdir,
            changeable=CHANGEABLE_ON_RESUME,
        )
        if resumes:
            taken = shlex.join(config_file.taken_flags(config, given))
            what = taken or "all flags are as given now"
            tell(f"from {config_path(config.workdir)}: {what}")
    validate(config)
    check_logger(config)
    if not config.data_dir:
        raise ConfigError(
            "--data_dir is missing: the folder of the shards that "
            f"{named_as_here('tools/convert_to_tfrecord.py')} wrote"
        )
    return config


def _refuse_lost(workdir: str) -> None:
    """Refuses to begin anew where checkpoints were that are not found.

    Raises:
      ConfigError: The workdir's config cannot be read.
      RunError: Its metrics say that it had some.
    """
    saved = config_file.load_config(workdir)
    every = saved.checkpoint_every_steps if saved else None
    step = step_known_saved(workdir, every)
    if step:
        raise RunError(
            f"{workdir}: a run came to step {step} here (metrics.jsonl), but "
            f"{checkpoint_dir(workdir)} has no checkpoint of it; put its files "
            "ckpt-*.index and ckpt-*.data-* back, or use another --workdir to "
            "begin anew"
        )


def set_up(config: Config) -> device.Runtime:
    """Device, precision, seeds and workers of this process.

    Raises:
      ConfigError: Device, precision or launcher cannot be used.
    """
    launch = distributed.launched()
    runtime = device.setup_runtime(
        config.device,
        config.precision,
        seed=config.seed,
        deterministic=config.deterministic,
        local_rank=launch.local_rank,
        local_size=launch.local_size,
    )
    distributed.init(
        # Each layer of synchronised batch norm waits for a reduction.
        long_cycle=runtime.device == "cpu" and not config.sync_batch_norm
    )
    return runtime


def resolve(config: Config, class_names: tuple[str, ...]) -> Config:
    """The config with what it leaves open decided, as config.json keeps it.

    Args:
      config: Of the run.
      class_names: Of the training split.

    Returns:
      The config with class names, with the weight decay, and with batch norm
      in the encoder as in the run that `--init_from` names, where nothing else
      is said.

    Raises:
      ConfigError: That run is of another network.
    """
    batch_norm = config.uses_encoder_batch_norm
    if config.init_from and not config.class_names:  # It is a new run.
        source = initial_weights.source_config(config.init_from)
        if source is not None:
            initial_weights.check_source(config, source, class_names)
            batch_norm = source.uses_encoder_batch_norm
    return dataclasses.replace(
        config,
        class_names=class_names,
        batch_norm_in_encoder=batch_norm,
        weight_decay=config.effective_weight_decay,
    )


def initialise(run: Run, warn: Callable[[str], None]) -> str:
    """Gives the variables of a run their start; see the module.

    Args:
      run: With random weights.
      warn: Called with one line for each damaged checkpoint passed over.

    Returns:
      What was done, for people to read.

    Raises:
      ConfigError: A file to start from is not there.
      DataError: It cannot be read, or is of another network.
    """
    restored = run.open_checkpoints().restore_newest(warn)
    if restored:
        return f"resumed from {restored}"
    config = run.config
    if config.init_from:
        return initial_weights.load_weights(config.init_from, run.model)
    if config.encoder_weights:
        models.load_vgg16_weights(run.model, config.encoder_weights)
        return f"encoder weights from {config.encoder_weights}"
    return "random weights"


def _pass_on(lock: Lock) -> None:
    """Has rank 0, and no other, hold the lock of an elastic run."""
    if distributed.is_chief():
        # The one before may still be on its way out.
        lock.acquire(_PASS_ON_SECONDS)
    else:
        lock.release()


@contextlib.contextmanager
def _quick_collection() -> Iterator[None]:
    """Has Python's garbage collection pass over all objects there are now.

    TensorFlow's are 300,000, and looking at them takes 0.1 s. See
    `Trainer._evaluate`.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def train_and_evaluate(
    config: Config,
    runtime: device.Runtime,
    *,
    after_step: Callable[[int], None] = lambda step: None,
    lock: Lock | None = None,
    typed: Container[str] = (),
) -> TrainResult:
    """Trains until the end of the run, from where its workdir stands.

    Args:
      config: As `merge_config` gives it.
      runtime: As `set_up` gives it.
      after_step: Called after each step, its log line, evaluation and
        checkpoint included, with the number of steps done; before the last
        evaluation of the run.
      lock: Of the workdir; in an elastic run it goes with the role of rank 0.
      typed: Flags given on the command line itself; see `plausibility.tell`.

    Returns:
      How the run ended.

    Raises:
      ConfigError: If the config does not suit the data.
      DataError: If records or weights cannot be read.
      RunError: If the loss is not finite, a checkpoint cannot be written or
        the data service does not answer.
      trainer.Stopped: After a signal, when everything is saved.
    """
    if config.data_service:
        tell = say if distributed.is_chief() else (lambda line: None)
        dispatcher.wait_for(config.data_service, "--data_service", tell)
        tell(
            "training images are decoded by the data service at "
            f"{config.data_service}, those of the evaluation here"
        )
    splits = sources.read_splits(
        config.data_dir,
        config.train_split,
        config.eval_split,
        whole=config.shard_placement == "all",
    )
    if config.class_names:  # Those of the run that is resumed.
        sources.check_classes(splits.train, config.class_names, config.data_dir)
        typed = ()  # Its batches are settled.
    config = resolve(config, splits.train.class_names)
    plausibility.tell(
        config,
        splits,
        num_workers=distributed.size(),
        typed=typed,
        enabled=distributed.is_chief(),
    )
    began_with = config.images_digest or plausibility.images_digest(
        splits.train
    )
    config = dataclasses.replace(
        config, images_digest=began_with, bit_depth=splits.train.bit_depth
    )
    run = create_run(config, runtime, splits)

    def begin() -> None:
        with tf.device(runtime.device_name):
            how = initialise(run, say)
        millions = run.model.count_params() / 1e6
        say(f"{config.architecture}, {millions:.2f} M weights, {how}")

    stopping = _STOPPING if distributed.is_chief() else ""
    with _quick_collection(), signals.StopVotes(stopping) as stop:

        def train(commit: Callable[[], None]) -> bool:
            if lock and config.elastic:
                _pass_on(lock)
            trainer = Trainer(run, stop, commit=commit, after_step=after_step)
            return trainer.train()

        if config.elastic:
            stopped_early = elastic.run_elastic(train, run.variables, begin)
        else:
            if distributed.is_chief():
                begin()
            distributed.broadcast_variables(run.variables)
            stopped_early = train(lambda: None)
    return TrainResult(
        model=run.model,
        step=run.step,
        best_score=float(run.state.best_score.numpy()),
        best_metric=config.best_metric,
        best_step=int(run.state.best_step.numpy()),
        stopped_early=stopped_early,
    )
