"""What is to be labelled: the pictures that a path stands for."""

from __future__ import annotations

import dataclasses
import glob
import itertools
import os
from collections.abc import Iterator

from segnet.errors import ConfigError, DataError
from segnet.evaluation import results
from segnet.images import image_files
from segnet.images.films import FILM_SUFFIXES, is_paged
from segnet.progress import warn

__all__ = ["Inputs", "Source", "find_inputs", "warn_of_rest"]

_SHOWN = 5  # of what is left aside

# Each once, in this order.
_SUFFIXES = tuple(dict.fromkeys((*image_files.IMAGE_SUFFIXES, *FILM_SUFFIXES)))


@dataclasses.dataclass(frozen=True)
class Source:
    """A picture to label.

    Attributes:
      path: Of the file.
      file: The same from the folder that was named.
      frame: Of a film, from 1; 0 of a picture, and of a film as a whole.
    """

    path: str
    file: str
    frame: int = 0

    @property
    def name(self) -> str:
        """Of its results, without their endings: with its sub-folders."""
        name = os.path.splitext(self.file)[0]
        return f"{name}/{self.frame:06d}" if self.frame else name

    @property
    def shown(self) -> str:
        """What a table calls it."""
        return f"{self.file}#{self.frame}" if self.frame else self.file


@dataclasses.dataclass(frozen=True)
class Inputs:
    """What there is to label.

    Attributes:
      sources: The pictures, sorted by folder and name.
      films: What has several frames, likewise.
      problems: One line for each link to a picture that is not there.
      left_aside: What else is there, from the folder that was named.
    """

    sources: list[Source]
    films: list[Source] = dataclasses.field(default_factory=list)
    problems: list[str] = dataclasses.field(default_factory=list)
    left_aside: list[str] = dataclasses.field(default_factory=list)


def find_inputs(image_path: str, *, recursive: bool = False) -> Inputs:
    """The pictures to label.

    Args:
      image_path: A file, a folder, or a pattern such as `photos/*/left_*.png`
        (`**` stands for any number of folders). Results of earlier predictions
        in folders are no pictures.
      recursive: Whether to look into the folders of a folder, too; links to
        folders are not followed.

    Raises:
      ConfigError: If there is no such path.
      DataError: If there is no picture, or two have one name for their results.
    """
    if not image_path:
        raise ConfigError(
            "--mode=predict needs --image_path: an image file or a folder"
        )
    if os.path.isfile(image_path):
        found = Inputs([])
        _take(Source(image_path, os.path.basename(image_path)), found)
        return found
    if os.path.isdir(image_path):
        found = _in_folder(image_path, image_path, recursive)
    elif glob.has_magic(image_path) and not os.path.lexists(image_path):
        found = _matches(image_path, recursive)
    else:
        there = os.path.exists(image_path)
        what = "is no file and no folder" if there else "does not exist"
        raise ConfigError(
            f"--image_path={image_path} {what}; give an image file, a folder "
            "of images or a pattern"
        )
    if not (found.sources or found.films or found.problems):
        deeper = "" if recursive else ", or --recursive for the folders in it"
        raise DataError(
            f"{image_path}: no image to label here "
            f"({', '.join(_SUFFIXES)}; results of earlier "
            f"predictions are none); give another --image_path{deeper}"
        )
    _check_names([*found.sources, *found.films])
    return found


def warn_of_rest(folder: str, inputs: Inputs, silenced: frozenset[str]) -> None:
    """Says what in a folder is not looked at.

    Args:
      folder: As the user named it.
      inputs: What was found in it.
      silenced: Names of the warnings that are not shown.
    """
    names = inputs.left_aside
    if names:
        shown = ", ".join(names[:_SHOWN]) + (", ..." * (len(names) > _SHOWN))
        warn(
            "left_aside",
            f"{folder}: {len(names)} other files and folders are not labelled "
            f"({shown}); --recursive labels what is in folders, too",
            silenced,
        )


def _take(source: Source, found: Inputs) -> None:
    """Puts a file where it belongs."""
    is_film = source.path.lower().endswith(FILM_SUFFIXES)
    if is_film and source.path.lower().endswith(image_files.IMAGE_SUFFIXES):
        is_film = is_paged(source.path)
    (found.films if is_film else found.sources).append(source)


def _in_folder(folder: str, root: str, recursive: bool) -> Inputs:
    """What is in a folder, with paths from the folder `root`."""
    found = Inputs([])
    for place in _folders(folder) if recursive else [folder]:
        listed = image_files.list_images(place, _SUFFIXES)
        images = [str(path) for path in listed]
        problems, left_aside = _look_aside(place, set(images), recursive)
        found.problems.extend(problems)
        found.left_aside.extend(os.path.relpath(x, root) for x in left_aside)
        for path in images:
            if not _is_result(path):
                _take(Source(path, os.path.relpath(path, root)), found)
    return found


def _folders(folder: str) -> Iterator[str]:
    """A folder and those in it, but hidden ones and links."""
    for place, names, _ in os.walk(folder):
        names[:] = sorted(name for name in names if not name.startswith("."))
        yield place


def _matches(pattern: str, recursive: bool) -> Inputs:
    """What a pattern stands for."""
    parts = pattern.split(os.sep)
    fixed = itertools.takewhile(lambda part: not glob.has_magic(part), parts)
    root = os.sep.join(fixed) or (os.sep if os.path.isabs(pattern) else ".")
    found = Inputs([])
    paths = sorted(glob.glob(pattern, recursive=True))
    if not paths:
        raise ConfigError(f"--image_path={pattern}: nothing has such a name")
    for path in paths:
        file = os.path.relpath(path, root)
        if recursive and os.path.isdir(path):
            inside = _in_folder(path, root, recursive)
            found.sources.extend(inside.sources)
            found.films.extend(inside.films)
            found.problems.extend(inside.problems)
            found.left_aside.extend(inside.left_aside)
        elif not _is_image_name(path) or os.path.isdir(path):
            found.left_aside.append(file)
        elif not os.path.exists(path):
            found.problems.append(_dead_link(path))
        elif not _is_result(path):
            _take(Source(path, file), found)
    return dataclasses.replace(
        found, sources=_unique(found.sources), films=_unique(found.films)
    )


def _unique(sources: list[Source]) -> list[Source]:
    """Each once: `**` finds a folder and what is in it."""
    by_path = {source.path: source for source in sources}
    return sorted(by_path.values(), key=lambda x: os.path.split(x.file))


def _is_image_name(path: str) -> bool:
    return path.lower().endswith(_SUFFIXES)


def _is_result(path: str) -> bool:
    try:
        return results.is_result(path)
    except DataError:
        return False  # Told of when it is to be labelled.


def _dead_link(path: str) -> str:
    return f"{path}: is a link to nothing; mend or remove it"


def _look_aside(
    folder: str, images: set[str], recursive: bool
) -> tuple[list[str], list[str]]:
    """Dead links to images, and paths of what else is not looked at."""
    problems, left_aside = [], []
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if path in images or name.startswith(".") or _is_result(path):
            continue
        is_link = os.path.islink(path)
        if _is_image_name(name) and is_link and not os.path.exists(path):
            problems.append(_dead_link(path))
        elif not (recursive and os.path.isdir(path) and not is_link):
            left_aside.append(path)
    return problems, left_aside


def _check_names(sources: list[Source]) -> None:
    """Refuses pictures whose results would have the same names."""
    by_name: dict[str, str] = {}
    for source in sources:
        other = by_name.setdefault(source.name, source.path)
        if other != source.path:
            raise DataError(
                f"{source.path} and {other} have the same stem, so their "
                "results would overwrite each other; rename one"
            )
