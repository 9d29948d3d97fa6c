"""K-fold cross-validation: each fold is held out once, the others train.

A fold is a split of its own, `fold0_val`. The training split that leaves it
out, `fold0_train`, is a manifest alone: its shards are those of the other
folds, so that the records are on the disk once.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence

from segnet.convert.split_writer import SplitWriter
from segnet.errors import DataError
from segnet.records import splits
from segnet.records.manifest import Manifest
from segnet.records.merging import merge_manifests

__all__ = [
    "TrainingSplits",
    "is_training_split",
    "training_split",
    "training_splits",
]

_NAMES = re.compile(r"fold(\d+)_(train|val)")


def training_split(fold: int) -> str:
    """The name of the split that has all folds but one."""
    return f"fold{fold}_train"


def is_training_split(split: str) -> bool:
    """Whether a split has records of others, by its name."""
    match = _NAMES.fullmatch(split)
    return match is not None and match[2] == "train"


class TrainingSplits:
    """Writes the training splits of all folds; see `training_splits`."""

    def __init__(
        self, writers: Sequence[SplitWriter], old: Sequence[SplitWriter]
    ) -> None:
        """Takes writers of the splits, and of those of further folds before."""
        self._writers = writers
        self._old = old

    def withdraw(self) -> None:
        """Removes those that are there, before their shards are replaced.

        Raises:
          RunError: They cannot be removed.
        """
        for writer in (*self._writers, *self._old):
            writer.withdraw()

    def write(self, folds: Sequence[Manifest]) -> list[Manifest]:
        """Writes them once the folds are there.

        Raises:
          RunError: They cannot be written.
        """
        merged = []
        for number, writer in enumerate(self._writers):
            others = [*folds[:number], *folds[number + 1 :]]
            manifest = merge_manifests(training_split(number), others)
            writer.commit_manifest(manifest)
            merged.append(manifest)
        return merged


@contextlib.contextmanager
def training_splits(
    output_dir: str,
    num_folds: int,
    *,
    overwrite: bool = False,
    check: Callable[[], None] = lambda: None,
) -> Iterator[TrainingSplits]:
    """Prepares the training splits; holds their locks meanwhile.

    Args:
      output_dir: Folder of the shards.
      num_folds: 0 if there are none to write.
      overwrite: Whether folds that are there may be replaced, and those of a
        division into more folds be removed.
      check: As in `SplitWriter`.

    Raises:
      DataError: Folds are there and `overwrite` is not set.
      RunError: As in `SplitWriter`.
    """
    names = list(map(training_split, range(num_folds)))
    old = _old_folds(output_dir, num_folds)
    if old and not overwrite:
        raise DataError(
            f"{splits.manifest_path(output_dir, old[0])}: is of a division "
            f"into more than {num_folds} folds; give --overwrite to replace "
            "all of it, or another --output_dir"
        )
    with contextlib.ExitStack() as stack:
        writers = [
            stack.enter_context(
                SplitWriter(output_dir, name, overwrite=overwrite, check=check)
            )
            for name in (*names, *old)
        ]
        yield TrainingSplits(writers[:num_folds], writers[num_folds:])


def _old_folds(output_dir: str, num_folds: int) -> list[str]:
    """Splits that are there of folds that there are not to be."""
    if not num_folds:
        return []
    matches = map(_NAMES.fullmatch, splits.list_splits(output_dir))
    return [
        match[0] for match in matches if match and int(match[1]) >= num_folds
    ]
