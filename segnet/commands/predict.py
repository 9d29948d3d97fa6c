"""--mode=predict."""

from __future__ import annotations

import dataclasses
import math
import statistics
import sys

from segnet.commands.palette import check_palette, read_palette
from segnet.commands.trained import TrainedRun, load_trained
from segnet.config import Config
from segnet.config.flags import Command
from segnet.config.workdir import predictions_dir
from segnet.constants import ARCHITECTURES
from segnet.errors import ConfigError, DataError
from segnet.evaluation import predict, tiled
from segnet.evaluation.inputs import Inputs, find_inputs, warn_of_rest
from segnet.evaluation.outlines import Outcome
from segnet.evaluation.results import Options
from segnet.evaluation.tiles import SMALLEST_CELLS, Tiling
from segnet.progress import Progress, say
from segnet.records.splits import read_manifest
from segnet.runtime import distributed

__all__ = ["run"]


def run(command: Command) -> int:
    """Labels pictures; returns the exit status."""
    check_palette(command.palette)
    inputs = find_inputs(command.image_path, recursive=command.recursive)
    tiling: Tiling | None = None

    def seen(config: Config) -> Config:
        nonlocal tiling
        if command.tile_size is None:
            return config
        tiling = _tiling(command, config)
        return dataclasses.replace(
            config, input_height=tiling.seen, input_width=tiling.seen
        )

    trained = load_trained(command, seen)
    config = trained.config
    if not distributed.is_chief():
        return 0
    warn_of_rest(command.image_path, inputs, config.silenced)
    say(f"weights: {trained.weights}")
    output_dir = command.output_dir or predictions_dir(config.workdir)
    options = _options(command, config)
    if tiling is None:
        outcome = _predict(options, trained, inputs, output_dir)
    else:
        outcome = _predict_tiled(options, trained, inputs, output_dir, tiling)
    done = []
    if inputs.sources or not inputs.films:
        done.append(f"{outcome.images} of {len(inputs.sources)} images")
    if inputs.films:
        done.append(f"{outcome.frames} frames of {len(inputs.films)} films")
    say(f"{' and '.join(done)} labelled: {output_dir}")
    problems = [*inputs.problems, *outcome.problems]
    for problem in problems:
        say(f"segnet: {problem}", sys.stderr)
    return 1 if problems else 0


def _options(command: Command, config: Config) -> Options:
    return Options(
        probabilities=command.probabilities,
        uncertainty=command.uncertainty,
        polygons=command.format,
        polygon_tolerance=command.polygon_tolerance,
        overlay_video=command.overlay_video,
        max_pixels=command.max_pixels,
        palette=read_palette(command.palette, config.class_names),
        bit_depth=command.bits_of(config),
    )


def _predict(
    options: Options, trained: TrainedRun, inputs: Inputs, output_dir: str
) -> Outcome:
    """Labels whole pictures, and films."""
    count = len(inputs.sources) + len(inputs.films)
    with Progress(count, unit="image", label="predict") as progress:
        return predict.predict(
            trained.predictor,
            inputs.sources,
            output_dir,
            trained.config,
            films=inputs.films,
            options=options,
            are_logits=not trained.predictor.gives_probabilities,
            pad=trained.runtime.needs_static_shapes,
            advance=progress.advance,
        )


def _predict_tiled(
    options: Options,
    trained: TrainedRun,
    inputs: Inputs,
    output_dir: str,
    tiling: Tiling,
) -> Outcome:
    """Labels pictures in tiles."""
    say(
        f"tiles of {tiling.size}x{tiling.size} pixels, which the network sees "
        f"at {tiling.seen}x{tiling.seen} (--tile_scale="
        f"{tiling.seen / tiling.size:.4g})"
    )
    outcome = tiled.predict_tiled(
        trained.predictor,
        inputs.sources,
        output_dir,
        trained.config,
        tiling,
        options=options,
        are_logits=not trained.predictor.gives_probabilities,
        pad=trained.runtime.needs_static_shapes,
        show_progress=True,
    )
    films = [
        f"{film.path}: films are not cut into tiles; leave --tile_size out"
        for film in inputs.films
    ]
    return dataclasses.replace(outcome, problems=[*outcome.problems, *films])


def _tiling(command: Command, config: Config) -> Tiling:
    """How pictures are cut.

    Raises:
      ConfigError: The tiles are too small.
    """
    size, scale = command.tile_size or 0, command.tile_scale
    if scale is None:
        scale = _training_scale(config)
    multiple = ARCHITECTURES[config.architecture]
    smallest = math.ceil(SMALLEST_CELLS * multiple / scale)
    if size < smallest:
        raise ConfigError(
            f"--tile_size={size} is too small for {config.architecture} with "
            f"--tile_scale={scale:.4g}: give {smallest} or more"
        )
    return Tiling.create(size, scale, multiple)


def _training_scale(config: Config) -> float:
    """The factor from training images, by their median, to their input."""
    try:
        # Its sizes alone are asked for, not the shards.
        manifest = read_manifest(
            config.data_dir, config.train_split, whole=False
        )
    except DataError:
        return 1.0
    areas = [
        area
        for height, width, images in manifest.sizes
        for area in [height * width] * images
    ]
    seen = config.input_height * config.input_width
    return math.sqrt(seen / statistics.median_low(areas))
