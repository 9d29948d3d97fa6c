"""Pairs of image and annotation files: finding them in two folders."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import unicodedata
from collections.abc import Sequence

from segnet.annotations.reading import ANNOTATION_SUFFIXES
from segnet.convert import folders, names
from segnet.errors import DataError
from segnet.images import image_files

__all__ = ["Folders", "Pair", "Problem", "find_pairs"]

_JPEG_SUFFIXES = (".jpg", ".jpeg")
# Stands for a stem that two files have.
_DOUBLE = pathlib.Path()
# Files by stem.
_Files = dict[str, pathlib.Path]


@dataclasses.dataclass(frozen=True)
class Pair:
    """An image file and its annotation file, of one stem."""

    image: pathlib.Path
    annotation: pathlib.Path

    @property
    def stem(self) -> str:
        """The stem, composed (NFC) as it is compared."""
        return _stem(self.image)


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
      left_aside: A line for each kind of what is not used.
      listed: The stems that each list names.
    """

    pairs: tuple[Pair, ...]
    problems: tuple[Problem, ...]
    left_aside: tuple[str, ...]
    listed: tuple[frozenset[str], ...] = ()


def find_pairs(
    images_dir: str | os.PathLike[str],
    annotations_dir: str | os.PathLike[str],
    list_files: Sequence[str] = (),
) -> Folders:
    """Pairs the files of two folders by their stems.

    Stems are compared as Unicode has them composed (NFC): some systems write
    an accent as a character of its own.

    Args:
      images_dir: Folder of the images.
      annotations_dir: Folder of the annotations.
      list_files: Text files with the names of those to take; none takes all.

    Raises:
      DataError: A folder is missing or cannot be listed, there is no image or
        no annotation in it, both are the same or exchanged, or no name suits
        another one.
    """
    both = pathlib.Path(images_dir), pathlib.Path(annotations_dir)
    folders.check_folders(*both)
    problems: list[Problem] = []
    listed = [
        _list(both[0], "image", image_files.IMAGE_SUFFIXES),
        _list(both[1], "annotation", ANNOTATION_SUFFIXES),
    ]
    for of_folder in listed:
        folders.check_no_pointers(of_folder)
    left = folders.left_aside(*both, [*listed[0], *listed[1]])
    stems = tuple(_listed(path, listed, problems) for path in list_files)
    if stems:
        chosen = frozenset().union(*stems)
        listed = [[path for path in files if _stem(path) in chosen]
                  for files in listed]  # fmt: skip
    images, annotations = (_unique(files, problems) for files in listed)
    if images.keys().isdisjoint(annotations):
        raise DataError(_no_pair(both, images, annotations))
    problems += _unpaired(both, images, annotations)
    pairs = [
        Pair(images[stem], annotations[stem])
        for stem in sorted(images.keys() & annotations.keys())
        # Of a stem that is there twice, _unique has told.
        if _DOUBLE not in (images[stem], annotations[stem])
    ]
    folders.check_not_swapped([(x.image, x.annotation) for x in pairs])
    pairs = _without_jpegs(both[1], pairs, problems)
    return Folders(tuple(pairs), tuple(problems), tuple(left), stems)


def _without_jpegs(
    annotations_dir: pathlib.Path,
    pairs: Sequence[Pair],
    problems: list[Problem],
) -> list[Pair]:
    """The pairs whose annotations are no JPEG files.

    Raises:
      DataError: None, although there are several.
    """
    why = "whose compression changes labels"
    good = []
    for pair in pairs:
        if pair.annotation.suffix.lower() not in _JPEG_SUFFIXES:
            good.append(pair)
            continue
        path = pair.annotation
        line = (
            f"{path}: is a JPEG, {why}; save the annotation as PNG from its "
            "source"
        )
        problems.append(Problem(str(path), line))
    if len(pairs) > 1 and not good:
        raise DataError(
            f"{annotations_dir}: all {len(pairs)} annotations are JPEG files, "
            f"{why}; save them as PNG from their source"
        )
    return good


def _list(
    folder: pathlib.Path, kind: str, suffixes: Sequence[str]
) -> list[pathlib.Path]:
    """The pictures of a folder; annotations that are JPEG are told of later."""
    files = image_files.list_images(folder)
    if not files:
        raise DataError(folders.nothing_there(folder, kind, suffixes))
    return files


def _stem(path: pathlib.Path) -> str:
    return unicodedata.normalize("NFC", path.stem)


def _listed(
    list_file: str,
    files: Sequence[Sequence[pathlib.Path]],
    problems: list[Problem],
) -> frozenset[str]:
    """The stems that a list names, of the files of both folders.

    Raises:
      DataError: None is there.
    """
    there = {_stem(path) for of_folder in files for path in of_folder}
    stems, missing = names.listed_stems(list_file, there)
    if not stems:
        raise DataError(
            f"{list_file}: no name of it, such as {missing[0]}, is that of an "
            f"image in {files[0][0].parent}; check list and folders"
        )
    if missing:
        problems.append(
            Problem(
                list_file,
                f"{list_file}: has {len(missing)} "
                f"name{'s' * (len(missing) > 1)} without a file in "
                f"{files[0][0].parent}, such as {missing[0]}; add the files "
                "or remove the names",
            )
        )
    return frozenset(stems)


def _unique(files: Sequence[pathlib.Path], problems: list[Problem]) -> _Files:
    """Files by stem; of a stem that two files have, `_DOUBLE`."""
    by_stem: _Files = {}
    first: _Files = {}
    for path in files:
        stem = _stem(path)
        other = first.setdefault(stem, path)
        by_stem[stem] = path if other is path else _DOUBLE
        if other is not path:
            problems.append(
                Problem(
                    str(path),
                    f"{path}: has the same stem as {other.name}; rename or "
                    "remove one",
                )
            )
    return by_stem


def _no_pair(
    both: tuple[pathlib.Path, pathlib.Path], images: _Files, annotations: _Files
) -> str:
    """Why no image has an annotation, most likely."""
    if not images or not annotations:
        kind, folder = ("annotation", both[1]) if images else ("image", both[0])
        return f"{folder}: has no {kind} of a name that the list has"
    folded = {stem.casefold() for stem in images}
    if not folded.isdisjoint(map(str.casefold, annotations)):
        why = "they differ in capital letters; rename them"
    elif affixes := names.find_affixes(images, annotations):
        return _affix_line(both, affixes, (images, annotations))
    else:
        why = "these names have nothing in common; check the folders"
    return (
        f"{both[1]}: no annotation has the stem of an image in {both[0]} "
        f"('{min(annotations)}' there, '{min(images)}' here): {why}"
    )


def _affix_line(
    both: tuple[pathlib.Path, pathlib.Path],
    affixes: names.Affixes,
    lonely: tuple[_Files, _Files],
) -> str:
    """What to do about names that differ in a regular way.

    Args:
      both: The folders of images and annotations.
      affixes: How the names differ.
      lonely: Images and annotations without a partner.
    """
    line = (
        f"{both[1]}: names of images in {both[0]} and of annotations differ "
        f"in a regular way, {affixes}, but a pair needs equal stems; "
    )
    if len(affixes.annotations) > 1 or not all(lonely):
        return line + (
            "put the files of one kind into a folder of their own, and rename "
            "annotations like images"
        )
    is_image = not affixes.annotations[0]
    affix = affixes.image if is_image else affixes.annotations[0]
    suffix = max(x.suffix for x in lonely[not is_image].values())
    command = names.rename_command(affix, suffix, affixes.at_start)
    if not command or (affixes.image and not is_image):
        return line + "rename annotations like images"
    return line + f"rename them, in {both[not is_image]} with: {command}"


def _unpaired(
    both: tuple[pathlib.Path, pathlib.Path], images: _Files, annotations: _Files
) -> list[Problem]:
    """Files without a partner; what has one cause is one problem."""
    lonely = (
        {stem: images[stem] for stem in images.keys() - annotations},
        {stem: annotations[stem] for stem in annotations.keys() - images},
    )
    problems = []
    affixes = None
    if max(map(len, lonely)) > 2:
        affixes = names.find_affixes(
            lonely[0] or images, lonely[1] or annotations
        )
    if affixes:
        problems.append(
            Problem(str(both[1]), _affix_line(both, affixes, lonely))
        )
    for stem in sorted(lonely[0].keys() | lonely[1].keys()):
        is_image = stem in lonely[0]
        others = annotations if is_image else images
        if affixes and not affixes.partners(stem, is_image).isdisjoint(others):
            continue
        path = lonely[not is_image][stem]
        problems.append(_lonely(stem, path, is_image, both[1]))
    return problems


def _lonely(
    stem: str, path: pathlib.Path, is_image: bool, annotations_dir: pathlib.Path
) -> Problem:
    what = f"{stem}.*" if path == _DOUBLE else str(path)
    if is_image:
        return Problem(
            what,
            f"{what}: image without an annotation {stem}.png in "
            f"{annotations_dir}; add it or remove the image",
        )
    return Problem(
        what,
        f"{what}: annotation without an image of that name; add the "
        "image or remove it",
    )
