"""What is known of the images of a split, added up one by one."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from typing import Any

from segnet.constants import IGNORE_LABEL

__all__ = ["Statistics"]


class Statistics:
    """Sums over the images of a split, from the counts of each.

    Attributes:
      pixel_counts: As in `Manifest`; likewise the others.
    """

    def __init__(self, num_classes: int) -> None:
        """Starts with no image."""
        self.pixel_counts = [0] * num_classes
        self.present_images = [0] * num_classes
        self.present_pixels = [0] * num_classes
        self.ignored_pixels = 0
        self.image_digests: list[str] = []
        self._sizes: collections.Counter[tuple] = collections.Counter()

    def add(
        self, histogram: Sequence[int], height: int, width: int, digest: str
    ) -> None:
        """Adds an image.

        Args:
          histogram: Pixels of each of the 256 labels.
          height: Pixels.
          width: Pixels.
          digest: `encoding.image_digest` of the image.
        """
        ignored = int(histogram[IGNORE_LABEL])
        labelled = height * width - ignored
        self.ignored_pixels += ignored
        self._sizes[height, width] += 1
        self.image_digests.append(digest)
        for label in range(len(self.pixel_counts)):
            count = int(histogram[label])
            if count:
                self.pixel_counts[label] += count
                self.present_images[label] += 1
                self.present_pixels[label] += labelled

    def merge(self, other: Statistics) -> None:
        """Adds the images of another one, for as many classes, behind."""
        self.ignored_pixels += other.ignored_pixels
        self._sizes += other._sizes
        self.image_digests += other.image_digests
        for name in ("pixel_counts", "present_images", "present_pixels"):
            sums = zip(getattr(self, name), getattr(other, name), strict=True)
            setattr(self, name, [mine + theirs for mine, theirs in sums])

    def fields(self) -> dict[str, Any]:
        """The sums as keyword arguments for `Manifest`."""
        return {
            "pixel_counts": tuple(self.pixel_counts),
            "ignored_pixels": self.ignored_pixels,
            "present_images": tuple(self.present_images),
            "present_pixels": tuple(self.present_pixels),
            "sizes": tuple(
                (*size, images) for size, images in sorted(self._sizes.items())
            ),
            "image_digests": tuple(self.image_digests),
        }

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> Statistics:
        """The sums whose `fields` are these, also once they went through JSON.

        Raises:
          ValueError, KeyError, TypeError: They are no such fields.
        """
        found = cls(len(fields["pixel_counts"]))
        found.pixel_counts = list(fields["pixel_counts"])
        found.ignored_pixels = fields["ignored_pixels"]
        found.present_images = list(fields["present_images"])
        found.present_pixels = list(fields["present_pixels"])
        for height, width, images in fields["sizes"]:
            found._sizes[height, width] = images
        found.image_digests = list(fields["image_digests"])
        return found
