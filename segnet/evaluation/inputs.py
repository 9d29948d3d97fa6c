"""What is to be labelled: the pictures that a path stands for."""

from __future__ import annotations

import dataclasses
import os

from segnet.errors import ConfigError, DataError
from segnet.evaluation import results
from segnet.images import image_files

__all__ = ["Inputs", "find_inputs"]


@dataclasses.dataclass(frozen=True)
class Inputs:
    """What there is to label.

    Attributes:
      paths: Of the pictures, sorted by name.
      problems: One line for each link to a picture that is not there.
      left_aside: Names of what else is in the folder.
    """

    paths: list[str]
    problems: list[str]
    left_aside: list[str]


def find_inputs(image_path: str) -> Inputs:
    """The pictures to label.

    Args:
      image_path: A file, or a folder; results of earlier predictions in it are
        no pictures.

    Raises:
      ConfigError: If there is no such path.
      DataError: If the folder has no image, or two with one stem.
    """
    if not image_path:
        raise ConfigError(
            "--mode=predict needs --image_path: an image file or a folder"
        )
    if os.path.isfile(image_path):
        return Inputs([image_path], [], [])
    if not os.path.isdir(image_path):
        there = os.path.exists(image_path)
        what = "is no file and no folder" if there else "does not exist"
        raise ConfigError(
            f"--image_path={image_path} {what}; give an image file or a "
            "folder of images"
        )
    images = [str(path) for path in image_files.list_images(image_path)]
    problems, left_aside = _look_aside(image_path, set(images))
    paths = [path for path in images if not _is_result(path)]
    if not paths and not problems:
        raise DataError(
            f"{image_path}: no image to label in this folder "
            f"({', '.join(image_files.IMAGE_SUFFIXES)}; results of earlier "
            "predictions are none); give another --image_path"
        )
    _check_stems(paths)
    return Inputs(paths, problems, left_aside)


def _is_result(path: str) -> bool:
    try:
        return results.is_result(path)
    except DataError:
        return False  # Told of when it is to be labelled.


def _look_aside(folder: str, images: set[str]) -> tuple[list[str], list[str]]:
    """Dead links to images, and names of what else is no image."""
    problems, left_aside = [], []
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if path in images or name.startswith("."):
            continue
        is_image = name.lower().endswith(image_files.IMAGE_SUFFIXES)
        if is_image and os.path.islink(path) and not os.path.exists(path):
            problems.append(f"{path}: is a link to nothing; mend or remove it")
        else:
            left_aside.append(name)
    return problems, left_aside


def _check_stems(paths: list[str]) -> None:
    """Refuses pictures whose results would have the same names."""
    by_stem: dict[str, str] = {}
    for path in paths:
        stem = os.path.splitext(os.path.basename(path))[0]
        other = by_stem.setdefault(stem, path)
        if other != path:
            raise DataError(
                f"{path} and {other} have the same stem, so their results "
                "would overwrite each other; rename one"
            )
