"""Pascal VOC's folders, which CVAT and LabelMe write, too."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping

from segnet.annotations.importing.sources import (
    MaskFile,
    Options,
    Picture,
    PictureFinder,
    Source,
)
from segnet.annotations.label_map import Colour, parse_label_map
from segnet.annotations.presets import PRESETS
from segnet.constants import IGNORE_LABEL
from segnet.errors import DataError, UserError
from segnet.files import read_text
from segnet.images.image_files import list_images

__all__ = ["read_voc"]

_MASKS = ("SegmentationClass", "SegmentationClassPNG")
_NOT_PHOTOS = {*_MASKS, "SegmentationObject", "SegmentationClassVisualization",
               "SegmentationObjectPNG",
               "SegmentationObjectVisualization"}  # fmt: skip


def read_voc(
    folder: pathlib.Path, finder: PictureFinder, options: Options
) -> Source:
    """Reads a folder with SegmentationClass inside it, or one level further.

    Classes are the colours of labelmap.txt (CVAT's), else the palette indices
    that class_names.txt (LabelMe's) or VOC itself has names for. The lists of
    ImageSets/Segmentation are kept.

    Args:
      folder: With masks, pictures and lists.
      finder: Of the pictures.
      options: Not used.

    Raises:
      DataError: There is no such folder, or the list of classes is wrong.
    """
    masks_dir = _masks_dir(folder)
    root = masks_dir.parent
    mode, names, colours = _classes(root)
    source = Source(names=list(names.values()), background=False)
    photos = {
        file.stem: file
        for file in finder.files
        if not _NOT_PHOTOS & set(file.relative_to(finder.folder).parts)
    }
    for path in list_images(masks_dir, (".png", ".bmp")):
        if path.stem in photos:
            mask = MaskFile(path, mode, names, colours)
            source.pictures.append(
                Picture(photos.pop(path.stem), str(path), mask=mask)
            )
        else:
            source.problems.append(
                f"{path}: no picture {path.stem}.* is in {finder.folder}; "
                "give its folder as --images_dir"
            )
    source.others = list(photos.values())
    _read_lists(root, source)
    return source


def _masks_dir(folder: pathlib.Path) -> pathlib.Path:
    if folder.name in _MASKS and folder.is_dir():
        return folder
    inside = [folder]
    if folder.is_dir():
        inside += sorted(x for x in folder.iterdir() if x.is_dir())
    found = [x / name for x in inside for name in _MASKS]
    found = [path for path in found if path.is_dir()]
    if not found:
        raise DataError(
            f"{folder}: has no folder SegmentationClass; give the one that has"
        )
    return found[0]


def _classes(
    root: pathlib.Path,
) -> tuple[str, Mapping[int, str], Mapping[Colour, int]]:
    """Mode, names of the values, and in mode "color" values of the colours."""
    try:
        if (path := root / "labelmap.txt").exists():
            found = parse_label_map(read_text(path), str(path))
            return "color", _with_void(found.names), found.colours
    except UserError as error:
        text = str(error).removeprefix("--label_map=")
        raise DataError(text) from None
    if (path := root / "class_names.txt").exists():
        lines = [line.strip() for line in read_text(path).splitlines()]
        return "index", _with_void([line for line in lines if line]), {}
    return "index", _with_void(parse_label_map(PRESETS["voc"], "").names), {}


def _with_void(names: list[str] | tuple[str, ...]) -> dict[int, str]:
    return {**dict(enumerate(names)), IGNORE_LABEL: "void"}


def _read_lists(root: pathlib.Path, source: Source) -> None:
    known = {picture.image.stem for picture in source.pictures}
    lists = root / "ImageSets" / "Segmentation"
    for path in sorted(lists.glob("*.txt")):
        stems = [line.strip() for line in read_text(path).splitlines()]
        stems = [stem for stem in stems if stem]
        if missing := [stem for stem in stems if stem not in known]:
            source.problems.append(
                f"{path}: '{missing[0]}' has no mask in SegmentationClass "
                f"({len(missing)} of {len(stems)} lines)"
            )
        source.lists[path.stem] = stems
