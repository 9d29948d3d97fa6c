"""Tests of benchmarks/harness/timing.py, with contenders that take no time."""

from __future__ import annotations

import sys

import pytest

from benchmarks.harness.timing import (
    Contender,
    Round,
    Series,
    measure_in_turn,
    ratios,
)


@pytest.fixture
def files(tmp_path):
    for folder in ("images", "annotations"):
        (tmp_path / folder).mkdir()
    return {
        "images_dir": str(tmp_path / "images"),
        "annotations_dir": str(tmp_path / "annotations"),
    }


def test_ratios_are_those_of_the_rounds():
    ours = Series((Round(4, 1.0), Round(4, 2.0), Round(4, 4.0)))
    theirs = Series((Round(2, 1.0), Round(2, 1.0), Round(2, 1.0)))
    assert ratios(ours, theirs) == [2.0, 1.0, 0.5]
    assert ours.rate == 2.0


@pytest.mark.parametrize("in_process", [True, False])
def test_rounds_after_the_warmups_count(files, in_process):
    contender = Contender("conversion:decoding", files | {"repeats": 1})
    measured = measure_in_turn(
        {"one": contender, "other": contender},
        rounds=2,
        warmups=1,
        in_process=in_process,
    )
    assert list(measured) == ["one", "other"]
    for series in measured.values():
        assert len(series.rounds) == 2
        assert series.peak_bytes > 1e6
        assert not series.missing


def test_a_contender_that_fails_is_named(files):
    broken = Contender("conversion:decoding", files)
    with pytest.raises(RuntimeError, match=r"decode failed: .*'repeats'"):
        measure_in_turn({"decode": broken}, rounds=1, warmups=0)


def test_a_missing_package_leaves_one_contender_out(files, monkeypatch):
    # As if it were not installed.
    monkeypatch.setitem(sys.modules, "cv2", None)
    good = Contender("conversion:decoding", files | {"repeats": 1})
    measured = measure_in_turn(
        {"loop": Contender("cv2_loop:cv2_loop"), "decode": good},
        rounds=1,
        warmups=0,
        in_process=True,
    )
    assert measured["loop"] == Series(missing="cv2")
    assert len(measured["decode"].rounds) == 1
