"""Pairs of image and annotation files: finding them in two folders."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Sequence

from segnet.errors import DataError
from segnet.images import image_files

__all__ = ["Folders", "Pair", "Problem", "find_pairs"]

_JPEG_SUFFIXES = (".jpg", ".jpeg")
# Stands for a stem that two files have.
_DOUBLE = pathlib.Path()


@dataclasses.dataclass(frozen=True)
class Pair:
    """An image file and its annotation file, of one stem."""

    image: pathlib.Path
    annotation: pathlib.Path


@dataclasses.dataclass(frozen=True)
class Problem:
    """Why an input file cannot be used; `message` is the line for the user."""

    file: str
    message: str


@dataclasses.dataclass(frozen=True)
class Folders:
    """What the two input folders hold.

    Attributes:
      pairs: In the order of their stems.
      problems: Files without partner, two of one stem, JPEG annotations.
      ignored: Names of files of other kinds.
    """

    pairs: tuple[Pair, ...]
    problems: tuple[Problem, ...]
    ignored: tuple[str, ...]


def find_pairs(
    images_dir: str | os.PathLike[str], annotations_dir: str | os.PathLike[str]
) -> Folders:
    """Pairs the files of two folders by their stems.

    Raises:
      DataError: A folder is missing or cannot be listed, or there is no image
        or no annotation in it.
    """
    by_folder = []
    for folder, kind, suffixes in (
        (images_dir, "image", image_files.IMAGE_SUFFIXES),
        (annotations_dir, "annotation", image_files.ANNOTATION_SUFFIXES),
    ):
        by_folder.append(image_files.list_images(folder))
        if not by_folder[-1]:
            raise DataError(
                f"{folder}: has no {kind} ({', '.join(suffixes)}); check the "
                "path (folders inside it are not searched)"
            )
    problems: list[Problem] = []
    by_stem, annotations = (_unique(files, problems) for files in by_folder)
    pairs = []
    for stem in sorted(by_stem.keys() | annotations.keys()):
        image, annotation = by_stem.get(stem), annotations.get(stem)
        if image is None or annotation is None:
            problems.append(_unpaired(stem, image, annotation, annotations_dir))
        elif annotation == _DOUBLE or image == _DOUBLE:
            continue  # reported by _unique
        elif annotation.suffix.lower() in _JPEG_SUFFIXES:
            problems.append(
                Problem(
                    str(annotation),
                    f"{annotation}: is a JPEG, whose compression changes "
                    "labels; save the annotation as PNG from its source",
                )
            )
        else:
            pairs.append(Pair(image, annotation))
    others = _others(images_dir, by_folder[0])
    others += _others(annotations_dir, by_folder[1])
    return Folders(tuple(pairs), tuple(problems), tuple(others))


def _unique(
    files: Sequence[pathlib.Path], problems: list[Problem]
) -> dict[str, pathlib.Path]:
    """Files by stem; of a stem that two files have, `_DOUBLE`."""
    by_stem: dict[str, pathlib.Path] = {}
    first: dict[str, pathlib.Path] = {}
    for path in files:
        other = first.setdefault(path.stem, path)
        by_stem[path.stem] = path if other is path else _DOUBLE
        if other is not path:
            problems.append(
                Problem(
                    str(path),
                    f"{path}: has the same stem as {other.name}; rename or "
                    "remove one",
                )
            )
    return by_stem


def _unpaired(
    stem: str,
    image: pathlib.Path | None,
    annotation: pathlib.Path | None,
    annotations_dir: str | os.PathLike[str],
) -> Problem:
    if image is None:
        what = f"{stem}.*" if annotation == _DOUBLE else str(annotation)
        return Problem(
            what,
            f"{what}: annotation without an image of that name; add the "
            "image or remove it",
        )
    what = f"{stem}.*" if image == _DOUBLE else str(image)
    return Problem(
        what,
        f"{what}: image without an annotation {stem}.png in "
        f"{annotations_dir}; add it or remove the image",
    )


def _others(
    folder: str | os.PathLike[str], used: Sequence[pathlib.Path]
) -> list[str]:
    """Names of files that are neither used nor hidden."""
    names = set(os.listdir(folder)).difference(path.name for path in used)
    return sorted(
        name
        for name in names
        if name[0] != "." and os.path.isfile(os.path.join(folder, name))
    )
