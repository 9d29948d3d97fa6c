"""Tests of benchmarks/harness/timing.py, with contenders that take no time."""

from __future__ import annotations

import sys

import pytest

from benchmarks.harness.timing import Contender, measure_in_turn


@pytest.fixture
def files(tmp_path):
    for folder in ("images", "annotations"):
        (tmp_path / folder).mkdir()
    return {
        "images_dir": str(tmp_path / "images"),
        "annotations_dir": str(tmp_path / "annotations"),
    }


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
    assert [len(rates) for rates in measured.values()] == [2, 2]


def test_a_contender_that_fails_is_named(files):
    broken = Contender("conversion:decoding", files)
    with pytest.raises(RuntimeError, match=r"decode failed: .*'repeats'"):
        measure_in_turn({"decode": broken}, rounds=1, warmups=0)


def test_a_missing_package_leaves_a_contender_out(files, monkeypatch, capsys):
    # As if it were not installed.
    monkeypatch.setitem(sys.modules, "cv2", None)
    good = Contender("conversion:decoding", files | {"repeats": 1})
    measured = measure_in_turn(
        {"loop": Contender("cv2_loop:cv2_loop"), "decode": good},
        rounds=1,
        warmups=0,
        in_process=True,
    )
    assert list(measured) == ["decode"]
    assert "bench: loop needs cv2\n" in capsys.readouterr().err


def test_time_of_the_processor_is_that_of_the_contender(files, monkeypatch):
    monkeypatch.setattr("time.perf_counter", None)
    work = Contender("conversion:decoding", files | {"repeats": 1})
    measured = measure_in_turn(
        {"work": work},
        rounds=1,
        warmups=0,
        in_process=True,
        clock="process_time",
    )
    assert list(measured) == ["work"]
