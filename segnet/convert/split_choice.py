"""Which pair belongs to which split: by lists, or a part of them to each."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
from collections.abc import Collection

from segnet.convert.pairs import Folders, Pair
from segnet.errors import DataError

__all__ = ["SplitChoice", "divide", "validation_split"]

# How many other seeds are tried to name one that suits.
_SEEDS = 1000


@dataclasses.dataclass(frozen=True)
class SplitChoice:
    """How pairs are divided.

    Attributes:
      splits: Their names.
      fractions: About the part of the groups that each split but the first
        gets; their sum is below 1. Empty if there is one split, or a list for
        each.
      group_by: Files are of one group if what this finds in their stems (the
        first bracket, if it has one) is the same; None makes each file one.
      seed: Another one gives another division.
      num_folds: The splits are this many folds, each to be held out once; 0 if
        they are none.
    """

    splits: tuple[str, ...]
    fractions: tuple[float, ...] = ()
    group_by: re.Pattern[str] | None = None
    seed: int = 0
    num_folds: int = 0


def validation_split(fold: int) -> str:
    """The name of the split that is a fold."""
    return f"fold{fold}_val"


def divide(
    folders: Folders, choice: SplitChoice
) -> dict[str, tuple[Pair, ...]]:
    """The pairs of each split.

    Without lists, where a file goes depends on the name of its group and the
    seed alone, so that files that are added later move no other one, nor does
    another split behind the second.

    Raises:
      DataError: A stem has no group, or a split would be empty.
    """
    pairs = folders.pairs
    if not choice.fractions:
        return _by_lists(folders, choice)
    groups = [_group(pair, choice) for pair in pairs]
    numbers = [_number(group, choice.seed, choice) for group in groups]
    empty = set(range(len(choice.splits))) - set(numbers)
    if empty:
        count = len(set(groups))
        raise DataError(
            f"split {choice.splits[min(empty)]}: gets no image of "
            f"{len(pairs)}, in {count} group{'s' * (count > 1)}, with "
            f"--split_seed={choice.seed}; {_other_seed(set(groups), choice)}"
        )
    return {
        split: tuple(
            pair
            for pair, its_number in zip(pairs, numbers, strict=True)
            if its_number == number
        )
        for number, split in enumerate(choice.splits)
    }


def _by_lists(
    folders: Folders, choice: SplitChoice
) -> dict[str, tuple[Pair, ...]]:
    """All pairs, or for each of several splits those that its list names."""
    if len(choice.splits) == 1:
        return {choice.splits[0]: folders.pairs}
    both = zip(choice.splits, folders.listed, strict=True)
    return {
        split: tuple(pair for pair in folders.pairs if pair.stem in stems)
        for split, stems in both
    }


def _group(pair: Pair, choice: SplitChoice) -> str:
    stem = pair.stem
    if choice.group_by is None:
        return stem
    match = choice.group_by.search(stem)
    # A bracket that need not be there may have found nothing, too.
    found = match and (match[1] if choice.group_by.groups else match[0])
    if found is None:
        raise DataError(
            f"{pair.image}: --group_by={choice.group_by.pattern} finds nothing "
            f"in '{stem}'; correct the expression"
        )
    return found


def _number(group: str, seed: int, choice: SplitChoice) -> int:
    """The number of the split that a group falls to.

    A hash places the group between 0 and 1. The second split reaches up from 0
    and the others, one below the other, down from 1: what `val` gets does not
    depend on whether there is a `test`.
    """
    digest = hashlib.sha256(os.fsencode(f"{seed}:{group}")).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    second, *others = choice.fractions
    if place < second:
        return 1
    bound = 1.0
    for number, fraction in enumerate(others, start=2):
        bound -= fraction
        if place >= bound:
            return number
    return 0


def _other_seed(groups: Collection[str], choice: SplitChoice) -> str:
    """Names the seed with which the parts are nearest to what is wanted."""
    count = len(choice.splits)
    if len(groups) < count:
        return f"there must be {count} groups at least"
    parts = (1 - sum(choice.fractions), *choice.fractions)

    def miss(seed: int) -> float:
        numbers = [_number(group, seed, choice) for group in groups]
        counts = [numbers.count(number) for number in range(count)]
        if not all(counts):
            return 2 * len(groups)  # more than any other
        both = zip(counts, parts, strict=True)
        return sum(abs(got - part * len(groups)) for got, part in both)

    seed = min(range(_SEEDS), key=miss)
    if miss(seed) == 2 * len(groups):
        return "no seed below 1000 suits; give more images, or fewer splits"
    return f"give --split_seed={seed}, or more images"
