"""Whether a split makes sense: by itself, and beside the others of its folder.

What cannot be right is an error; what most likely is a mistake is a warning.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Collection, Iterator, Mapping, Sequence

from segnet.errors import DataError
from segnet.records import splits
from segnet.records.manifest import Manifest

__all__ = [
    "SplitFacts",
    "check_class_names",
    "check_labelled",
    "joined",
    "one_class",
    "other_splits",
    "shared_images",
    "split_classes",
    "unused_classes",
]

_EXAMPLES = 5
# So many classes fit into a line.
_SHOWN_CLASSES = 12


@dataclasses.dataclass(frozen=True)
class SplitFacts:
    """What is looked at of a split.

    Attributes:
      split: Its name.
      class_names: One for each class.
      pixel_counts: Pixels of each class.
      image_digests: As in `Manifest`.
    """

    split: str
    class_names: tuple[str, ...]
    pixel_counts: tuple[int, ...]
    image_digests: tuple[str, ...]

    @classmethod
    def of(cls, manifest: Manifest) -> SplitFacts:
        """Those of a split that is there."""
        fields = (field.name for field in dataclasses.fields(cls))
        return cls(*(getattr(manifest, name) for name in fields))

    def present(self) -> set[str]:
        """Names of the classes that have pixels."""
        both = zip(self.class_names, self.pixel_counts, strict=True)
        return {name for name, count in both if count}


def joined(split: str, parts: Sequence[SplitFacts]) -> SplitFacts:
    """What is looked at of a split that has the images of others."""
    counts = (part.pixel_counts for part in parts)
    return SplitFacts(
        split,
        parts[0].class_names,
        tuple(map(sum, zip(*counts, strict=True))),
        tuple(digest for part in parts for digest in part.image_digests),
    )


def other_splits(
    output_dir: str | os.PathLike[str], replaced: Collection[str]
) -> list[SplitFacts]:
    """The splits in a folder that are not about to be replaced."""
    found = []
    for split in splits.list_splits(output_dir):
        if split in replaced:
            continue
        try:
            found.append(SplitFacts.of(splits.read_manifest(output_dir, split)))
        except DataError:
            continue  # incomplete or no manifest: its own reader tells
    return found


def check_class_names(
    class_names: Sequence[str],
    others: Sequence[SplitFacts],
    output_dir: str | os.PathLike[str],
) -> None:
    """Checks that all splits of a folder have the same classes.

    Raises:
      DataError: They differ in number, names or order.
    """
    for other in others:
        if other.class_names == tuple(class_names):
            continue
        path = splits.manifest_path(output_dir, other.split)
        raise DataError(
            f"{path}: split {other.split} "
            f"{_difference(other.class_names, class_names)}; convert both with "
            "the same --num_classes, --class_names and --label_map, into "
            f"another --output_dir, or after removing {path}"
        )


def _difference(there: Sequence[str], here: Sequence[str]) -> str:
    """How the classes of two splits differ."""
    if max(len(there), len(here)) <= _SHOWN_CLASSES:
        return (
            f"has the classes {', '.join(there)}, not {', '.join(here)} in "
            "this order"
        )
    if len(there) != len(here):
        return f"has {len(there)} classes, not {len(here)}"
    both = zip(there, here, strict=True)
    number, (name, other) = next(
        (number, pair) for number, pair in enumerate(both) if pair[0] != pair[1]
    )
    return f"has '{name}' as class {number}, not '{other}'"


def check_labelled(facts: SplitFacts) -> None:
    """Checks that a split can be trained or scored on.

    Raises:
      DataError: It has no pixel with a class.
    """
    if not facts.present():
        raise DataError(
            f"split {facts.split}: all pixels of its "
            f"{len(facts.image_digests)} images are void (255), so there is "
            "nothing to learn; check --void_labels, --label_map and the "
            "annotations; nothing was written"
        )


def one_class(facts: SplitFacts) -> Iterator[tuple[str, str]]:
    """Name and message of a warning: there is nothing to tell apart."""
    present = facts.present()
    if len(present) == 1:
        yield (
            "one_class",
            f"split {facts.split}: all labelled pixels are of the class "
            f"{_listed(present)}, so there is nothing to tell apart; check "
            "annotations and --annotation_mode",
        )


def unused_classes(
    facts: SplitFacts, others: Sequence[SplitFacts], voided: Collection[str]
) -> Iterator[tuple[str, str]]:
    """Name and message of a warning: classes without a pixel.

    Args:
      facts: Of the split.
      others: Of those beside it. Classes that these have are told of by
        `split_classes`.
      voided: Names of classes that are known to have no pixels.
    """
    present = facts.present()
    elsewhere = {name for other in others for name in other.present()}
    known = present | elsewhere | set(voided)
    missing = [name for name in facts.class_names if name not in known]
    if not missing or len(present) == 1:  # `one_class` tells of that.
        return
    count = len(facts.class_names)
    if 2 * len(present | elsewhere) <= count:
        hint = (
            f"only {len(present)} of {count} have; is the number of classes "
            "right?"
        )
    else:
        hint = "check the number of classes and the annotations"
    yield (
        "unused_classes",
        f"split {facts.split}: the class{'es' * (len(missing) > 1)} "
        f"{_listed(missing)} ha{'ve' if len(missing) > 1 else 's'} no pixel; "
        f"{hint}",
    )


def split_classes(
    facts: SplitFacts, other: SplitFacts
) -> Iterator[tuple[str, str]]:
    """Names and messages of warnings: classes that one of two splits has."""
    for here, there in ((facts, other), (other, facts)):
        missing = there.present()
        only = [x for x in here.class_names if x in here.present() - missing]
        if only:
            yield (
                "split_classes",
                f"split {there.split}: has no pixel of {_listed(only)}, which "
                f"split {here.split} has; divide the images so that both have "
                "all classes",
            )


def shared_images(
    facts: SplitFacts, other: SplitFacts, files: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Name and message of a warning: images that are in both of two splits.

    Args:
      facts: Of a split.
      other: Of another one.
      files: An image file of the first for each digest, where that is known.
    """
    shared = set(facts.image_digests) & set(other.image_digests)
    if not shared:
        return
    count = sum(x in shared for x in facts.image_digests)
    first = next(x for x in facts.image_digests if x in shared)
    example = f", such as {files[first]}," if first in files else ""
    yield (
        "shared_images",
        f"split {facts.split}: {count} of {len(facts.image_digests)} pictures"
        f"{example} {'are' if count > 1 else 'is'} in split {other.split} too, "
        "so scores say less about new pictures; divide the images so that "
        "none is in both",
    )


def _listed(names: Collection[str]) -> str:
    shown = list(names)[:_EXAMPLES]
    rest = len(names) - len(shown)
    return ", ".join(shown) + (f" and {rest} more" if rest else "")
