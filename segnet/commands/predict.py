"""--mode=predict."""

from __future__ import annotations

import sys

from segnet.commands.trained import load_trained
from segnet.config.flags import Command
from segnet.config.workdir import predictions_dir
from segnet.evaluation import predict
from segnet.evaluation.inputs import find_inputs
from segnet.progress import Progress, say, warn
from segnet.runtime import distributed

__all__ = ["run"]

_SHOWN = 5


def run(command: Command) -> int:
    """Labels pictures; returns the exit status."""
    inputs = find_inputs(command.image_path, recursive=command.recursive)
    trained = load_trained(command)
    config = trained.config
    if not distributed.is_chief():
        return 0
    _warn_of_rest(command.image_path, inputs.left_aside, config.silenced)
    say(f"weights: {trained.weights}")
    output_dir = command.output_dir or predictions_dir(config.workdir)
    count = len(inputs.sources)
    with Progress(count, unit="image", label="predict") as progress:
        problems = predict.predict(
            trained.predictor,
            inputs.sources,
            output_dir,
            config,
            options=predict.Options(
                probabilities=command.probabilities,
                max_pixels=command.max_pixels,
            ),
            are_logits=not trained.predictor.gives_probabilities,
            pad=trained.runtime.needs_static_shapes,
            advance=progress.advance,
        )
    say(f"{count - len(problems)} of {count} images labelled: {output_dir}")
    problems = [*inputs.problems, *problems]
    for problem in problems:
        say(f"segnet: {problem}", sys.stderr)
    return 1 if problems else 0


def _warn_of_rest(
    folder: str, names: list[str], silenced: frozenset[str]
) -> None:
    """Says what in a folder is not looked at."""
    if names:
        shown = ", ".join(names[:_SHOWN]) + (", ..." * (len(names) > _SHOWN))
        warn(
            "left_aside",
            f"{folder}: {len(names)} other files and folders are not labelled "
            f"({shown}); --recursive labels what is in folders, too",
            silenced,
        )
