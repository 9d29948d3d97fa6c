"""What is likely a mistake in the data of a run, from its manifests."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Container, Iterator

from segnet.config import Config
from segnet.config.batches import check_batches
from segnet.constants import ARCHITECTURES
from segnet.data.sources import Splits
from segnet.progress import say, warn
from segnet.records import plausibility
from segnet.records.manifest import Manifest
from segnet.records.plausibility import SplitFacts

__all__ = ["images_digest", "suspicions", "tell"]

# 4:3 photographs at 1:2, as Habana's recipe has them, are still usual.
_LARGEST_STRETCH = 1.55


def tell(
    config: Config,
    splits: Splits,
    *,
    num_workers: int,
    typed: Container[str],
    enabled: bool,
) -> None:
    """Says what becomes of large batches and what is likely a mistake.

    Args:
      config: Of the run.
      splits: Of the run.
      num_workers: That take part in each step.
      typed: See `check_batches`.
      enabled: Whether this worker says anything.

    Raises:
      ConfigError: A batch that was asked for is more than the training split.
    """
    records = splits.train.num_records
    note = check_batches(config, records, num_workers, typed)
    if not enabled:
        return
    if note:
        say(note)
    for name, message in suspicions(splits, config):
        warn(name, message, config.silenced)


def images_digest(manifest: Manifest) -> str:
    """A digest of the images of a split, whatever their order and labels.

    Empty where the manifest does not tell them apart.
    """
    if not manifest.image_digests:
        return ""
    listed = "\n".join(sorted(manifest.image_digests))
    return hashlib.sha256(listed.encode()).hexdigest()


def suspicions(splits: Splits, config: Config) -> Iterator[tuple[str, str]]:
    """Looks for what is likely a mistake.

    Args:
      splits: Of the run.
      config: Of the run.

    Yields:
      (one of `constants.WARNINGS`, one line for people to read).
    """
    train = SplitFacts.of(splits.train)
    evaluation = SplitFacts.of(splits.evaluation)
    yield from plausibility.one_class(train)
    if evaluation.split != train.split:
        yield from plausibility.one_class(evaluation)
        yield from plausibility.split_classes(train, evaluation)
        yield from plausibility.shared_images(evaluation, train, {})
    yield from _aspect_ratio(splits.train, config)
    yield from _other_images(splits.train, config)


def _other_images(
    manifest: Manifest, config: Config
) -> Iterator[tuple[str, str]]:
    """Images that are not those of the run's beginning.

    The other ones may be what it is scored on now.
    """
    now = images_digest(manifest)
    if config.images_digest and now and now != config.images_digest:
        yield (
            "other_images",
            f"split {manifest.split}: its {manifest.num_records} images are "
            "not those that this run began with, and some of those may be what "
            "it is scored on now; was the split made again? Begin in a new "
            "--workdir, with --init_from to keep the weights",
        )


def _aspect_ratio(
    manifest: Manifest, config: Config
) -> Iterator[tuple[str, str]]:
    """Whether most training images are stretched in one direction."""
    seen = config.input_width / config.input_height
    total = sum(images for *_, images in manifest.sizes)
    stretched = [
        (images, height, width)
        for height, width, images in manifest.sizes
        if max(seen * height / width, width / height / seen) > _LARGEST_STRETCH
    ]
    if 2 * sum(images for images, *_ in stretched) <= total:
        return
    _, height, width = max(stretched)
    factor = seen * height / width
    much = max(factor, 1 / factor)
    direction = "wide" if factor > 1 else "high"
    better = _input_size(config, width / height)
    yield (
        "aspect_ratio",
        f"images of {height}x{width} (height x width) look {much:.1f} times "
        f"too {direction} at the input size {config.input_height}x"
        f"{config.input_width}; as many pixels in their shape: "
        f"--input_height={better[0]} --input_width={better[1]}",
    )


def _input_size(config: Config, ratio: float) -> tuple[int, int]:
    """An input of as many pixels with a ratio of width to height."""
    multiple = ARCHITECTURES[config.architecture]
    height = math.sqrt(config.input_height * config.input_width / ratio)
    return (
        max(1, round(height / multiple)) * multiple,
        max(1, round(height * ratio / multiple)) * multiple,
    )
