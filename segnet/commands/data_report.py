"""--mode=report of a folder of records, and the converter's --report."""

from __future__ import annotations

import os
from collections.abc import Sequence

from segnet.commands.palette import check_palette, read_palette
from segnet.config.flags import Command
from segnet.config.validate import parse_crop
from segnet.config.workdir import report_path
from segnet.errors import ConfigError
from segnet.files import gfile, write_errors, write_text
from segnet.images.palettes import DEFAULT, Palette
from segnet.progress import say
from segnet.records import splits
from segnet.report import data_report
from segnet.report.data_report import Seen
from segnet.runtime import distributed

__all__ = ["report", "run"]


def report(
    data_dir: str, *, seen: Seen | None = None, palette: Palette = DEFAULT
) -> str:
    """Makes the report of a folder of records; returns the path of the page.

    Args:
      data_dir: That the converter wrote.
      seen: How training changes the images.
      palette: Colour of each class.

    Raises:
      DataError: Records cannot be read.
      RunError: It cannot be written.
    """
    html = data_report.make_page(data_dir, seen=seen, palette=palette)
    target = report_path(data_dir)
    folder = os.path.dirname(target)
    with write_errors(folder):
        gfile(folder).makedirs(folder)
    # File names of images may be no text.
    write_text(target, html.encode(errors="replace").decode())
    return target


def run(command: Command) -> int:
    """Makes the report; returns the exit status.

    Raises:
      ConfigError: Several workers were started, or a flag is of no use here.
    """
    if distributed.launched().size > 1:
        raise ConfigError(
            "--mode=report is for one process; start it without horovodrun"
        )
    for name in ("image_path", "compare_to"):
        if getattr(command, name):
            raise ConfigError(
                f"--{name} needs a trained network: give --workdir, too"
            )
    check_palette(command.palette)
    data_dir = command.config.data_dir
    palette = read_palette(command.palette, _class_names(data_dir))
    made = report(data_dir, seen=_seen(command), palette=palette)
    say(f"report: {made}")
    return 0


def _class_names(data_dir: str) -> Sequence[str]:
    """Those of the first split; where there is none, the report tells."""
    found = splits.list_splits(data_dir)
    if not found:
        return ()
    return splits.read_manifest(data_dir, found[0]).class_names


def _seen(command: Command) -> Seen:
    """How a training with these flags would change images."""
    config, given = command.config, command.given
    sized = {"input_height", "input_width"} & given.keys()
    crop = parse_crop(config.train_crop) if sized else None
    if not sized:
        return Seen(policy=config.augment)
    height, width = config.input_height, config.input_width
    if crop is None:
        return Seen(height, width, config.augment)
    return Seen(*crop, config.augment, (crop[0] / height, crop[1] / width))
