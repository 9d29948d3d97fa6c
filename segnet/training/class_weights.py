"""Class weights for unbalanced classes: from label statistics or a file."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from segnet.errors import ConfigError, DataError
from segnet.files import read_text
from segnet.json_text import parse_json

__all__ = [
    "log_frequency_weights",
    "median_frequency_weights",
    "read_class_weights",
    "resolve_class_weights",
]


def median_frequency_weights(
    pixel_counts: Sequence[int],
    present_pixels: Sequence[int],
    power: float = 1.0,
) -> tuple[float, ...]:
    """Weights (median(f) / f(c)) ^ power by frequency.

    Source: Eigen & Fergus 2015, section 6.3.2, with power 1; a smaller one is
    a milder balance.

    f(c) is the number of pixels of class c divided by the pixels of the
    images in which c is present; the median is over the classes present.

    Args:
      pixel_counts: For each class, its pixels.
      present_pixels: For each class, all pixels of the images that have it.
      power: Exponent of the weights.

    Returns:
      One weight for each class; 0 for a class that is never present, which
      no pixel will be weighted with.

    Raises:
      ConfigError: If no class has a pixel.
    """
    counts = np.asarray(pixel_counts, np.float64)
    present = counts > 0
    _check_pixels(counts)
    frequency = counts[present] / np.asarray(present_pixels)[present]
    weights = np.zeros_like(counts)
    weights[present] = (np.median(frequency) / frequency) ** power
    return tuple(weights.tolist())


# Many times what 255 numbers take.
_MAX_BYTES = 1024**2
_POWERS = {"median_frequency": 1.0, "sqrt_median_frequency": 0.5}


def log_frequency_weights(pixel_counts: Sequence[int]) -> tuple[float, ...]:
    """Weights 1 / ln(1.02 + p) by share of pixels (ENet, arXiv 1606.02147).

    They lie between about 1.4, of a class that is everywhere, and 50, so a
    class that is next to never there does not outweigh all else.

    Args:
      pixel_counts: For each class, its pixels.

    Returns:
      One weight for each class; 0 for a class that is never present.

    Raises:
      ConfigError: If no class has a pixel.
    """
    counts = np.asarray(pixel_counts, np.float64)
    _check_pixels(counts)
    weights = 1.0 / np.log(1.02 + counts / np.sum(counts))
    return tuple(np.where(counts > 0, weights, 0.0).tolist())


def _check_pixels(counts: np.ndarray) -> None:
    """Refuses a split without labels."""
    if not np.any(counts):
        raise ConfigError(
            "class weights by frequency need labelled pixels, and the "
            "training split has none; use --class_weights=none"
        )


def resolve_class_weights(
    choice: str, pixel_counts: Sequence[int], present_pixels: Sequence[int]
) -> tuple[float, ...] | None:
    """Turns the value of `--class_weights` into numbers.

    Args:
      choice: `none`, `median_frequency`, `sqrt_median_frequency`,
        `median_frequency^POWER`, `log_frequency` or the path of a file for
        `read_class_weights`.
      pixel_counts: See `median_frequency_weights`.
      present_pixels: See `median_frequency_weights`.

    Returns:
      One weight for each class, or None for `none`.

    Raises:
      ConfigError: If there are no such weights.
    """
    if choice == "none":
        return None
    power = _POWERS.get(choice) or _parse_power(choice)
    if power is not None:
        return median_frequency_weights(pixel_counts, present_pixels, power)
    if choice == "log_frequency":
        return log_frequency_weights(pixel_counts)
    return read_class_weights(choice, len(pixel_counts))


def _parse_power(choice: str) -> float | None:
    """The power in `median_frequency^POWER`; None for anything else."""
    name, sign, power = choice.partition("^")
    if name != "median_frequency" or not sign:
        return None
    try:
        value = float(power)
    except ValueError:
        value = math.nan
    if not 0.0 < value <= 2.0:
        raise ConfigError(
            f"--class_weights={choice}: the power must be a number above 0 "
            "and at most 2, for example median_frequency^0.75"
        )
    return value


def read_class_weights(path: str, num_classes: int) -> tuple[float, ...]:
    """Reads a file of class weights.

    Args:
      path: A JSON list, or text with numbers between spaces, commas or lines.
      num_classes: How many there must be, in the order of the class ids.

    Raises:
      ConfigError: If the file cannot be read or has other content.
    """
    try:
        text = read_text(path, limit=_MAX_BYTES).strip()
    except DataError as error:
        raise ConfigError(
            f"--class_weights={path} is neither none, median_frequency, "
            "sqrt_median_frequency, median_frequency^POWER nor log_frequency, "
            f"nor a file of numbers ({error})"
        ) from error
    try:
        values = (
            parse_json(text)
            if text.startswith(("[", "{"))
            else text.replace(",", " ").split()
        )
    except ValueError as error:
        raise ConfigError(
            f"--class_weights={path} is not valid JSON: {error}"
        ) from error
    return _check_weights(values, num_classes, f"--class_weights={path}")


def _check_weights(
    values: Sequence[float | str], num_classes: int, where: str
) -> tuple[float, ...]:
    """Converts and checks weights; `where` begins the message."""
    if isinstance(values, dict) or len(values) != num_classes:
        raise ConfigError(
            f"{where}: need a list of {num_classes} numbers, one for each "
            f"class, found {len(values)}"
        )
    weights = []
    for index, value in enumerate(values):
        try:
            weight = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            weight = math.nan
        if not (math.isfinite(weight) and weight >= 0.0):
            raise ConfigError(
                f"{where}: the weight of class {index} is {value!r:.40}; it "
                "must be a number that is not negative"
            )
        weights.append(weight)
    if not any(weights):
        raise ConfigError(f"{where}: all weights are 0; one must be above")
    return tuple(weights)
