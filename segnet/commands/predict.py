"""--mode=predict."""

from __future__ import annotations

from segnet.commands.trained import load_trained
from segnet.config.flags import Command
from segnet.config.workdir import predictions_dir
from segnet.evaluation import predict
from segnet.progress import Progress, say
from segnet.runtime import distributed

__all__ = ["run"]


def run(command: Command) -> int:
    """Labels pictures; returns the exit status."""
    paths = predict.find_inputs(command.image_path)
    trained = load_trained(command)
    config = trained.config
    if not distributed.is_chief():
        return 0
    output_dir = command.output_dir or predictions_dir(config.workdir)
    with Progress(len(paths), unit="image", label="predict") as progress:
        problems = predict.predict(
            trained.predictor,
            paths,
            output_dir,
            config,
            pad=trained.runtime.needs_static_shapes,
            advance=progress.advance,
        )
    say(
        f"{len(paths) - len(problems)} of {len(paths)} images labelled: "
        f"{output_dir}"
    )
    for problem in problems:
        say(f"segnet: {problem}")
    return 1 if problems else 0
