"""Which pair belongs to which split: all to one, or a part to a second."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
from collections.abc import Collection, Sequence

from segnet.convert.pairs import Pair
from segnet.errors import DataError

__all__ = ["SplitChoice", "divide"]

# How many other seeds are tried to name one that suits.
_SEEDS = 1000


@dataclasses.dataclass(frozen=True)
class SplitChoice:
    """How pairs are divided.

    Attributes:
      splits: Their names. One takes all pairs; of two, the second takes a part.
      fraction: About this part of the groups, between 0 and 1.
      group_by: Files are of one group if what this finds in their stems (the
        first bracket, if it has one) is the same; None makes each file one.
      seed: Another one gives another division.
    """

    splits: tuple[str, ...]
    fraction: float = 0.0
    group_by: re.Pattern[str] | None = None
    seed: int = 0


def divide(
    pairs: Sequence[Pair], choice: SplitChoice
) -> dict[str, tuple[Pair, ...]]:
    """The pairs of each split.

    Where a file goes depends on the name of its group and the seed alone, so
    that files that are added later move no other one.

    Raises:
      DataError: A stem has no group, or a split would be empty.
    """
    if len(choice.splits) == 1:
        return {choice.splits[0]: tuple(pairs)}
    groups = [_group(pair, choice) for pair in pairs]
    taken = [_is_taken(group, choice.seed, choice) for group in groups]
    if not any(taken) or all(taken):
        empty, count = choice.splits[0 if any(taken) else 1], len(set(groups))
        raise DataError(
            f"--split={','.join(choice.splits)}: no image of {len(pairs)}, in "
            f"{count} group{'s' * (count > 1)}, falls to {empty} with "
            f"--split_seed={choice.seed}; {_other_seed(set(groups), choice)}"
        )
    return {
        split: tuple(
            pair
            for pair, is_taken in zip(pairs, taken, strict=True)
            if is_taken == bool(number)
        )
        for number, split in enumerate(choice.splits)
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


def _is_taken(group: str, seed: int, choice: SplitChoice) -> bool:
    """Whether a group falls to the second split."""
    digest = hashlib.sha256(os.fsencode(f"{seed}:{group}")).digest()
    return int.from_bytes(digest[:8], "big") < choice.fraction * 2**64


def _other_seed(groups: Collection[str], choice: SplitChoice) -> str:
    """Names the seed with which the part is nearest to what is wanted."""
    if len(groups) < 2:
        return "there must be two groups at least"

    def miss(seed: int) -> float:
        count = sum(_is_taken(group, seed, choice) for group in groups)
        if count in (0, len(groups)):
            return len(groups)
        return abs(count - choice.fraction * len(groups))

    seed = min(range(_SEEDS), key=miss)
    return f"give --split_seed={seed}, or more images"
