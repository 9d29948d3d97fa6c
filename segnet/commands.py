"""The modes of `main.py`: each reads its config, sets up and makes one call."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import Any

from segnet import config as config_lib
from segnet.config import CHANGEABLE_ON_RESUME, Config, config_file
from segnet.config.flags import Command
from segnet.errors import ConfigError, RunError
from segnet.runtime.device import Runtime, prepare_environment, setup_runtime

__all__ = ["run", "setup"]

# What evaluate and predict may change: where the data lies and how to
# compute, not what was trained.
_CHANGEABLE_LATER = CHANGEABLE_ON_RESUME | {"batch_size", "precision"}


def run(command: Command) -> int:
    """Runs a command; TensorFlow is imported from here on.

    Args:
      command: Checked by `flags.check_command`.

    Returns:
      Exit status.

    Raises:
      UserError: For all that the user can mend.
    """
    prepare_environment(command.config.device)
    modes = {"train": _train, "evaluate": _evaluate, "predict": _predict}
    try:
        return modes[command.mode](command)
    except Exception as error:
        explained = _explain(error)
        if explained is error:
            raise
        raise explained from error


def _explain(error: Exception) -> Exception:
    """An error that the user can do something about, or the error itself."""
    import tensorflow as tf

    from segnet.runtime import distributed

    if distributed.is_worker_lost(error):
        return RunError(
            "another worker has stopped, so this one stops too; its own "
            "message says why"
        )
    if isinstance(error, (MemoryError, tf.errors.ResourceExhaustedError)):
        return RunError(
            "out of memory: lower --batch_size or the input size, or use "
            "--cache=none"
        )
    return error


def _merge(command: Command, changeable: frozenset[str]) -> Config | None:
    """The workdir's config with the flags given; None in a new workdir."""
    from segnet.training import checkpoint

    workdir = command.config.workdir
    saved = checkpoint.load_config(workdir)
    if saved is None:
        return None
    wrong = config_file.contradictions(saved, command.given, changeable)
    if wrong:
        listed = ", ".join(
            f"--{name}={value} (it has {getattr(saved, name)})"
            for name, value in wrong.items()
        )
        raise ConfigError(
            f"--workdir={workdir} holds a run of another configuration: "
            f"{listed}; leave these flags out or use another --workdir"
        )
    merged = dataclasses.replace(saved, **command.given)
    merged = dataclasses.replace(merged, workdir=workdir)
    config_lib.validate(merged)
    return merged


def setup(config: Config) -> Runtime:
    """Device, precision, seeds and workers of this process."""
    from segnet.runtime import distributed

    place = distributed.launched()
    device = setup_runtime(
        config.device,
        config.precision,
        seed=config.seed,
        deterministic=config.deterministic,
        local_rank=place.local_rank,
        local_size=place.local_size,
    )
    distributed.init(
        # Each layer of synchronised batch norm waits for a reduction.
        seldom=device.device == "cpu" and not config.sync_batch_norm
    )
    return device


def _train(command: Command) -> int:
    """--mode=train."""
    from segnet.training import checkpoint

    config = command.config
    # A run that ended before its first checkpoint left nothing to resume: a
    # whole command starts anew.
    if checkpoint.has_checkpoint(config.workdir) or not config.data_dir:
        config = _merge(command, CHANGEABLE_ON_RESUME) or config
    if not config.data_dir:
        raise ConfigError(
            "--data_dir is missing: the folder of the shards that "
            "tools/convert_to_tfrecord.py wrote"
        )
    device = setup(config)
    from segnet.progress import say
    from segnet.runtime import distributed
    from segnet.training import start, trainer

    try:
        result = start.train_and_evaluate(config, device)
    except trainer.Stopped as stopped:
        return 128 + stopped.signal_number
    if distributed.is_chief():
        say(
            f"done: {result.step} steps, best {config.best_metric} "
            f"{result.best_score:.4f} at step {result.best_step}; next: "
            f"python main.py --mode=evaluate --workdir={config.workdir}"
        )
    return 0


def _load(
    command: Command,
) -> tuple[Config, Runtime, str, Callable[[Any], Any]]:
    """Config, device, checkpoint and forward pass of a trained workdir."""
    config = _merge(command, _CHANGEABLE_LATER)
    if config is None:
        raise ConfigError(
            f"--workdir={command.config.workdir} has no config.json; train "
            "first, or give the workdir of a training run"
        )
    device = setup(config)
    import tensorflow as tf

    from segnet import models
    from segnet.training import build, checkpoint

    path = checkpoint.saved_checkpoint(config.workdir, command.checkpoint)
    with tf.device(device.device_name):
        trained = build.build_model(config, len(config.class_names))
        checkpoint.restore_weights(trained, path)
        model = build.build_inference_model(config, len(config.class_names))
        models.fold_batch_norm(trained, model)
    eval_step = build.build_eval_step(config, model, device, tta=command.tta)
    return config, device, path, eval_step


def _evaluate(command: Command) -> int:
    """--mode=evaluate."""
    config, device, path, eval_step = _load(command)
    from segnet.data import sources
    from segnet.evaluation import evaluate, metrics
    from segnet.files import write_errors
    from segnet.progress import Progress, say
    from segnet.records.splits import read_manifest
    from segnet.runtime import distributed
    from segnet.training import build, checkpoint

    manifest = read_manifest(config.data_dir, config.eval_split)
    sources.check_classes(manifest, config.class_names, config.data_dir)
    progress = Progress(
        manifest.num_records,
        done=0,
        enabled=distributed.is_chief(),
        unit="image",
        label="evaluate",
    )
    evaluation = evaluate.SplitEvaluation(
        eval_step, manifest, config, pad=build.needs_static_shapes(device)
    )
    scores = evaluation(with_boundary_f1=True, advance=progress.advance)
    progress.close()
    if not distributed.is_chief():
        return 0
    target = os.path.join(
        config.workdir, f"evaluation-{config.eval_split}.json"
    )
    result = {
        "split": config.eval_split,
        **scores,
        "checkpoint": path,
        "tta": command.tta,
    }
    with write_errors(target):
        checkpoint.write_json(target, result)
    say(
        f"{metrics.format_table(scores)}\n\nconfusion, percent of the truth\n"
        + metrics.format_confusion(
            scores["confusion_matrix"], config.class_names
        )
    )
    say(
        f"boundary F1 took {scores['boundary_f1_seconds']:.1f} s of "
        f"computing for {scores['images']} images"
    )
    say(f"written to {target}")
    return 0


def _predict(command: Command) -> int:
    """--mode=predict."""
    from segnet.evaluation import predict
    from segnet.progress import Progress, say
    from segnet.runtime import distributed
    from segnet.training import build

    paths = predict.find_inputs(command.image_path)
    config, device, _, eval_step = _load(command)
    if not distributed.is_chief():
        return 0
    output_dir = command.output_dir or os.path.join(
        config.workdir, "predictions"
    )
    progress = Progress(
        len(paths), done=0, enabled=True, unit="image", label="predict"
    )
    problems = predict.predict(
        eval_step,
        paths,
        output_dir,
        config.class_names,
        height=config.input_height,
        width=config.input_width,
        batch_size=min(config.batch_size, len(paths)),
        pad=build.needs_static_shapes(device),
        advance=progress.advance,
    )
    progress.close()
    say(
        f"{len(paths) - len(problems)} of {len(paths)} images labelled: "
        f"{output_dir}"
    )
    for problem in problems:
        say(f"segnet: {problem}")
    return 1 if problems else 0
