"""Picture files for the tests, made by other means than the code under test."""

from __future__ import annotations

import io
import os
import pathlib
import struct
import zlib

import numpy as np
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[1]
HEIGHT, WIDTH = 24, 40


def picture(seed: int = 0, height: int = HEIGHT, width: int = WIDTH):
    """A smooth colour picture, so that JPEG changes it little."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (4, 6, 3), np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height)))


def labels(
    seed: int = 0,
    num_classes: int = 3,
    height: int = HEIGHT,
    width: int = WIDTH,
):
    rng = np.random.default_rng(seed)
    small = rng.integers(0, num_classes, (6, 10), np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height), 0))


def blue_png(label: np.ndarray) -> bytes:
    """An annotation with other values in red and green than in blue."""
    return saved(np.stack([label + 50, 200 - label, label], -1), "PNG")


def saved(array, file_format: str, mode: str | None = None, **options) -> bytes:
    image = Image.fromarray(array)
    buffer = io.BytesIO()
    (image.convert(mode) if mode else image).save(
        buffer, file_format, **options
    )
    return buffer.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    check = zlib.crc32(name + body)
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", check)


def png16(array: np.ndarray) -> bytes:
    """A 16-bit PNG of uint16 `[height, width]` or `[height, width, 3]`."""
    height, width = array.shape[:2]
    colour = 0 if array.ndim == 2 else 2
    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def with_chunk(png: bytes, name: bytes, body: bytes) -> bytes:
    """A PNG with one more chunk behind its header."""
    return png[:33] + chunk(name, body) + png[33:]


def orientation(value: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def write_folders(root: pathlib.Path, count: int) -> pathlib.Path:
    """`count` good pairs (jpg with blue-channel png) in root/images, ..."""
    (root / "images").mkdir(parents=True)
    (root / "annotations").mkdir()
    for index in range(count):
        jpeg = saved(picture(index), "JPEG", quality=95)
        (root / "images" / f"f{index:02d}.jpg").write_bytes(jpeg)
        annotation = blue_png(labels(index))
        (root / "annotations" / f"f{index:02d}.png").write_bytes(annotation)
    return root


def flags(root: pathlib.Path, *more: str) -> list[str]:
    """The converter's arguments for `write_folders`."""
    return [
        "convert_to_tfrecord.py",
        f"--images_dir={root / 'images'}",
        f"--annotations_dir={root / 'annotations'}",
        f"--output_dir={root / 'out'}",
        "--split=train",
        "--num_classes=3",
        "--num_workers=1",
        *more,
    ]


def die(*arguments) -> None:
    """What a worker process does that the system kills."""
    os._exit(1)
