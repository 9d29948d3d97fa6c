"""The functions of `import segnet`: what the programs do, called from Python.

Their arguments are the flags of the programs, and are checked by the same code.
No TensorFlow is imported before it is needed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from segnet.config import Config
from segnet.errors import ConfigError, UserError

if TYPE_CHECKING:
    from segnet.config.flags import Command
    from segnet.evaluation.model import Model
    from segnet.records.manifest import Manifest
    from segnet.training.start import TrainResult

__all__ = ["convert", "evaluate", "export", "load", "recipe", "train"]

_Path = str | os.PathLike[str]
# A name of an option as programs write it, and what Python has help() for.
_FLAG = re.compile(r"; --help lists (all|the) flags|(?<![\w-])--(?=[a-z])")
# From a checkpoint up to its workdir: ckpt-1, best, checkpoints.
_LEVELS = 3


def convert(
    *,
    images_dir: _Path,
    annotations_dir: _Path,
    output_dir: _Path,
    split: str = "",
    num_classes: int | None = None,
    class_names: Sequence[str] | _Path = (),
    label_map: _Path = "",
    annotation_mode: str = "blue",
    void_labels: Sequence[int] = (),
    val_fraction: float | None = None,
    test_fraction: float | None = None,
    num_folds: int | None = None,
    group_by: str = "",
    split_seed: int | None = None,
    list_file: _Path | Sequence[_Path] = (),
    resize: tuple[int, int] | None = None,
    num_shards: int | None = None,
    num_workers: int | None = None,
    max_pixels: int | None = None,
    bit_depth: int | None = None,
    skip_invalid: bool = False,
    overwrite: bool = False,
    silence: str | Sequence[str] = (),
) -> dict[str, Manifest]:
    """Packs a folder of images and one of annotations into TFRecord shards.

    As `segnet-convert`, whose `--help` says more about each argument; what it
    prints, the table of the classes above all, is printed here, too.

    Args:
      images_dir: Folder of the images.
      annotations_dir: Folder of the annotations, each with the stem and the
        size of its image.
      output_dir: Folder for the shards and the manifests.
      split: Name of the split; or several, `train,val`, between which the
        files are divided.
      num_classes: Labels are below it; may be left to `label_map`.
      class_names: One for each class, or a file with one a line.
      label_map: File, or preset, that says which values or colours of the
        annotations are which class.
      annotation_mode: `blue`, `index` or `color`: what of an annotation's pixel
        is its label.
      void_labels: Labels that are ignored in training and scores.
      val_fraction: With several splits: the part of the second one, 0 to 1.
      test_fraction: With three: the part of the third one.
      num_folds: Instead of `split`: divides the files into folds.
      group_by: Regular expression; files in whose stems it finds the same go to
        the same split.
      split_seed: Another one divides the files in another way.
      list_file: A text file that names the files of the split, or one for each.
      resize: (height, width) to bring all images to, pixels.
      num_shards: Of each split.
      num_workers: Processes; all cores by default.
      max_pixels: That an image may have.
      bit_depth: Bits that values of more than 8 bits use.
      skip_invalid: Leave bad pairs out.
      overwrite: Replace a split that is there.
      silence: Warnings that are not shown.

    Returns:
      For each split that was written its manifest: `num_records`,
      `class_names`, `pixel_counts` (a number for each class) and more.

    Raises:
      ConfigError: An argument cannot be used.
      DataError: Folders or files cannot be used; each bad file has been
        printed.
      RunError: The output cannot be written.
    """
    given = _given(locals())
    if resize is not None:
        given["resize"] = "x".join(map(str, resize))
    with _errors_of_arguments():
        from segnet.convert import flags, program

        settings = flags.parse_flags(_command_line(given))
        manifests = program.convert(settings)
    return {manifest.split: manifest for manifest in manifests}


def recipe(name: _Path, **options: Any) -> Config:
    """The options of a recipe, with some of one's own.

    Args:
      name: Of a recipe, such as `own`, or the path of a file of flags.
      options: Fields of `Config` to set otherwise, by name.

    Returns:
      All options, for `train`.

    Raises:
      ConfigError: There is no such recipe or option, or a value cannot be used.
    """
    file = os.fspath(name)
    if not os.path.splitext(file)[1] and not os.path.dirname(file):
        file = f"configs/{file}.flags"
    with _errors_of_arguments():
        from segnet.config import flags

        words = _command_line({"flagfile": file, **_given(options)})
        command = flags.parse_command(words)
        if isinstance(command, str):
            raise ConfigError("--help is no option")
        return command.config


def train(config: Config) -> TrainResult:
    """Trains a network, or goes on with the run that is in `config.workdir`.

    As `segnet --mode=train`. Options that have their default count as not
    given: of a run that is resumed they are taken from its workdir.

    Ctrl-C (in a notebook: to interrupt the kernel) finishes the step, saves a
    checkpoint and raises KeyboardInterrupt; the same call goes on from there.

    Args:
      config: All options; `data_dir` and `workdir` are needed. `recipe` gives
        those of a recipe.

    Returns:
      How the run ended: `step`, `best_score`, `best_metric`, `best_step`,
      `stopped_early`, and the Keras `model` with its last weights.

    Raises:
      ConfigError: An option cannot be used, or contradicts the workdir.
      DataError: Records or weights cannot be read.
      RunError: The loss is not finite, a file cannot be written, or another
        process trains in this workdir.
      KeyboardInterrupt: After Ctrl-C, when everything is saved.
      SystemExit: After SIGTERM, likewise.
    """
    if not isinstance(config, Config):
        raise ConfigError(
            f"config is {type(config).__name__}; give segnet.Config(...)"
        )
    usual = Config()
    given = {
        field.name: value
        for field in dataclasses.fields(Config)
        if (value := getattr(config, field.name)) != getattr(usual, field.name)
        and field.metadata.get("flag", True)
    }
    with _ready("train", given) as command:
        from segnet import commands
        from segnet.commands.train import train
        from segnet.training.trainer import Stopped

        with commands.locked(command.config.workdir) as lock:
            try:
                return train(command, lambda step: None, lock)
            except Stopped as stopped:
                if stopped.signal_number == 2:
                    raise KeyboardInterrupt from None
                raise SystemExit(128 + stopped.signal_number) from None


def evaluate(
    workdir: _Path,
    split: str = "",
    *,
    data_dir: _Path = "",
    checkpoint: _Path = "best",
    tta: bool = False,
    mc_samples: int = 0,
    eval_batch_size: int | None = None,
    device: str = "",
    precision: str = "",
) -> dict[str, Any]:
    """Scores a trained network, every image of a split once, at its own size.

    As `segnet --mode=evaluate`, but nothing is written.

    Args:
      workdir: Of the run.
      split: Which one; the run's evaluation split by default.
      data_dir: Where the records are now; where they were by default.
      checkpoint: `best`, `latest` or the path of a checkpoint.
      tta: Average over mirror images and sizes; 7 times slower.
      mc_samples: Average over so many passes with dropout, of a run with it.
      eval_batch_size: Images a forward pass.
      device: `auto`, `cpu`, `gpu` or `hpu`; that of the run by default.
      precision: `auto`, `float32`, `bfloat16` or `float16`; likewise.

    Returns:
      The content of `evaluation-SPLIT.json`: `mean_iou`, `pixel_accuracy`,
      `per_class` and more; scores are 0 to 1, or None where there is nothing
      to score.

    Raises:
      ConfigError: There is no such run, or an argument cannot be used.
      DataError: Records or weights cannot be read.
    """
    given = _given(locals())
    if split:
        given["eval_split"] = given.pop("split")
    with _ready("evaluate", given) as command:
        from segnet.commands.evaluate import score

        return score(command).scores


def export(
    workdir: _Path,
    formats: Sequence[str] = ("saved_model",),
    *,
    data_dir: _Path = "",
    split: str = "",
    checkpoint: _Path = "best",
    force: bool = False,
) -> dict[str, Any]:
    """Writes a trained network as files that run without this package.

    As `segnet --mode=export`: into `WORKDIR/export`. Each is run in a process
    of its own on images of the evaluation split.

    Args:
      workdir: Of the run.
      formats: Of `saved_model`, `tflite` and `onnx`; the last one needs the
        extra `export`.
      data_dir: Where the records are now; where they were by default.
      split: Whose images are compared; the run's evaluation split by default.
      checkpoint: `best`, `latest` or the path of a checkpoint.
      force: Keep files that do not agree with the network, too.

    Returns:
      The content of `export.json`: of each of the `formats` its `agreement`
      with the network, `mean_iou`, `milliseconds` an image and `bytes`.

    Raises:
      ConfigError: There is no such run, or an argument cannot be used.
      DataError: Records or weights cannot be read.
      RunError: A file does not agree with the network, or cannot be written.
    """
    given = _given({
        "workdir": workdir, "data_dir": data_dir, "eval_split": split,
        "checkpoint": checkpoint,
    })  # fmt: skip
    given |= {"export_format": tuple(formats), "export_force": force}
    with _ready("export", given) as command:
        from segnet.commands.export import export

        return export(command)


def load(
    path: _Path,
    *,
    checkpoint: _Path = "best",
    tta: bool = False,
    mc_samples: int = 0,
    device: str = "",
    precision: str = "",
    max_pixels: int | None = None,
    bit_depth: int | None = None,
) -> Model:
    """Loads a trained network.

    Args:
      path: A workdir, or one of its checkpoints, such as
        `runs/first/checkpoints/ckpt-100`.
      checkpoint: Of a workdir: `best` or `latest`.
      tta: Average over mirror images and sizes; 7 times slower.
      mc_samples: Average over so many passes with dropout, of a run with it.
      device: `auto`, `cpu`, `gpu` or `hpu`; that of the run by default.
      precision: `auto`, `float32`, `bfloat16` or `float16`; likewise.
      max_pixels: That a picture may have.
      bit_depth: Bits that values of more than 8 bits use; as in training by
        default.

    Returns:
      A model, with `predict(image)` and `probabilities(image)`.

    Raises:
      ConfigError: There is no such run or checkpoint, or an argument cannot be
        used.
      DataError: The checkpoint cannot be read.
    """
    given = _given(locals())
    given.pop("path", None)
    given["workdir"], found = _workdir_of(os.fspath(path))
    given["checkpoint"] = found or checkpoint
    with _ready("predict", {**given, "image_path": os.devnull}) as command:
        from segnet.commands.trained import load_trained
        from segnet.evaluation.model import Model

        trained = load_trained(command)
        return Model(
            trained.predictor,
            trained.config,
            trained.checkpoint,
            pad=trained.runtime.needs_static_shapes,
            max_pixels=command.max_pixels,
            bit_depth=command.bits_of(trained.config),
        )


def _workdir_of(path: str) -> tuple[str, str]:
    """The workdir, and the checkpoint if the path is that of one."""
    from segnet.config.config_file import has_config
    from segnet.files import expand_path

    path = expand_path(path)
    if has_config(path):
        return path, ""
    folder = path
    for _ in range(_LEVELS):
        folder = os.path.dirname(folder)
        if folder and has_config(folder):
            is_best = os.path.basename(path.rstrip("/")) == "best"
            return folder, "best" if is_best else path
    return path, ""


@contextlib.contextmanager
def _ready(mode: str, given: Mapping[str, Any]) -> Iterator[Command]:
    """A checked command, and what it runs in.

    Args:
      mode: One of `main.py`.
      given: Values of flags, by name.

    Yields:
      What to run.

    Raises:
      UserError: For all that the user can mend.
    """
    with _errors_of_arguments(), _global_state_kept():
        from segnet.config import flags

        command = flags.parse_command(_command_line({"mode": mode, **given}))
        if isinstance(command, str):
            raise ConfigError("--help is no option")
        flags.check_command(command)
        from segnet import commands

        with commands.prepared(command.config.device):
            yield command


def _given(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that were given: others are None or empty."""
    return {
        name: value
        for name, value in arguments.items()
        if not (value is None or value in ("", (), []))
    }


def _command_line(given: Mapping[str, Any]) -> list[str]:
    """A command line with a flag for each argument."""
    words = ["segnet"]
    for name, value in given.items():
        if isinstance(value, bool):
            words.append(f"--{name}" if value else f"--no{name}")
        elif isinstance(value, (tuple, list)):
            words.append(f"--{name}={','.join(map(_text, value))}")
        else:
            words.append(f"--{name}={_text(value)}")
    return words


def _text(value: Any) -> str:
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)


@contextlib.contextmanager
def _errors_of_arguments() -> Iterator[None]:
    """Names arguments in errors as Python does, not as flags."""
    try:
        yield
    except UserError as error:
        raise type(error)(_FLAG.sub("", str(error))) from error.__cause__


@contextlib.contextmanager
def _global_state_kept() -> Iterator[None]:
    """Leaves the caller's random numbers and Keras' number format as they were.

    A run seeds Python's and NumPy's generators and sets the format for all
    layers that are made from then on.
    """
    import numpy as np

    def keras() -> Any:
        tensorflow = sys.modules.get("tensorflow")
        return tensorflow and tensorflow.keras.mixed_precision

    policy = keras() and keras().global_policy()
    states = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        if keras():
            keras().set_global_policy(policy or "float32")
