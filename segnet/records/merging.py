"""Several splits as one: a manifest of the shards of all of them."""

from __future__ import annotations

import collections
import itertools
from collections.abc import Iterable, Sequence
from typing import TypeVar

from segnet.records.manifest import Manifest

__all__ = ["merge_manifests"]

_Item = TypeVar("_Item")


def merge_manifests(split: str, manifests: Sequence[Manifest]) -> Manifest:
    """The manifest of a split that has the records of others, in their order.

    Args:
      split: Its name.
      manifests: Of splits of one folder, with the same classes; at least one.
    """
    first = manifests[0]
    sizes: collections.Counter[tuple[int, int]] = collections.Counter()
    for manifest in manifests:
        for height, width, images in manifest.sizes:
            sizes[height, width] += images
    digests = [manifest.image_digests for manifest in manifests]
    return Manifest(
        split=split,
        num_classes=first.num_classes,
        class_names=first.class_names,
        ignore_label=first.ignore_label,
        shards=_joined(manifest.shards for manifest in manifests),
        pixel_counts=_sums(manifest.pixel_counts for manifest in manifests),
        ignored_pixels=sum(manifest.ignored_pixels for manifest in manifests),
        present_images=_sums(manifest.present_images for manifest in manifests),
        present_pixels=_sums(manifest.present_pixels for manifest in manifests),
        sizes=tuple((*size, images) for size, images in sorted(sizes.items())),
        # A file without its partner is in the list of each split.
        skipped=tuple(
            {
                (entry["file"], entry["reason"]): entry
                for manifest in manifests
                for entry in manifest.skipped
            }.values()
        ),
        # Manifests of before there were any have none.
        image_digests=_joined(digests) if all(digests) else (),
        bit_depth=first.bit_depth,
    )


def _joined(parts: Iterable[tuple[_Item, ...]]) -> tuple[_Item, ...]:
    return tuple(itertools.chain.from_iterable(parts))


def _sums(counts: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    """The sum for each class."""
    return tuple(map(sum, zip(*counts, strict=True)))
