"""What looks wrong in the pictures and labels of splits.

Nothing here is an error: each finding is something that a person should look
at. No finding is made of what most images of a split have, since that is then
what the data is like.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from PIL import Image

__all__ = ["KINDS", "Finding", "Look", "find", "look_at"]

# Kind -> its heading, and what it means.
KINDS = {
    "shared": (
        "The same image in two splits",
        "The score on one is then partly that of images that were learned by "
        "heart. Leave it out of one, or divide by groups (--group_by).",
    ),
    "shared_alike": (
        "Nearly the same image in two splits",
        "Scores tell less than they seem to. Frames of one film or shots of "
        "one scene belong into one split (--group_by).",
    ),
    "same": (
        "The same image twice in a split",
        "It counts twice. Are both annotations the same?",
    ),
    "alike": (
        "Nearly the same image twice in a split",
        "Frames of a film, or a picture that was saved anew.",
    ),
    "empty": (
        "Labels that are nearly empty",
        "Less than 5 % of the picture has a class.",
    ),
    "one_class": (
        "Labels of one class",
        "At least 99.9 % of what is labelled is of one class, which is rare in "
        "this split.",
    ),
    "specks": (
        "Tiny specks",
        "Areas of a class that fit into 5x5 pixels: slips of the tool, or "
        "labels that were resized or saved as JPEG.",
    ),
    "lonely": (
        "A class that one image has",
        "It can hardly be learned from it, and a score on it says little.",
    ),
    "missing": (
        "A class that a split has not",
        "Another split has it.",
    ),
}
_EMPTY = 0.05
_ONE_CLASS = 0.999
# What more than this part of the images of a split have is usual there.
_USUAL = 0.2
_FEW_IMAGES = 3  # ... and so is what so few have.
# Of an area on each side, pixels; and the way to the ring around it.
_RING = 3
# Of the fingerprint: rows, and columns, that are compared with the next one.
_ROWS, _COLUMNS = 16, 16
# Bits that may differ, of 256; and the mean difference of grey values.
_BITS, _GREY = 12, 6.0
# So much lighter or darker one may be as a whole.
_LIGHTER = 48.0
# Images that are compared with all others at a time.
_CHUNK = 512


@dataclasses.dataclass(frozen=True)
class Finding:
    """Something to look at.

    Attributes:
      kind: One of `KINDS`.
      text: What is said of it.
      images: (split, number of the record) of each image that it is about.
      weight: Findings of a kind are shown by it, the largest first.
    """

    kind: str
    text: str
    images: tuple[tuple[str, int], ...]
    weight: float = 0.0


@dataclasses.dataclass(frozen=True)
class Look:
    """What is kept of an image.

    Attributes:
      counts: Pixels of each class.
      pixels: Of the label.
      specks: Areas that fit into 5x5 pixels.
      grey: The picture, made very small, uint8 `[16, 17]`.
    """

    counts: np.ndarray
    pixels: int
    specks: int
    grey: np.ndarray

    @property
    def bits(self) -> np.ndarray:
        """Difference hash: whether each grey value is below the next one."""
        grey = self.grey.astype(np.int16)
        return (grey[:, 1:] > grey[:, :-1]).ravel()


def look_at(image: np.ndarray, label: np.ndarray, num_classes: int) -> Look:
    """Looks at an image.

    Args:
      image: uint8 `[height, width, 3]`, of any size.
      label: uint8 `[height, width]`; not below `num_classes` where ignored.
      num_classes: Number of classes.
    """
    small = Image.fromarray(image).convert("L")
    size = (_COLUMNS + 1, _ROWS)
    counts = np.bincount(label.ravel(), minlength=256)[:num_classes]
    return Look(
        counts=counts,
        pixels=label.size,
        specks=_count_specks(label, num_classes),
        grey=np.asarray(small.resize(size, Image.Resampling.BOX)),
    )


def _count_specks(label: np.ndarray, num_classes: int) -> int:
    """Areas of a class that no pixel of it connects with what is around.

    An area that leaves the 5x5 pixels about one of its own must have a pixel
    on the ring of 7x7 around them.
    """
    height, width = label.shape
    padded = np.pad(label, _RING, constant_values=255)
    alone = label < num_classes
    steps = range(-_RING, _RING + 1)
    for dy in steps:
        for dx in steps:
            if max(abs(dy), abs(dx)) < _RING:
                continue
            top, left = _RING + dy, _RING + dx
            other = padded[top : top + height, left : left + width]
            alone &= other != label
    if not alone.any():
        return 0
    # The first pixel of each area, in the order of reading.
    ids = np.pad(np.where(alone, label, 255), ((1, 0), (1, 1)),
                 constant_values=255)  # fmt: skip
    here = ids[1:, 1:-1]
    before = (ids[1:, :-2], ids[:-1, :-2], ids[:-1, 1:-1], ids[:-1, 2:])
    first = alone & np.all([other != here for other in before], axis=0)
    return max(1, int(first.sum()))


def find(
    looks: Mapping[str, Sequence[Look]],
    digests: Mapping[str, Sequence[str]],
    class_names: Sequence[str],
) -> list[Finding]:
    """Finds what to look at again.

    Args:
      looks: Of each split, its images.
      digests: Of each split, `Manifest.image_digests`; may be empty.
      class_names: One for each class.

    Returns:
      In the order of `KINDS`, the largest of each kind first.
    """
    found = [*_twice(digests), *_alike(looks, digests)]
    for split, of_split in looks.items():
        found += _odd_labels(split, of_split, class_names)
        found += _rare_classes(split, looks, class_names)
    order = list(KINDS)
    return sorted(found, key=lambda x: (order.index(x.kind), -x.weight))


def _twice(digests: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    """Images of the same bytes."""
    places: dict[str, list[tuple[str, int]]] = {}
    for split, of_split in digests.items():
        for index, digest in enumerate(of_split):
            places.setdefault(digest, []).append((split, index))
    for images in places.values():
        if len(images) > 1:
            names = sorted({split for split, _ in images})
            if len(names) == 1:
                text = f"{len(images)} times in {names[0]}"
                yield Finding("same", text, tuple(images))
            elif any(_are_apart(x, y) for x in names for y in names):
                text = f"{len(images)} times, in {' and '.join(names)}"
                yield Finding("shared", text, tuple(images))


def _are_apart(split: str, other: str) -> bool:
    """Not such as train and trainval, which are meant to share images."""
    return split not in other and other not in split


def _alike(
    looks: Mapping[str, Sequence[Look]], digests: Mapping[str, Sequence[str]]
) -> Iterator[Finding]:
    """Pairs of images that look the same, and are not the same file."""
    places = [(split, i) for split, x in looks.items() for i in range(len(x))]
    if len(places) < 2:
        return
    every = [look for of_split in looks.values() for look in of_split]
    keys = [
        digests[split][index] if digests.get(split) else None
        for split, index in places
    ]
    signs = np.array([look.bits for look in every], np.float32) * 2 - 1
    greys = np.array([look.grey for look in every], np.float32)
    means = greys.mean((1, 2))
    greys -= means[:, None, None]
    for start in range(0, len(every), _CHUNK):
        agreed = signs[start : start + _CHUNK] @ signs.T
        # So many bits more agree than do not.
        near = agreed >= signs.shape[1] - 2 * _BITS
        for row, other in zip(*np.nonzero(near), strict=True):
            one, other = start + int(row), int(other)
            same = keys[one] is not None and keys[one] == keys[other]
            if other <= one or same:
                continue
            names = places[one][0], places[other][0]
            if names[0] != names[1] and not _are_apart(*names):
                continue
            gap = float(np.abs(greys[one] - greys[other]).mean())
            lighter = abs(float(means[one] - means[other]))
            if gap <= _GREY and lighter <= _LIGHTER:
                yield _pair(places[one], places[other], gap)


def _pair(one: tuple[str, int], other: tuple[str, int], gap: float) -> Finding:
    shared = one[0] != other[0]
    where = f"in {one[0]} and {other[0]}" if shared else f"in {one[0]}"
    return Finding(
        "shared_alike" if shared else "alike",
        f"{where}; grey values differ by {gap:.1f} of 255",
        (one, other),
        -gap,
    )


def _odd_labels(
    split: str, looks: Sequence[Look], class_names: Sequence[str]
) -> Iterator[Finding]:
    """Labels that are nearly empty, of one class, or speckled."""
    single, speckled = [], []
    for index, look in enumerate(looks):
        where = ((split, index),)
        labelled = int(look.counts.sum())
        share = labelled / look.pixels
        if share < _EMPTY:
            text = f"{share:.1%} of it has a class"
            yield Finding("empty", text, where, -share)
        elif look.counts.max() >= _ONE_CLASS * labelled:
            name = class_names[int(look.counts.argmax())]
            text = f"{look.counts.max() / labelled:.2%} is {name}"
            single.append(Finding("one_class", text, where))
        if look.specks:
            text = f"{look.specks} area{'s' * (look.specks > 1)}"
            speckled.append(Finding("specks", text, where, look.specks))
    if not _is_usual(single, looks):
        yield from single
    if not _is_usual(speckled, looks):
        yield from speckled
    else:
        yield _usual_specks(split, speckled, looks)


def _is_usual(findings: Sequence[Finding], looks: Sequence[Look]) -> bool:
    return len(findings) > max(_FEW_IMAGES, _USUAL * len(looks))


def _usual_specks(
    split: str, speckled: Sequence[Finding], looks: Sequence[Look]
) -> Finding:
    """One finding for all images, where most have specks."""
    worst = sorted(speckled, key=lambda x: -x.weight)
    mean = sum(x.weight for x in speckled) / len(speckled)
    return Finding(
        "specks",
        f"{len(speckled)} of the {len(looks)} images of {split} have some, "
        f"{mean:.0f} areas on average; these have most",
        tuple(x.images[0] for x in worst),
        mean,
    )


def _rare_classes(
    split: str,
    looks: Mapping[str, Sequence[Look]],
    class_names: Sequence[str],
) -> Iterator[Finding]:
    """Classes that one image of a split has, or none though others do."""
    for label, name in enumerate(class_names):
        having = [
            index
            for index, look in enumerate(looks[split])
            if look.counts[label]
        ]
        if len(having) == 1 < len(looks[split]):
            text = f"{name} is in no other image of {split}"
            yield Finding("lonely", text, ((split, having[0]),))
        elif not having and any(
            look.counts[label] for other in looks.values() for look in other
        ):
            yield Finding("missing", f"{name} is not in {split}", ())
