"""The report of a folder of records: what a network is going to learn from."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from segnet.data import augment, sources
from segnet.errors import DataError
from segnet.images.palettes import DEFAULT, Palette
from segnet.progress import Progress
from segnet.records import splits
from segnet.records.manifest import Manifest
from segnet.records.reading import num_parallel_calls, pipeline_options
from segnet.report import page, pictures
from segnet.report.data_findings import KINDS, Finding, Look, find, look_at

__all__ = ["Seen", "make_page"]

_PARTS = (
    ("classes", "Classes"),
    ("wrong", "What looks wrong"),
    ("pictures", "Pictures"),
    ("augmented", "As the network sees them"),
    ("sizes", "Sizes"),
)
# That are shown: of each split, of each kind of finding, of one finding.
_MOST_PICTURES = 48
_MOST_FINDINGS = 24
_MOST_OF_ONE = 4
_AUGMENTED, _TIMES = 6, 4
# Enough of an image for its fingerprint.
_SMALL = (64, 64)


@dataclasses.dataclass(frozen=True)
class Seen:
    """How training changes images; see `augment.augment`.

    Attributes:
      height: Of the network's input, pixels; None: from the first image.
      width: Likewise.
      policy: One of the policies of `data.augment`.
      window: Part of height and width that is seen.
    """

    height: int | None = None
    width: int | None = None
    policy: str = "basic"
    window: tuple[float, float] = (1.0, 1.0)


@dataclasses.dataclass(frozen=True)
class _Split:
    """A split and its records."""

    manifest: Manifest
    source: sources.RecordSource
    names: list[str]

    def pair(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Image and label of a record."""
        image, label = self.source(tf.constant(index, tf.int64))
        return image.numpy(), label.numpy()


def make_page(
    data_dir: str,
    names: Sequence[str] = (),
    *,
    seen: Seen | None = None,
    palette: Palette = DEFAULT,
) -> str:
    """Makes the page of a folder of records.

    Args:
      data_dir: That the converter wrote.
      names: Of its splits; none: all of them.
      seen: How training changes its images.
      palette: Colour of each class.

    Returns:
      HTML.

    Raises:
      DataError: There is no split, they have other classes, or records cannot
        be read.
    """
    with tf.device("/device:CPU:0"):
        found = _open(data_dir, names)
        looks = {split.manifest.split: _look_at_all(split) for split in found}
        findings = find(
            looks,
            {x.manifest.split: x.manifest.image_digests for x in found},
            found[0].manifest.class_names,
        )
        return page.render(
            "data.html",
            title=f"Data in {data_dir}",
            parts=_PARTS,
            data_dir=data_dir,
            splits=[_facts(split) for split in found],
            classes=_classes(found),
            plots=_plots(found),
            wrong=_wrong(found, findings, palette),
            sheets=[_sheet(split, palette) for split in found],
            augmented=_augmented(found[0], seen or Seen(), palette),
            seen=seen or Seen(),
            sizes=[_sizes(split) for split in found],
            legend=_legend(found[0].manifest, palette),
        )


def _open(data_dir: str, names: Sequence[str]) -> list[_Split]:
    """Opens splits, the largest, which is learned from, first."""
    there = names or splits.list_splits(data_dir)
    manifests = [splits.read_manifest(data_dir, name) for name in there]
    # Not those of folds, whose shards are those of the other folds.
    manifests = [
        manifest
        for manifest in manifests
        if names or manifest.shards[0].file.startswith(f"{manifest.split}-")
    ]
    if not manifests:
        raise DataError(
            f"{data_dir}: has no split; give the folder that "
            "tools/convert_to_tfrecord.py wrote"
        )
    for manifest in manifests[1:]:
        if manifest.class_names != manifests[0].class_names:
            raise DataError(
                f"{data_dir}: {manifests[0].split} and {manifest.split} have "
                "other classes; convert both with the same --class_names"
            )
    manifests.sort(key=lambda x: (x.split != "train", -x.num_records))
    opened = []
    for manifest in manifests:
        source = sources.RecordSource(manifest, data_dir, cache=False)
        opened.append(_Split(manifest, source, source.image_names()))
    return opened


def _look_at_all(split: _Split) -> list[Look]:
    """Looks at each image of a split, made small."""
    manifest = split.manifest
    small = sources.RecordSource(
        manifest, split.source.data_dir, cache=False, smallest=_SMALL
    )
    dataset = tf.data.Dataset.range(manifest.num_records).map(
        small, num_parallel_calls=num_parallel_calls()
    )
    dataset = dataset.with_options(pipeline_options())
    looks = []
    label = f"look at {manifest.split}"
    with Progress(manifest.num_records, unit="image", label=label) as progress:
        for image, label_map in small.read(dataset):
            looks.append(
                look_at(image.numpy(), label_map.numpy(), manifest.num_classes)
            )
            progress.advance(1)
    return looks


def _facts(split: _Split) -> dict[str, Any]:
    manifest = split.manifest
    total = sum(manifest.pixel_counts) + manifest.ignored_pixels
    return {
        "name": manifest.split,
        "images": manifest.num_records,
        "megabytes": sum(shard.bytes for shard in manifest.shards) / 1e6,
        "ignored": manifest.ignored_pixels / max(1, total),
        "skipped": len(manifest.skipped),
    }


def _share(manifest: Manifest, label: int) -> float:
    return manifest.pixel_counts[label] / max(1, sum(manifest.pixel_counts))


def _classes(found: Sequence[_Split]) -> list[dict[str, Any]]:
    """A row of the table for each class."""
    return [
        {
            "name": name,
            "splits": [
                (_share(split.manifest, label),
                 split.manifest.present_images[label])
                for split in found
            ],
        }
        for label, name in enumerate(found[0].manifest.class_names)
    ]  # fmt: skip


def _plots(found: Sequence[_Split]) -> list[tuple[str, Any]]:
    """Bars of the classes' shares, of each split."""
    return [
        (
            split.manifest.split,
            page.bars(
                [
                    (name, _share(split.manifest, label), None)
                    for label, name in enumerate(split.manifest.class_names)
                ],
                f"Shares of the classes in {split.manifest.split}; the table "
                "has the numbers",
            ),
        )
        for split in found
    ]


def _sizes(split: _Split) -> tuple[str, list[tuple[int, int, int]]]:
    sizes = sorted(split.manifest.sizes, key=lambda size: -size[2])
    return split.manifest.split, sizes[:20]


def _sheet(split: _Split, palette: Palette) -> dict[str, Any]:
    """Pictures of a split, chosen evenly, with their labels over them."""
    count = split.manifest.num_records
    chosen = np.linspace(0, count - 1, min(count, _MOST_PICTURES)).astype(int)
    return {
        "name": split.manifest.split,
        "images": count,
        "cards": [
            _card(split, int(index), "", palette) for index in sorted({*chosen})
        ],
    }


def _card(
    split: _Split, index: int, text: str, palette: Palette
) -> dict[str, Any]:
    image, label = split.pair(index)
    height, width = label.shape
    return {
        "name": split.names[index],
        "text": text or f"{width}x{height} in {split.manifest.split}",
        "picture": pictures.make_pair(image, label, palette),
    }


def _wrong(
    found: Sequence[_Split], findings: Sequence[Finding], palette: Palette
) -> list[dict[str, Any]]:
    """Cards of each kind of finding that there is."""
    by_name = {split.manifest.split: split for split in found}
    sections = []
    for kind, (heading, meaning) in KINDS.items():
        own = [finding for finding in findings if finding.kind == kind]
        if not own:
            continue
        shown = own[:_MOST_FINDINGS]
        sections.append(
            {
                "kind": kind,
                "heading": heading,
                "meaning": meaning,
                "count": len(own),
                "shown": len(shown),
                "texts": [x.text for x in own if not x.images],
                "cards": [
                    {
                        "text": finding.text,
                        "pairs": [
                            _card(
                                by_name[name],
                                index,
                                f"{number}. {finding.text}",
                                palette,
                            )
                            for name, index in finding.images[:_MOST_OF_ONE]
                        ],
                    }
                    for number, finding in enumerate(shown, 1)
                    if finding.images
                ],
            }
        )
    return sections


def _augmented(
    split: _Split, seen: Seen, palette: Palette
) -> list[list[dict[str, Any]]]:
    """Some images, each changed at random several times."""
    count = split.manifest.num_records
    chosen = random.Random(0).sample(range(count), min(count, _AUGMENTED))
    rows = []
    for index in sorted(chosen):
        image, label = split.pair(index)
        name = split.names[index]
        rows.append(
            [
                {
                    "name": name,
                    "text": f"{name}, change {number}",
                    "picture": pictures.make_pair(*changed, palette),
                }
                for number, changed in enumerate(
                    _changes(image, label, seen, index), 1
                )
            ]
        )
    return rows


def _changes(
    image: np.ndarray, label: np.ndarray, seen: Seen, index: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    height, width = seen.height, seen.width
    if height is None or width is None:
        height, width = label.shape
    for number in range(_TIMES):
        changed, changed_label = augment.augment(
            tf.constant(image),
            tf.constant(label),
            tf.constant([index, number], tf.int64),
            height=height,
            width=width,
            policy=seen.policy,
            window=seen.window,
        )
        yield changed.numpy(), changed_label.numpy().astype(np.uint8)


def _legend(manifest: Manifest, palette: Palette) -> list[tuple[str, str]]:
    return [
        (name, "#{:02x}{:02x}{:02x}".format(*colour))
        for name, colour in zip(manifest.class_names, palette, strict=False)
    ]
