"""The manifest of a split: what the shards hold, as JSON and back.

Standard library only. `segnet.records.splits` reads and writes the files; this
module knows their contents.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import re
from collections.abc import Mapping
from typing import Any

from segnet.constants import (
    IGNORE_LABEL,
    MAX_CLASSES,
    MAX_RECORD_PIXELS,
    parse_bit_depth,
)
from segnet.errors import DataError
from segnet.json_text import parse_json

__all__ = ["Manifest", "Shard"]

_SCHEMA_VERSION = 1


@dataclasses.dataclass(frozen=True)
class Shard:
    """One file of records.

    Attributes:
      file: Plain file name inside the folder.
      records: Number of records.
      bytes: Size of the file.
      sha256: Of the file, in hexadecimal digits.
      offsets: Byte at which each record begins.
    """

    file: str
    records: int
    bytes: int
    sha256: str
    offsets: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What is known of a split without reading its records.

    Ignored pixels count nowhere but in `ignored_pixels`.

    Attributes:
      split: Name of the split.
      num_classes: Number of classes; labels are 0 to num_classes - 1.
      class_names: One for each class.
      ignore_label: Label of the pixels that count for nothing.
      shards: The files, in order.
      pixel_counts: Pixels of each class.
      ignored_pixels: Pixels with the ignore label.
      present_images: For each class, the images that have a pixel of it.
      present_pixels: For each class, the labelled (not ignored) pixels of
        those images. Median frequency balancing (Eigen & Fergus,
        arXiv:1411.4734, section 6.3.2) needs it: a class's frequency is
        pixel_counts / present_pixels.
      sizes: (height, width, images) of each image size.
      skipped: The input files that were left out: {"file", "reason"}.
      image_digests: `encoding.image_digest` of each record, in order: images
        that two splits share are found by it. Empty in manifests that were
        written before there were any.
      bit_depth: Bits that were taken of the values of deep pictures; 0: all
        that their files have.
    """

    split: str
    num_classes: int
    class_names: tuple[str, ...]
    ignore_label: int
    shards: tuple[Shard, ...]
    pixel_counts: tuple[int, ...]
    ignored_pixels: int
    present_images: tuple[int, ...]
    present_pixels: tuple[int, ...]
    sizes: tuple[tuple[int, int, int], ...]
    skipped: tuple[Mapping[str, str], ...] = ()
    image_digests: tuple[str, ...] = ()
    bit_depth: int = 0

    @property
    def num_records(self) -> int:
        """Number of records in all shards."""
        return sum(shard.records for shard in self.shards)

    def paths(self, data_dir: str | os.PathLike[str]) -> list[str]:
        """The shards' paths, in order."""
        return [os.path.join(data_dir, shard.file) for shard in self.shards]

    def to_json(self) -> str:
        """The manifest as JSON: a line for each shard, class and file."""
        classes = [
            {"name": name, "pixels": pixels, "images": images,
             "pixels_in_images": total}
            for name, pixels, images, total in zip(
                self.class_names,
                self.pixel_counts,
                self.present_images,
                self.present_pixels,
                strict=True,
            )
        ]  # fmt: skip
        sizes = [
            {"height": height, "width": width, "images": images}
            for height, width, images in self.sizes
        ]
        content = {
            "schema_version": _SCHEMA_VERSION,
            "split": self.split,
            "num_classes": self.num_classes,
            "class_names": list(self.class_names),
            "ignore_label": self.ignore_label,
            "num_records": self.num_records,
            "shards": [dataclasses.asdict(shard) for shard in self.shards],
            "classes": classes,
            "ignored_pixels": self.ignored_pixels,
            "image_sizes": sizes,
            "skipped": [dict(entry) for entry in self.skipped],
            "bit_depth": self.bit_depth,
            "image_digests": list(self.image_digests),
        }
        lines = (f"  {_dump(key)}: {_dump(content[key])}" for key in content)
        return "{\n" + ",\n".join(lines) + "\n}\n"

    @classmethod
    def from_json(cls, text: str, path: str) -> Manifest:
        """Reads and checks a manifest.

        Args:
          text: The JSON.
          path: Of the file, for the messages.

        Raises:
          DataError: It is not JSON, is of another schema version, or an
            entry is missing, of another type or at odds with the rest.
        """
        remedy = "convert the split again with --overwrite"
        try:
            content = parse_json(text, names=True)
        except ValueError as error:
            raise DataError(
                f"{path}: is not valid JSON ({error}); {remedy}"
            ) from None
        version = (
            content.get("schema_version") if isinstance(content, dict) else None
        )
        if version != _SCHEMA_VERSION:
            raise DataError(
                f"{path}: has schema version {version}, this program reads "
                f"{_SCHEMA_VERSION}; {remedy}"
            )
        try:
            manifest = _from_content(content)
            _check_consistency(manifest, content)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{path}: {error.args[0]}; it was changed or is not a "
                f"manifest of this program: {remedy}"
            ) from None
        return manifest


def _dump(value: Any) -> str:
    """JSON with each dict of a list on its own line."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        lines = ",\n".join("    " + json.dumps(entry) for entry in value)
        return f"[\n{lines}\n  ]"
    return json.dumps(value)


def _get(content: Any, key: str, kind: type) -> Any:
    """An entry of the given type; counts must not be negative."""
    if not isinstance(content, dict) or key not in content:
        raise KeyError(f"entry '{key}' is missing")
    value = content[key]
    if type(value) is not kind or (isinstance(value, int) and value < 0):
        raise TypeError(f"entry '{key}' is {value!r:.40}, not {kind.__name__}")
    return value


def _from_content(content: dict[str, Any]) -> Manifest:
    classes = _get(content, "classes", list)
    sizes = _get(content, "image_sizes", list)
    skipped = _get(content, "skipped", list)
    digests = _get({"image_digests": [], **content}, "image_digests", list)
    return Manifest(
        split=_get(content, "split", str),
        num_classes=_get(content, "num_classes", int),
        class_names=tuple(_get(content, "class_names", list)),
        ignore_label=_get(content, "ignore_label", int),
        shards=tuple(map(_shard, _get(content, "shards", list))),
        pixel_counts=tuple(_get(each, "pixels", int) for each in classes),
        ignored_pixels=_get(content, "ignored_pixels", int),
        present_images=tuple(_get(each, "images", int) for each in classes),
        present_pixels=tuple(
            _get(each, "pixels_in_images", int) for each in classes
        ),
        sizes=tuple(
            tuple(_get(each, key, int) for key in ("height", "width", "images"))
            for each in sizes
        ),
        skipped=tuple(
            {key: _get(each, key, str) for key in ("file", "reason")}
            for each in skipped
        ),
        image_digests=tuple(digests),
        bit_depth=parse_bit_depth(
            _get({"bit_depth": 0, **content}, "bit_depth", int)
        ),
    )


def _shard(content: Any) -> Shard:
    offsets = tuple(_get(content, "offsets", list))
    shard = Shard(
        file=_get(content, "file", str),
        records=_get(content, "records", int),
        bytes=_get(content, "bytes", int),
        sha256=_get(content, "sha256", str),
        offsets=offsets,
    )
    plain = (
        os.path.basename(shard.file) == shard.file and "\\" not in shard.file
    )
    if not (plain and _is_text(shard.file)) or shard.file in ("", ".", ".."):
        raise ValueError(f"shard {shard.file!r:.80} is not a plain file name")
    if not all(type(offset) is int for offset in offsets):
        raise TypeError(f"offsets of shard '{shard.file}' are not all int")
    if offsets[:1] != (0,) or any(
        start >= end
        for start, end in itertools.pairwise((*offsets, shard.bytes))
    ):
        raise ValueError(f"offsets of shard '{shard.file}' do not rise from 0")
    if len(offsets) != shard.records:
        raise ValueError(
            f"shard '{shard.file}' has {shard.records} records but "
            f"{len(offsets)} offsets"
        )
    return shard


def _check_consistency(manifest: Manifest, content: dict[str, Any]) -> None:
    num_classes = manifest.num_classes
    if not 1 <= num_classes <= MAX_CLASSES:
        raise ValueError(f"'num_classes' is {num_classes}, not 1 to 255")
    if manifest.ignore_label != IGNORE_LABEL:
        raise ValueError(f"'ignore_label' is {manifest.ignore_label}, not 255")
    names = manifest.class_names
    if len(names) != num_classes or not all(map(_is_text, names)):
        raise ValueError(f"'class_names' does not hold {num_classes} names")
    if len(set(names)) < num_classes:
        raise ValueError("'class_names' has a name twice")
    if len(manifest.pixel_counts) != num_classes:
        raise ValueError(f"'classes' does not have {num_classes} entries")
    records = _get(content, "num_records", int)
    images = sum(images for _, _, images in manifest.sizes)
    if not records == images == manifest.num_records:
        raise ValueError(
            f"'num_records' is {records}, the shards hold "
            f"{manifest.num_records} and 'image_sizes' {images}"
        )
    if records == 0:
        raise ValueError("'num_records' is 0")
    _check_counts(manifest)
    digests = manifest.image_digests
    if len(digests) not in (0, records) or not all(map(_is_digest, digests)):
        raise ValueError(f"'image_digests' does not hold {records} digests")


def _check_counts(manifest: Manifest) -> None:
    """Holds sizes and pixels against each other: memory is taken by them."""
    for height, width, images in manifest.sizes:
        if not (0 < height * width <= MAX_RECORD_PIXELS and images):
            raise ValueError(
                f"'image_sizes' has {images} images of {height}x{width}"
            )
    sizes = [size[:2] for size in manifest.sizes]
    if len(set(sizes)) < len(sizes):
        raise ValueError("'image_sizes' has a size twice")
    pixels = sum(height * width * n for height, width, n in manifest.sizes)
    counted = sum(manifest.pixel_counts) + manifest.ignored_pixels
    if pixels != counted:
        raise ValueError(
            f"'image_sizes' has {pixels} pixels, the classes {counted}"
        )
    of_classes = zip(
        manifest.pixel_counts,
        manifest.present_images,
        manifest.present_pixels,
        strict=True,
    )
    for label, (count, images, around) in enumerate(of_classes):
        if (
            not count <= around <= pixels
            or images > manifest.num_records
            or bool(count) != bool(images)
        ):
            raise ValueError(
                f"'classes' contradicts itself or the rest about class {label}"
            )


def _is_text(value: Any) -> bool:
    """Whether a value is a name, of which all programs can make something."""
    if type(value) is not str or not value or "\0" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_digest(value: Any) -> bool:
    return type(value) is str and bool(re.fullmatch("[0-9a-f]{16}", value))
