from __future__ import annotations

import os

import pytest

from segnet import constants


def test_cores_are_those_that_this_process_may_use(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    monkeypatch.setattr(
        os, "sched_getaffinity", lambda pid: {1, 4, 5}, raising=False
    )
    assert constants.num_cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    assert constants.num_cores() == 6


@pytest.mark.parametrize("text", ["96x128", "96X128"])
def test_height_comes_first(text):
    assert constants.parse_size(text) == (96, 128)


@pytest.mark.parametrize(
    "text", ["", "96", "96x", "0x4", "-1x4", "96x128x3", "96x1.5", "100000x1"]
)
def test_what_is_not_a_size(text):
    with pytest.raises(ValueError, match="is not HEIGHTxWIDTH"):
        constants.parse_size(text)


def test_names_of_warnings():
    assert constants.parse_warnings("") == frozenset()
    assert constants.parse_warnings("rising_loss, one_class") == {
        "one_class",
        "rising_loss",
    }
    assert constants.parse_warnings("all") == constants.WARNINGS.keys()
    with pytest.raises(ValueError, match="'loud' is no warning; use all or"):
        constants.parse_warnings("one_class,loud")
