"""Cityscapes' folders: leftImg8bit and gtFine (or gtCoarse)."""

from __future__ import annotations

import pathlib

from segnet.annotations.importing.sources import (
    MaskFile,
    Options,
    Picture,
    PictureFinder,
    Source,
    files_below,
    split_of,
)
from segnet.annotations.label_map import parse_label_map
from segnet.annotations.presets import CITYSCAPES_NAMES, PRESETS
from segnet.constants import IGNORE_LABEL
from segnet.errors import DataError

__all__ = ["read_cityscapes"]

_IMAGE = "_leftImg8bit"
_LABELS = ("_gtFine_labelIds", "_gtCoarse_labelIds")


def read_cityscapes(
    folder: pathlib.Path, finder: PictureFinder, options: Options
) -> Source:
    """Reads pictures *_leftImg8bit.png and labels *_labelIds.png.

    The 34 ids have their names, so that a label map can tell them apart;
    without one, `Source.names` are the 19 of the benchmark, and the others are
    void.

    Args:
      folder: With the folders of pictures and labels.
      finder: Of the pictures.
      options: Not used.

    Raises:
      DataError: There are no labels.
    """
    scored = parse_label_map(PRESETS["cityscapes"], "")
    source = Source(names=list(scored.names), background=False)
    names = {**dict(enumerate(CITYSCAPES_NAMES)), IGNORE_LABEL: "void"}
    source.void_names = [
        name
        for value, name in names.items()
        if scored.values.get(value) == IGNORE_LABEL
    ]
    photos = {
        file.stem.removesuffix(_IMAGE): file
        for file in finder.files
        if file.stem.endswith(_IMAGE)
    }
    count = 0
    for path in files_below(folder, (".png",)):
        kind = next((x for x in _LABELS if path.stem.endswith(x)), "")
        if not kind:
            continue
        count += 1
        stem = path.stem.removesuffix(kind)
        if stem not in photos:
            source.problems.append(
                f"{path}: there is no picture {stem}{_IMAGE}.png in "
                f"{finder.folder}; give its folder as --images_dir"
            )
            continue
        parts = path.relative_to(folder).parts[:-1]
        split = next(filter(None, map(split_of, parts)), "")
        source.pictures.append(
            Picture(
                photos.pop(stem),
                str(path),
                mask=MaskFile(path, "index", names),
                split=split,
                stem=stem,
            )
        )
    if not count:
        raise DataError(
            f"{folder}: has no *_labelIds.png; give the folder that has gtFine "
            "and leftImg8bit inside"
        )
    source.others = list(photos.values())
    return source
