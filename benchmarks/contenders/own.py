"""Training, input, evaluation and prediction of `segnet`.

The only module of the benchmarks that builds what a run consists of. A config
here is that of a run: it names its classes, device and precision.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator

import tensorflow as tf

from benchmarks.harness.timing import Work
from segnet.config import Config, schedule
from segnet.data import datasets, sources
from segnet.evaluation import inputs, predict
from segnet.evaluation.evaluate import Evaluation
from segnet.evaluation.inference import Predictor
from segnet.records.splits import read_manifest
from segnet.runtime import distributed
from segnet.runtime.device import prepare_xla
from segnet.training import losses, optim, stages, steps
from segnet.training.run import create_network, create_run
from segnet.training.start import resolve, set_up

__all__ = [
    "all_reduction", "evaluation", "forward_pass", "input_pipeline",
    "prediction", "recipe", "saving", "training",
]  # fmt: skip

# uint8 `[batch, height, width, 3]` and int32 `[batch, height, width]`.
Batch = tuple[tf.Tensor, tf.Tensor]

# More epochs than a benchmark can take.
_MANY_EPOCHS = 10**6


def _create_learner(
    config: Config,
) -> tuple[tf.keras.Model, tf.keras.optimizers.Optimizer]:
    """A network and an optimizer that is built for its weights."""
    set_up(config)
    model = create_network(config)
    optimizer = optim.create_optimizer(
        config.optimizer,
        momentum=config.momentum,
        weight_decay=config.effective_weight_decay,
        loss_scaling=False,
    )
    optimizer.build(model.trainable_variables)
    return model, optimizer


def _create_train_step(
    config: Config, compile_loss: bool
) -> Callable[[Batch], None]:
    """The trainer's step on one batch; it returns when the step is done."""
    model, optimizer = _create_learner(config)
    train_step = steps.create_train_step(
        model,
        losses.create_loss_fn(config.loss, len(config.class_names)),
        optim.Updater(optimizer, model.trainable_variables),
        steps.Totals(),
        device_name="/device:CPU:0",
        reduce_sum=distributed.allreduce_sum,
        reduce_gradients=distributed.allreduce_gradients,
        compile_loss=compile_loss,
    )
    prepare_xla()
    rate, votes = tf.constant(config.learning_rate), tf.zeros([2])
    return lambda batch: train_step(*batch, rate, votes).numpy()


def _create_batches(config: Config) -> Callable[[], Iterator[Batch]]:
    """Starts of the trainer's input, each an endless iterator.

    Each begins with an empty pipeline, whose first batch has been taken: one
    that waited between two rounds would have batches ready. Without a
    `data_dir` one random batch is there again and again.
    """
    if not config.data_dir:
        batch = _create_random_batch(config)
        return lambda: itertools.repeat(batch)
    dataset = _open_training_data(config)

    def start() -> Iterator[Batch]:
        batches = iter(dataset)
        next(batches)
        return batches

    return start


def _create_random_batch(config: Config) -> Batch:
    """Images and labels of the size and the classes of a run."""
    size = (config.batch_size, config.input_height, config.input_width)
    images = tf.random.uniform((*size, 3), maxval=256, dtype=tf.int32)
    num_classes = len(config.class_names)
    labels = tf.random.uniform(size, maxval=num_classes, dtype=tf.int32)
    return tf.cast(images, tf.uint8), labels


def _open_training_data(config: Config) -> tf.data.Dataset:
    """The first stage of a run that hardly ends."""
    config = dataclasses.replace(config, epochs=_MANY_EPOCHS)
    manifest = read_manifest(config.data_dir, config.train_split)
    plan = schedule.create_schedule(config, manifest.num_records, 1)
    source = sources.RecordSource(
        manifest,
        config.data_dir,
        cache=config.cache == "memory",
        smallest=schedule.largest_input(config),
    )
    return datasets.create_train_dataset(
        source,
        plan.stages[0],
        start_step=0,
        end_step=plan.num_steps,
        augment=config.augment,
        seed=config.seed,
        shard_index=0,
        shard_count=1,
    )


def training(*, config: Config, steps: int, compile_loss: bool = True) -> Work:
    """Training steps, `steps` a round; on one batch without a `data_dir`."""
    train_step = _create_train_step(config, compile_loss)

    def run(batches: Iterator[Batch]) -> int:
        for _ in range(steps):
            train_step(next(batches))
        return steps * config.batch_size

    return Work(run, _create_batches(config))


def recipe(*, config: Config, stage: int, steps: int) -> Work:
    """Steps of a stage of a run as the trainer makes them, `steps` a round."""
    runtime = set_up(config)
    splits = sources.read_splits(
        config.data_dir, config.train_split, config.eval_split
    )
    config = resolve(config, splits.train.class_names)
    run = create_run(config, runtime, splits)
    now = stages.plan(run, 1).stages[stage]
    train_step = stages.create_train_step(
        run, freeze_encoder=now.freeze_encoder
    )
    rate, votes = tf.constant(config.learning_rate), tf.zeros([2])

    def start() -> Iterator[Batch]:
        batches = stages.training_batches(
            run,
            now,
            start_step=now.first_step,
            end_step=now.end_step,
            augment=config.augment,
            lost=lambda error: None,  # Of a data service, which none uses.
        )
        next(batches)
        return batches

    def train(batches: Iterator[Batch]) -> int:
        for _ in range(steps):
            votes_of_all = train_step(*next(batches), rate, votes)
        votes_of_all.numpy()
        return steps * now.batch_size

    return Work(train, start)


def all_reduction(*, config: Config) -> Work:
    """One sum of the gradients over all workers a round.

    As the config says compressed; items are their own bytes, 4 a weight.
    """
    set_up(config)
    variables = create_network(config).trainable_variables
    gradients = [tf.zeros_like(variable) for variable in variables]
    num_bytes = sum(4 * each.shape.num_elements() for each in gradients)
    reduce = tf.function(distributed.allreduce_gradients, autograph=False)
    compression = config.allreduce_compression

    def run(prepared: None) -> int:
        reduce(gradients, compression)[0].numpy()
        return num_bytes

    return Work(run)


def saving(*, config: Config) -> Work:
    """A checkpoint of network and optimizer, written to a disk, a round."""
    model, optimizer = _create_learner(config)
    saved = tf.train.Checkpoint(model=model, optimizer=optimizer)

    def run(prepared: None) -> int:
        with tempfile.TemporaryDirectory(prefix="bench-save-") as folder:
            saved.write(os.path.join(folder, "checkpoint"))
            return sum(entry.stat().st_size for entry in os.scandir(folder))

    return Work(run)


def input_pipeline(*, config: Config, batches: int) -> Work:
    """The trainer's input with nothing behind it, `batches` a round."""

    def run(iterator: Iterator[Batch]) -> int:
        return sum(len(next(iterator)[0]) for _ in range(batches))

    return Work(run, _create_batches(config))


def forward_pass(*, config: Config, batches: int) -> Work:
    """Forward passes of one random batch, `batches` a round."""
    predictor = Predictor(config, set_up(config))
    images, _ = _create_random_batch(config)

    def run(prepared: None) -> int:
        for _ in range(batches):
            logits = predictor(images)
        logits.numpy()
        return batches * config.batch_size

    return Work(run)


def evaluation(*, config: Config) -> Work:
    """Scores of the whole evaluation split, without boundary F1."""
    score = Evaluation(
        Predictor(config, set_up(config)),
        read_manifest(config.data_dir, config.eval_split),
        config,
    )
    return Work(lambda _: score()["images"])


def prediction(*, config: Config, images_dir: str) -> Work:
    """Labels and overlays of a folder of images, as PNG files."""
    predictor = Predictor(config, set_up(config))
    found = inputs.find_inputs(images_dir).sources

    def run(prepared: None) -> int:
        folder = tempfile.mkdtemp(prefix="bench-predict-")
        outcome = predict.predict(predictor, found, folder, config, pad=False)
        shutil.rmtree(folder)
        if outcome.problems:
            raise RuntimeError(outcome.problems[0])
        return len(found)

    return Work(run)
