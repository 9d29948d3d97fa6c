"""Exports a run: writes files, checks each, and keeps what gives the same."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from segnet.config import Config
from segnet.config.workdir import export_dir
from segnet.data import sources
from segnet.errors import RunError
from segnet.evaluation.inference import Predictor
from segnet.evaluation.model import Model
from segnet.export import checking, serving
from segnet.files import write_errors, write_text
from segnet.images.overlay import PALETTE
from segnet.progress import say
from segnet.records.splits import read_manifest

__all__ = ["export"]

# Of the pixels, that a file has to have the network's label of.
_AGREEMENT = 0.999


def export(
    predictor: Predictor,
    config: Config,
    checkpoint: str,
    formats: Sequence[str],
    *,
    force: bool = False,
) -> dict[str, Any]:
    """Writes a run's network in some formats, and `export.json`.

    Args:
      predictor: The network, in float32.
      config: Of the run.
      checkpoint: Path of its weights.
      formats: Of `constants.EXPORT_FORMATS`.
      force: Whether files are kept that do not agree with the network.

    Returns:
      What `export.json` holds.

    Raises:
      DataError: The evaluation split cannot be read.
      RunError: A file does not agree with the network, or cannot be written.
    """
    manifest = read_manifest(config.data_dir, config.eval_split)
    sources.check_classes(manifest, config.class_names, config.data_dir)
    images = checking.read_images(
        sources.RecordSource(manifest, config.data_dir, cache=False)
    )
    model = Model(predictor, config, checkpoint)
    folder = export_dir(config.workdir)
    with write_errors(folder):
        os.makedirs(folder, exist_ok=True)
    outcome = {
        "architecture": config.architecture,
        "checkpoint": checkpoint,
        "input_height": config.input_height,
        "input_width": config.input_width,
        "class_names": list(config.class_names),
        "palette": [
            "#{:02x}{:02x}{:02x}".format(*PALETTE[index])
            for index in range(len(config.class_names))
        ],
        "split": config.eval_split,
        "formats": {
            kind: _export(kind, model, predictor, config, folder, images, force)
            for kind in formats
        },
    }
    path = os.path.join(folder, "export.json")
    write_text(path, json.dumps(outcome, indent=2) + "\n")
    say(f"written to {path}")
    return outcome


def _export(
    kind: str,
    model: Model,
    predictor: Predictor,
    config: Config,
    folder: str,
    images: Sequence[Any],
    force: bool,
) -> dict[str, Any]:
    """Writes one format aside, checks it, and gives it its name."""
    target = os.path.join(folder, kind)
    with (
        write_errors(folder),
        tempfile.TemporaryDirectory(prefix=".segnet-", dir=folder) as aside,
    ):
        written = os.path.join(aside, kind)
        network = serving.Serving(
            predictor.model, config.input_height, config.input_width
        )
        _quietly_save(network, written)
        checked = checking.check(kind, written, model, images)
        if checked.agreement < _AGREEMENT and not force:
            raise RunError(
                f"{target}: gives the network's labels to "
                f"{checked.agreement:.4%} of the pixels, less than "
                f"{_AGREEMENT:.1%}, and is not kept; --export_force keeps it"
            )
        size = _size(written)
        if os.path.isdir(target):
            shutil.rmtree(target)
        os.replace(written, target)
    fields = {"path": kind, **dataclasses.asdict(checked), "bytes": size}
    say(_line(kind, fields))
    return fields


def _quietly_save(network: serving.Serving, folder: str) -> None:
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel("ERROR")
    try:
        serving.save(network, folder)
    finally:
        logger.setLevel(level)


def _size(folder: str) -> int:
    return sum(
        os.path.getsize(os.path.join(place, name))
        for place, _, names in os.walk(folder)
        for name in names
    )


def _line(kind: str, fields: dict[str, Any]) -> str:
    """What is printed of a format."""
    scores = [
        "-" if value is None else f"{value:.4f}"
        for value in (fields["mean_iou"], fields["network_mean_iou"])
    ]
    return (
        f"{kind}: {fields['agreement']:.4%} of the labels as the network, mean "
        f"IoU {scores[0]} (network {scores[1]}), "
        f"{fields['milliseconds']:.1f} ms an image, "
        f"{fields['bytes'] / 1e6:.1f} MB, {fields['images']} images"
    )
