"""Names of images and annotations: differences between them, lists of them."""

from __future__ import annotations

import bisect
import collections
import dataclasses
import itertools
import os
import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Sequence

from segnet.errors import DataError
from segnet.files import read_text

__all__ = ["Affixes", "find_affixes", "listed_stems", "rename_command"]

# So many names are enough to find what all have in common.
_SAMPLE = 20
# So many neighbours in the order of names can be of other kinds.
_NEIGHBOURS = 6


@dataclasses.dataclass(frozen=True)
class Affixes:
    """What to take off names so that those of a pair are equal.

    Attributes:
      image: At the end, or the beginning, of the images' stems; may be empty.
      annotations: Likewise, one for each kind of annotation.
      at_start: Whether it is the beginning.
      count: Images for which it holds.
    """

    image: str
    annotations: tuple[str, ...]
    at_start: bool
    count: int

    def __str__(self) -> str:
        """Says how a pair is called: 'x' beside 'x_L'."""
        names = [
            f"'{affix}x'" if self.at_start else f"'x{affix}'"
            for affix in (self.image, *self.annotations)
        ]
        return f"{names[0]} beside {' and '.join(names[1:])}"

    def partners(self, stem: str, is_image: bool) -> set[str]:
        """Stems that the partners of a file may have."""
        own = (self.image,)
        mine = own if is_image else self.annotations
        theirs = self.annotations if is_image else own
        if self.at_start:
            return {
                new + stem.removeprefix(old)
                for old in mine
                for new in theirs
                if stem.startswith(old)
            }
        return {
            stem.removesuffix(old) + new
            for old in mine
            for new in theirs
            if stem.endswith(old)
        }


def find_affixes(
    images: Collection[str], annotations: Collection[str]
) -> Affixes | None:
    """Looks for what most names of two kinds differ by.

    Args:
      images: Stems.
      annotations: Stems.

    Returns:
      What explains the most names, at least half of them; or None.
    """
    found = [
        affixes
        for at_start in (False, True)
        if (affixes := _find(images, annotations, at_start))
    ]
    return max(found, key=lambda each: each.count, default=None)


def _find(
    images: Collection[str], annotations: Collection[str], at_start: bool
) -> Affixes | None:
    """Compares beginnings and leaves ends; `at_start` does it backwards."""
    step = -1 if at_start else 1
    left = sorted(stem[::step] for stem in images)
    right = sorted(stem[::step] for stem in annotations)
    there = set(right)
    counts = {
        ends: sum(
            stem.endswith(ends[0])
            and stem[: len(stem) - len(ends[0])] + ends[1] in there
            for stem in left
        )
        for ends in set(_candidates(left, right))
    }
    enough = max(1, min(len(left), len(right)) // 2)
    kinds = collections.defaultdict(list)
    for (image, annotation), count in counts.items():
        # One name that is like another one by chance explains nothing.
        if count >= enough and (count > 1 or not image or not annotation):
            kinds[image].append((count, annotation))
    if not kinds:
        return None
    image, ends = max(kinds.items(), key=lambda item: max(item[1]))
    annotations = tuple(sorted(end[::step] for _, end in ends))
    return Affixes(image[::step], annotations, at_start, max(ends)[0])


def _candidates(
    left: Sequence[str], right: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """What is left of some names behind what they have in common."""
    for stem in left[:: max(1, len(left) // _SAMPLE)]:
        at = bisect.bisect(right, stem)
        for other in right[max(0, at - _NEIGHBOURS) : at + _NEIGHBOURS]:
            both = zip(stem, other, strict=False)
            same = itertools.takewhile(lambda pair: pair[0] == pair[1], both)
            common = len(list(same))
            if stem != other and common < min(len(stem), len(other)):
                # Not in the middle of a word that both have: left, label.
                parts = list(re.finditer(r"[\W_]", stem[:common]))
                common = parts[-1].start() if parts else common
            if stem != other and common:
                yield stem[common:], other[common:]


def rename_command(affix: str, suffix: str, at_start: bool) -> str:
    """A shell command that takes an affix off names; empty if it is odd.

    Args:
      affix: What to take off.
      suffix: Of the files, such as `.png`.
      at_start: Whether it is at the beginning of the names.
    """
    if not re.fullmatch(r"[\w.-]+", affix):
        return ""
    if at_start:
        return f'for f in ./{affix}*; do mv -n "$f" "./${{f#./{affix}}}"; done'
    end = f"{affix}{suffix}"
    return f'for f in ./*{end}; do mv -n "$f" "${{f%{end}}}{suffix}"; done'


def listed_stems(
    path: str, known: Collection[str]
) -> tuple[list[str], list[str]]:
    """Reads the names of a split, one a line, as Pascal VOC has them.

    A line may also be a file name or a path, also one of Windows, and have
    something else behind it after a space: CamVid's lists name image and
    annotation. Bytes that are not UTF-8 are taken as names have them.

    Args:
      path: Of the list.
      known: Stems that there are, composed (NFC).

    Returns:
      The stems, and the lines for which there is none.

    Raises:
      DataError: It cannot be read, or has no line.
    """
    text = unicodedata.normalize("NFC", read_text(path, "surrogateescape"))
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    if not lines:
        raise DataError(f"{path}: is empty; write the name of an image a line")
    found = [_stem(line, known.__contains__) for line in lines]
    missing = [
        line for line, stem in zip(lines, found, strict=True) if not stem
    ]
    return [stem for stem in found if stem], missing


def _stem(line: str, is_known: Callable[[str], bool]) -> str:
    """The stem that a line of a list means; empty if there is none."""
    for name in (line, *line.split()[:1]):
        base = os.path.basename(name)
        for each in (base, base.rpartition("\\")[2]):
            for stem in (each, os.path.splitext(each)[0]):
                if is_known(stem):
                    return stem
    return ""
