"""What lies in the input folders beside the files that are used."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TypeVar

from segnet.convert.names import find_affixes
from segnet.errors import DataError
from segnet.images.decoding import (
    count_pixels,
    decode_pixels,
    is_lfs_pointer,
    open_image,
)
from segnet.images.image_files import IMAGE_SUFFIXES

__all__ = [
    "check_folders",
    "check_no_pointers",
    "check_not_swapped",
    "left_aside",
    "nothing_there",
]

_EXAMPLES = 5
# Masks have at most so many colours, photographs more.
_MASK_COLOURS = 64
_PHOTO_COLOURS = 256
# Larger pictures are not looked at before their turn.
_LOOK_PIXELS = 16 * 1024 * 1024
_Thing = TypeVar("_Thing")


def check_folders(
    images_dir: pathlib.Path, annotations_dir: pathlib.Path
) -> None:
    """Checks that there are two folders.

    Raises:
      DataError: They are one and the same.
    """
    try:
        same = os.path.samefile(images_dir, annotations_dir)
    except OSError:
        return  # listing them tells what is wrong
    if not same:
        return
    stems = [os.path.splitext(name)[0] for name in os.listdir(images_dir)]
    affixes = find_affixes(stems, stems)
    seen = f" (there is {affixes})" if affixes else ""
    raise DataError(
        f"{images_dir}: is both --images_dir and --annotations_dir; put "
        f"images and annotations{seen} into two folders, a pair with equal "
        "stems"
    )


def check_not_swapped(
    pairs: Sequence[tuple[pathlib.Path, pathlib.Path]],
) -> None:
    """Looks at three pairs of image and annotation.

    Raises:
      DataError: The images are masks and the annotations are photographs.
    """
    looked_at = _three(pairs)
    if looked_at and all(
        0 < _count_colours(image) <= _MASK_COLOURS
        and _count_colours(annotation) > _PHOTO_COLOURS
        for image, annotation in looked_at
    ):
        image, annotation = pairs[0]
        raise DataError(
            f"{image}: has the few colours of a mask, but {annotation} those "
            "of a photograph; exchange --images_dir and --annotations_dir"
        )


def check_no_pointers(files: Sequence[pathlib.Path]) -> None:
    """Looks at three files of a folder.

    Raises:
      DataError: git-lfs keeps them elsewhere.
    """
    looked_at = _three(files)
    if len(looked_at) > 1 and all(map(is_lfs_pointer, looked_at)):
        raise DataError(
            f"{files[0].parent}: its files, such as {files[0].name}, are "
            "git-LFS pointers, not the pictures themselves; get the pictures "
            "with 'git lfs pull'"
        )


def _three(things: Sequence[_Thing]) -> list[_Thing]:
    """The first, the middle and the last one."""
    middle = len(things) // 2
    return [*things[:1], *things[max(middle, 1) :][:1], *things[2:][-1:]]


def _count_colours(path: pathlib.Path) -> int:
    """Colours of an image; 0 if it is large or damaged, told of later."""
    if count_pixels(path) > _LOOK_PIXELS:
        return 0
    try:
        image = decode_pixels(*open_image(path), path)
    except DataError:
        return 0
    counted = image.convert("RGB").getcolors(_PHOTO_COLOURS)
    return _PHOTO_COLOURS + 1 if counted is None else len(counted)


def nothing_there(
    folder: pathlib.Path, kind: str, suffixes: Collection[str]
) -> str:
    """The line about a folder without a file that can be used."""
    line = f"{folder}: has no {kind} ({', '.join(suffixes)})"
    inside = [
        (name, count)
        for name in _entries(folder, os.DirEntry.is_dir)
        if (count := len(_pictures(folder / name)))
    ]
    if not inside:
        others = _entries(folder, os.DirEntry.is_file)
        dead = _entries(folder, _is_dead_link)
        there = f"; it has {_list(others)}" if others else ""
        nowhere = f"; it has links to nowhere: {_list(dead)}" if dead else ""
        return f"{line}{there}{nowhere}; check the path"
    name, count = inside[0]
    return (
        f"{line}, but {count} in {folder / name}; folders inside it are not "
        "searched: give that one, or move the files up"
    )


def left_aside(
    images_dir: pathlib.Path,
    annotations_dir: pathlib.Path,
    used: Collection[pathlib.Path],
) -> Iterator[str]:
    """Says what is not used, a line for each kind and folder.

    Args:
      images_dir: Folder of the images.
      annotations_dir: Folder of the annotations.
      used: The files of both that have a suffix of a picture.
    """
    names = {path.name for path in used}
    for folder in (images_dir, annotations_dir):
        files = _entries(folder, os.DirEntry.is_file)
        if others := [name for name in files if name not in names]:
            yield f"{folder}: left aside {_list(others)}, of other kinds"
        if dead := _entries(folder, _is_dead_link):
            yield f"{folder}: left aside {_list(dead)}, links to nowhere"
    yield from _subfolders(images_dir, annotations_dir)


def _subfolders(
    images_dir: pathlib.Path, annotations_dir: pathlib.Path
) -> Iterator[str]:
    """A line for each input folder that has folders inside."""
    both = {folder: _entries(folder, os.DirEntry.is_dir)
            for folder in (images_dir, annotations_dir)}  # fmt: skip
    inside = set(both[images_dir]) & set(both[annotations_dir])
    pairs = {
        name: len(
            _pictures(images_dir / name) & _pictures(annotations_dir / name)
        )
        for name in inside
    }
    if count := sum(pairs.values()):
        those = sorted(name for name in pairs if pairs[name])
        yield (
            f"{images_dir}: left aside {_list(those, 'folder')} with {count} "
            f"pair{'s' * (count > 1)} inside, for folders inside {images_dir} "
            f"and {annotations_dir} are not searched; move the files up, or "
            "convert each folder as a split"
        )
        return
    for folder, names in both.items():
        if names:
            count = sum(len(_pictures(folder / name)) for name in names)
            yield (
                f"{folder}: left aside {_list(names, 'folder')} with {count} "
                f"picture{'s' * (count != 1)} inside; folders inside are not "
                "searched"
            )


def _entries(
    folder: pathlib.Path, kind: Callable[[os.DirEntry], bool]
) -> list[str]:
    """Names of the entries of a kind that are not hidden, in order."""
    with os.scandir(folder) as entries:
        return sorted(
            entry.name
            for entry in entries
            if not entry.name.startswith(".") and _holds(kind, entry)
        )


def _holds(kind: Callable[[os.DirEntry], bool], entry: os.DirEntry) -> bool:
    try:
        return kind(entry)
    except OSError:  # a link to itself
        return kind is _is_dead_link


def _is_dead_link(entry: os.DirEntry) -> bool:
    return entry.is_symlink() and not os.path.exists(entry.path)


def _pictures(folder: pathlib.Path) -> set[str]:
    """Paths of the pictures below a folder, without their suffixes."""
    found = set()
    for path, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            stem, suffix = os.path.splitext(name)
            if suffix.lower() in IMAGE_SUFFIXES and not name.startswith("."):
                found.add(os.path.relpath(os.path.join(path, stem), folder))
    return found


def _list(names: list[str], unit: str = "file") -> str:
    """'3 files (a, b, c)', 'the folder a'."""
    if len(names) == 1:
        return f"the {unit} {names[0]}"
    more = ", ..." if len(names) > _EXAMPLES else ""
    return f"{len(names)} {unit}s ({', '.join(names[:_EXAMPLES])}{more})"
