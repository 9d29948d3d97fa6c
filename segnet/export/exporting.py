"""Exports a run: writes files, checks each, and keeps what gives the same."""

from __future__ import annotations

import dataclasses
import json
import os
import tempfile
from collections.abc import Sequence
from typing import Any

from segnet.config import Config
from segnet.config.workdir import export_dir
from segnet.data import sources
from segnet.errors import ConfigError, RunError
from segnet.evaluation import metrics
from segnet.evaluation.inference import Predictor
from segnet.evaluation.model import Model
from segnet.export import checking, graphs
from segnet.export.writers import FORMATS, Content, Variant, missing_package
from segnet.files import write_errors, write_text
from segnet.images import palettes
from segnet.progress import say
from segnet.records.splits import read_manifest

__all__ = ["export"]


def export(
    predictor: Predictor,
    config: Config,
    checkpoint: str,
    formats: Sequence[str],
    *,
    force: bool = False,
) -> dict[str, Any]:
    """Writes a run's network in some formats, and `export.json`.

    What one file lacks does not keep the others from being written.

    Args:
      predictor: The network, in float32.
      config: Of the run.
      checkpoint: Path of its weights.
      formats: Of `constants.EXPORT_FORMATS`.
      force: Whether files are kept that do not agree with the network.

    Returns:
      What `export.json` holds.

    Raises:
      ConfigError: The workdir is remote.
      DataError: The splits cannot be read.
      RunError: A package is missing, or a file does not agree with the network
        or cannot be written.
    """
    folder = export_dir(config.workdir)
    if "://" in folder:
        raise ConfigError(
            f"--workdir={config.workdir}: files are exported to a local "
            "folder; copy the workdir to one"
        )
    missing_package(formats)
    manifest = read_manifest(config.data_dir, config.eval_split)
    sources.check_classes(manifest, config.class_names, config.data_dir)
    model = Model(predictor, config, checkpoint)
    images = _images(config, config.eval_split)
    content = Content(
        config,
        predictor.model,
        graphs.portable_network(config, predictor.model),
        _metadata(config, checkpoint),
        _calibration(config, formats),
    )
    with write_errors(folder):
        os.makedirs(folder, exist_ok=True)
    rows: list[dict[str, Any]] = []
    problems: list[str] = []
    for variant in (each for name in formats for each in FORMATS[name]):
        say(f"writing {variant.file}")
        try:
            row, problem = _export(
                variant, content, model, images, folder, force
            )
        except RunError as error:
            problems.append(str(error))
            continue
        rows.append(row)
        if problem:
            problems.append(problem)
    outcome = {
        **content.metadata,
        "split": config.eval_split,
        "formats": {row["file"]: row for row in rows},
    }
    for line in _describe(rows):
        say(line)
    path = os.path.join(folder, "export.json")
    write_text(path, json.dumps(outcome, indent=2) + "\n")
    say(f"written to {path}")
    if problems:
        raise RunError("; ".join(problems))
    return outcome


def _images(config: Config, split: str) -> list[Any]:
    """Some images of a split, see `checking.read_images`."""
    manifest = read_manifest(config.data_dir, split)
    source = sources.RecordSource(manifest, config.data_dir, cache=False)
    return checking.read_images(source)


def _calibration(config: Config, formats: Sequence[str]) -> list[Any]:
    """Training images at the input size, where a format has int8."""
    variants = [each for name in formats for each in FORMATS[name]]
    if not any(each.precision == "int8" for each in variants):
        return []
    size = (config.input_height, config.input_width)
    return [
        checking.resized(image, size)
        for image, _ in _images(config, config.train_split)
    ]


def _metadata(config: Config, checkpoint: str) -> dict[str, Any]:
    """What the users of a file need to know."""
    return {
        "architecture": config.architecture,
        "checkpoint": checkpoint,
        "input_height": config.input_height,
        "input_width": config.input_width,
        "class_names": list(config.class_names),
        "palette": [
            "#{:02x}{:02x}{:02x}".format(*palettes.DEFAULT[index])
            for index in range(len(config.class_names))
        ],
    }


def _export(
    variant: Variant,
    content: Content,
    model: Model,
    images: Sequence[Any],
    folder: str,
    force: bool,
) -> tuple[dict[str, Any], str]:
    """Writes one file aside, checks it, and gives it its name.

    Returns:
      What `export.json` says of it, and why it was not kept, if so.

    Raises:
      RunError: It cannot be written or run.
    """
    target = os.path.join(folder, variant.file)
    config = content.config
    size = (
        None if variant.any_size else (config.input_height, config.input_width)
    )
    with (
        write_errors(target),
        tempfile.TemporaryDirectory(prefix=".segnet-", dir=folder) as aside,
    ):
        written = os.path.join(aside, variant.file)
        variant.write(content, written)
        checked = checking.check(written, model, images, size)
        lacks = checking.shortfall(checked, variant.precision)
        row = {
            "file": variant.file,
            "precision": variant.precision,
            **dataclasses.asdict(checked),
            "bytes": _size(written),
            "kept": force or not lacks,
        }
        if row["kept"]:
            if os.path.isdir(target):
                os.rename(target, os.path.join(aside, "before"))
            os.replace(written, target)
            return row, ""
    return row, f"{target}: {lacks}; not kept: --export_force keeps it"


def _size(path: str) -> int:
    """Bytes of a file, or of all files in a folder."""
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(
        os.path.getsize(os.path.join(place, name))
        for place, _, names in os.walk(path)
        for name in names
    )


def _describe(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The lines of a table of files."""
    cells = [["file", "as network", "mean IoU", "network", "ms", "MB"]]
    for row in rows:
        cells.append(
            [
                row["file"] if row["kept"] else f"{row['file']} (not kept)",
                f"{row['agreement']:.3%}",
                metrics.format_score(row["mean_iou"]),
                metrics.format_score(row["network_mean_iou"]),
                f"{row['milliseconds']:.1f}",
                f"{row['bytes'] / 1e6:.1f}",
            ]
        )
    return metrics.align(cells) if rows else []
