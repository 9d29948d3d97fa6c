"""--mode=export."""

from __future__ import annotations

import dataclasses
from typing import Any

from segnet.commands.trained import load_trained
from segnet.config.flags import Command
from segnet.export import exporting
from segnet.progress import say
from segnet.runtime import distributed

__all__ = ["export", "run"]


def export(command: Command) -> dict[str, Any]:
    """Exports the network of a workdir; see `exporting.export`.

    Numbers are float32 unless the user says otherwise: bfloat16 is for the
    device that it is fast on.
    """
    given = {"precision": "float32", **command.given}
    trained = load_trained(
        dataclasses.replace(command, given=given, tta=False, mc_samples=0)
    )
    if not distributed.is_chief():
        return {}
    say(f"weights: {trained.weights}")
    return exporting.export(
        trained.predictor,
        trained.config,
        trained.checkpoint,
        command.export_formats,
        force=command.export_force,
    )


def run(command: Command) -> int:
    """Exports; returns the exit status."""
    export(command)
    return 0
