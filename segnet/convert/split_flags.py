"""The flags that say which file goes to which split, checked."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from segnet.constants import SPLIT_NAME_RULE, is_split_name
from segnet.convert.split_choice import SplitChoice, validation_split
from segnet.errors import ConfigError
from segnet.files import expand_path, is_readable

__all__ = ["MAX_FOLDS", "list_files", "parse_choice"]

MAX_FOLDS = 100
_DIVIDING = ("val_fraction", "test_fraction", "group_by", "split_seed")


def list_files(given: Mapping[str, Any]) -> tuple[str, ...]:
    """The paths that `--list_file` names, one for each split or one for all."""
    text = given["list_file"]
    if not text:
        return ()
    # One path may have commas of its own.
    several = "," in given["split"] and not is_readable(expand_path(text))
    return tuple(map(expand_path, text.split(",") if several else [text]))


def parse_choice(given: Mapping[str, Any]) -> SplitChoice:
    """Checks the flags that say which file goes where.

    Args:
      given: The values of the converter's flags.

    Raises:
      ConfigError: One is malformed, missing, or does not go with the others.
    """
    choice = SplitChoice(
        _names(given),
        _fractions(given),
        _pattern(given["group_by"]),
        given["split_seed"] or 0,
    )
    if given["num_folds"]:
        return _folds(given, choice)
    for name in _DIVIDING:
        if given[name] and not choice.fractions:
            raise ConfigError(
                f"--{name}={given[name]}: divides files between splits; give "
                "two, as in --split=train,val with --val_fraction, or "
                "--num_folds"
            )
    return choice


def _folds(given: Mapping[str, Any], choice: SplitChoice) -> SplitChoice:
    """The splits are folds, all of one size."""
    count = given["num_folds"]
    for name in ("split", "val_fraction", "test_fraction"):
        if given[name]:
            raise ConfigError(
                f"--{name}={given[name]}: does not go with --num_folds, which "
                "divides all files into parts of one size, called fold0_val, "
                "fold1_val and so on; leave one of both out"
            )
    return dataclasses.replace(
        choice,
        splits=tuple(map(validation_split, range(count))),
        fractions=(1 / count,) * (count - 1),
        num_folds=count,
    )


def _names(given: Mapping[str, Any]) -> tuple[str, ...]:
    text = given["split"]
    splits = tuple(text.split(",")) if text else ()
    for split in splits:
        if not is_split_name(split):
            raise ConfigError(
                f"--split={text}: {SPLIT_NAME_RULE}, for it begins the names "
                "of files"
            )
    if len(set(splits)) < len(splits):
        raise ConfigError(f"--split={text}: names one split twice")
    return splits


def _fractions(given: Mapping[str, Any]) -> tuple[float, ...]:
    """The parts of all splits but the first."""
    text = given["split"]
    names = text.split(",")
    flags = ("val_fraction", "test_fraction")[: len(names) - 1]
    values = [given[flag] for flag in flags]
    if given["test_fraction"] and len(names) != 3:
        raise ConfigError(
            f"--test_fraction={given['test_fraction']}: is the part of a third "
            "split; give three, as in --split=train,val,test"
        )
    if len(names) == 1 or _needs_no_fractions(given, len(names)):
        return ()
    if len(names) > 3:
        raise ConfigError(
            f"--split={text}: more than three splits need a list each, "
            "--list_file=FILE,FILE,..."
        )
    needed = " and ".join(
        f"--{flag}, the part that {name} gets"
        for flag, name in zip(flags, names[1:], strict=True)
    )
    if not all(value and 0 < value < 1 for value in values) or sum(values) >= 1:
        raise ConfigError(
            f"--split={text}: needs {needed}, above 0 and together below 1, "
            "such as 0.2; or a list for each, --list_file=FILE,FILE"
        )
    return tuple(values)


def _needs_no_fractions(given: Mapping[str, Any], count: int) -> bool:
    """Whether lists divide the files of several splits, or nothing does.

    Raises:
      ConfigError: There are lists, but not one for each split.
    """
    paths = list_files(given)
    if given["val_fraction"] is None and not given["images_dir"]:
        return True  # Records are checked that are there.
    if len(paths) < 2:
        return False  # One list can be divided.
    if given["val_fraction"] or given["test_fraction"]:
        raise ConfigError(
            f"--list_file={given['list_file']}: says which file goes where; "
            "leave --val_fraction and --test_fraction out"
        )
    if len(paths) != count:
        raise ConfigError(
            f"--list_file={given['list_file']}: has {len(paths)} files for "
            f"{count} splits; give one for each, in the same order"
        )
    return True


def _pattern(text: str) -> re.Pattern[str] | None:
    try:
        return re.compile(text) if text else None
    except re.error as error:
        raise ConfigError(
            f"--group_by={text}: is no regular expression ({error})"
        ) from None
