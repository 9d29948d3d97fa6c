"""Tests of segnet.training.class_weights."""

from __future__ import annotations

import math

import pytest

from segnet.errors import ConfigError
from segnet.training import class_weights

# Class frequencies 1/2, 1/8 (present in half of the pixels), 1/4.
COUNTS = (400, 50, 200)
PRESENT = (800, 400, 800)


def test_median_frequency_hand_computed():
    weights = class_weights.median_frequency_weights(COUNTS, PRESENT)
    assert weights == pytest.approx((0.5, 2.0, 1.0))


def test_median_of_an_even_number_is_the_middle():
    weights = class_weights.median_frequency_weights((10, 30), (100, 100))
    assert weights == pytest.approx((2.0, 2.0 / 3.0))


def test_class_that_is_never_present_weighs_nothing_and_moves_nothing():
    weights = class_weights.median_frequency_weights(
        (*COUNTS, 0), (*PRESENT, 0)
    )
    assert weights == pytest.approx((0.5, 2.0, 1.0, 0.0))
    assert all(type(weight) is float for weight in weights)


def test_log_frequency():
    weights = class_weights.log_frequency_weights((30, 10, 60, 0))
    # ln 1.32 = 0.27763, ln 1.12 = 0.11333, ln 1.62 = 0.48243
    assert weights == pytest.approx((3.60190, 8.82391, 2.07285, 0.0), rel=1e-4)
    with pytest.raises(ConfigError, match="no labelled|has none"):
        class_weights.log_frequency_weights((0, 0))


def test_sqrt_median_frequency():
    weights = class_weights.median_frequency_weights(
        (*COUNTS, 0), (*PRESENT, 0), 0.5
    )
    assert weights == pytest.approx((math.sqrt(0.5), math.sqrt(2.0), 1.0, 0.0))


def test_without_labelled_pixels():
    with pytest.raises(ConfigError, match="use --class_weights=none"):
        class_weights.median_frequency_weights((0, 0), (0, 0))


def resolve(choice):
    return class_weights.resolve_class_weights(str(choice), COUNTS, PRESENT)


def test_power_of_median_frequency():
    weights = resolve("median_frequency^0.75")
    assert weights == pytest.approx((0.5**0.75, 2.0**0.75, 1.0))
    for wrong in ("", "x", "0", "-1", "nan", "3"):
        with pytest.raises(ConfigError, match="the power must be a number"):
            resolve(f"median_frequency^{wrong}")


def test_resolve_by_name():
    assert resolve("none") is None
    assert resolve("median_frequency") == pytest.approx((0.5, 2.0, 1.0))
    assert resolve("sqrt_median_frequency")[1] == pytest.approx(math.sqrt(2))
    assert resolve("log_frequency") == class_weights.log_frequency_weights(
        COUNTS
    )


@pytest.mark.parametrize(
    "text", ["1 0 2.5\n", "1\n0\n2.5", "1, 0, 2.5", "[1, 0.0, 2.5]\n"]
)
def test_resolve_file(tmp_path, text):
    path = tmp_path / "weights.txt"
    path.write_text(text)
    assert resolve(path) == (1.0, 0.0, 2.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2", "list of 3 numbers, one for each class, found 2"),
        ("", "list of 3 numbers, one for each class, found 0"),
        ('{"a": 1, "b": 1, "c": 1}', "need a list of 3 numbers"),
        ("1 -2 3", "weight of class 1 is '-2'"),
        ("1 2 x", "weight of class 2 is 'x'"),
        ("nan 2 3", "weight of class 0 is 'nan'"),
        ("1 inf 3", "weight of class 1 is 'inf'"),
        ("[1, true, 3]", "weight of class 1 is True"),
        ("[1, [2], 3]", "weight of class 1 is [2]"),
        ("[1, null, 3]", "weight of class 1 is None"),
        ("[1, 2, 3", "is not valid JSON"),
        ("0 0 0", "all weights are 0"),
    ],
)
def test_refuses_content(tmp_path, text, message):
    path = tmp_path / "weights.txt"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        resolve(path)
    assert message in str(caught.value)
    assert f"--class_weights={path}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_refuses_what_is_no_readable_file(tmp_path):
    binary = tmp_path / "binary"
    binary.write_bytes(b"\x89PNG\r\n\x1a\n")
    for choice in ("median", tmp_path, binary):
        with pytest.raises(ConfigError, match="neither none, median_freq"):
            resolve(choice)
