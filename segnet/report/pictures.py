"""Pictures of a page: inside of it, as data URIs."""

from __future__ import annotations

import base64
import dataclasses
import io

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw

from segnet.constants import IGNORE_LABEL
from segnet.evaluation import inference
from segnet.evaluation.counting import Prediction
from segnet.images.overlay import colour_labels
from segnet.images.palettes import DEFAULT, Palette

__all__ = [
    "LAYERS",
    "Picture",
    "cut_out",
    "make_comparison",
    "make_pair",
    "make_picture",
    "make_unlabelled",
    "shrink",
]

# What can lie over a picture, and how it is called.
LAYERS = {
    "prediction": "prediction",
    "truth": "annotation",
    "errors": "errors",
    "confidence": "confidence (dark: unsure)",
}
_LARGEST_SIDE = 640
_QUALITY = 75
# Right, wrong, ignored.
_ERRORS = np.array([[0, 0, 0], [255, 70, 40], [128, 128, 128]], np.uint8)
# The same, right now alone, right before alone, ignored.
_CHANGES = np.array(
    [[0, 0, 0], [70, 150, 255], [255, 130, 30], [128, 128, 128]], np.uint8
)
_CUT_SIDE = 240
_FRAME = "#ff00c8"


@dataclasses.dataclass(frozen=True)
class Picture:
    """An image and what lies over it, as data URIs.

    Attributes:
      image: The input.
      layers: For each of `LAYERS`.
      width: Of all of them, pixels.
      height: Likewise.
    """

    image: str
    layers: dict[str, str]
    width: int
    height: int


def make_picture(
    image: np.ndarray,
    seen: Prediction,
    num_classes: int,
    palette: Palette = DEFAULT,
) -> Picture:
    """Makes the pictures of an image.

    Args:
      image: uint8 `[height, width, 3]`, maybe not of the annotation's size.
      seen: What was predicted.
      num_classes: Number of classes.
      palette: Colour of each class.
    """
    size = _shown_size(*seen.truth.shape)
    wrong = np.where(
        seen.truth < num_classes, seen.truth != seen.labels, 2
    ).astype(np.uint8)
    sure = Image.fromarray((seen.confidence * 255).astype(np.uint8))
    return Picture(
        image=_photo(image, size),
        layers={
            "prediction": _classes(seen.labels, size, palette),
            "truth": _classes(seen.truth, size, palette),
            "errors": _indexed(wrong, size, _ERRORS),
            "confidence": _webp(sure.resize(size, Image.Resampling.BILINEAR)),
        },
        width=size[0],
        height=size[1],
    )


def make_pair(
    image: np.ndarray, label: np.ndarray, palette: Palette = DEFAULT
) -> Picture:
    """Makes the pictures of an image and its annotation.

    Args:
      image: uint8 `[height, width, 3]`, maybe not of the annotation's size.
      label: uint8 `[height, width]`.
      palette: Colour of each class.
    """
    size = _shown_size(*label.shape)
    return Picture(
        image=_photo(image, size),
        layers={"truth": _classes(label, size, palette)},
        width=size[0],
        height=size[1],
    )


def make_comparison(
    image: np.ndarray,
    seen: Prediction,
    before: Prediction,
    num_classes: int,
    palette: Palette = DEFAULT,
) -> list[tuple[str, str]]:
    """Makes the pictures of an image that two networks have seen.

    Args:
      image: uint8 `[height, width, 3]`, maybe not of the annotation's size.
      seen: What the network of the report predicted.
      before: What the other one did.
      num_classes: Number of classes.
      palette: Colour of each class.

    Returns:
      Data URIs, each with what it shows.
    """
    size = _shown_size(*seen.truth.shape)
    now, then = seen.labels == seen.truth, before.labels == seen.truth
    change = np.where(now == then, 0, np.where(now, 1, 2))
    change = np.where(seen.truth < num_classes, change, 3).astype(np.uint8)
    return [
        (_photo(image, size), "image"),
        (_classes(seen.truth, size, palette), "annotation"),
        (_indexed(change, size, _CHANGES), "change"),
        (_classes(seen.labels, size, palette), "this run"),
        (_classes(before.labels, size, palette), "other run"),
    ]


def make_unlabelled(
    image: np.ndarray,
    logits: tf.Tensor,
    palette: Palette = DEFAULT,
    *,
    are_logits: bool,
) -> list[tuple[str, str]]:
    """Makes the pictures of an image without annotation.

    Args:
      image: uint8 `[height, width, 3]`.
      logits: float32 `[input height, input width, num_classes]`.
      palette: Colour of each class.
      are_logits: False if they are probabilities.

    Returns:
      Data URIs, each with what it shows.
    """
    size = _shown_size(*image.shape[:2])
    labels, _, entropy = inference.certainty_at(
        logits, size[1], size[0], are_logits=are_logits
    )
    grey = Image.fromarray((entropy * 255).astype(np.uint8))
    return [
        (_photo(image, size), "image"),
        (_classes(labels, size, palette), "prediction"),
        (_webp(grey), "uncertainty"),
    ]


def shrink(image: np.ndarray) -> np.ndarray:
    """An image as large as it is on the page, uint8 `[height, width, 3]`."""
    size = _shown_size(*image.shape[:2])
    return np.asarray(
        Image.fromarray(image).resize(size, Image.Resampling.BILINEAR)
    )


def _shown_size(height: int, width: int) -> tuple[int, int]:
    """Width and height on the page, pixels."""
    factor = min(1.0, _LARGEST_SIDE / max(height, width))
    return max(1, round(width * factor)), max(1, round(height * factor))


def _photo(image: np.ndarray, size: tuple[int, int]) -> str:
    return _webp(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))


def cut_out(
    image: np.ndarray,
    seen: Prediction,
    box: tuple[int, int, int, int],
    palette: Palette = DEFAULT,
) -> tuple[str, str, str]:
    """Cuts a region out, with as much around it as it is wide and high.

    Args:
      image: uint8 `[height, width, 3]`, of the annotation's size.
      seen: What was predicted.
      box: Left, top, right and bottom, pixels; framed in each picture.
      palette: Colour of each class.

    Returns:
      Image, annotation and prediction, as data URIs.
    """
    height, width = seen.truth.shape
    left, top, right, bottom = box
    around = max(right - left, bottom - top, 24) // 2
    outer = (
        max(0, left - around),
        max(0, top - around),
        min(width, right + around),
        min(height, bottom + around),
    )
    part = np.s_[outer[1] : outer[3], outer[0] : outer[2]]
    factor = _CUT_SIDE / max(outer[2] - outer[0], outer[3] - outer[1])
    framed = [factor * (x - outer[i % 2]) for i, x in enumerate(box)]
    frame = (framed[0], framed[1], framed[2] - 1, framed[3] - 1)
    found = []
    for pixels in (
        image[part],
        colour_labels(seen.truth[part], palette),
        colour_labels(seen.labels[part], palette),
    ):
        size = [max(1, round(side * factor)) for side in pixels.shape[1::-1]]
        picture = Image.fromarray(pixels).resize(
            (size[0], size[1]), Image.Resampling.NEAREST
        )
        ImageDraw.Draw(picture).rectangle(frame, outline=_FRAME, width=2)
        found.append(_webp(picture))
    return found[0], found[1], found[2]


def _webp(picture: Image.Image) -> str:
    data = io.BytesIO()
    picture.save(data, "WEBP", quality=_QUALITY, method=2)
    return _uri("webp", data.getvalue())


def _classes(
    labels: np.ndarray, size: tuple[int, int], palette: Palette
) -> str:
    ids = np.arange(IGNORE_LABEL + 1, dtype=np.uint8)[None]
    return _indexed(labels, size, colour_labels(ids, palette)[0])


def _indexed(
    values: np.ndarray, size: tuple[int, int], colours: np.ndarray
) -> str:
    """A PNG with a palette: few bytes for few colours."""
    picture = Image.fromarray(values).resize(size, Image.Resampling.NEAREST)
    picture.putpalette(colours.tobytes())
    data = io.BytesIO()
    picture.save(data, "PNG", optimize=False)
    return _uri("png", data.getvalue())


def _uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
