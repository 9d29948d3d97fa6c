"""All benchmarks run, on something tiny; what they measure is not tested."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import bare_reference, contender, timing
from benchmarks.rows import create_groups
from benchmarks.scale import SMOKE
from segnet import models

ROOT = Path(__file__).resolve().parents[2]


def test_smoke_run_measures_every_row(tmp_path):
    output = tmp_path / "results.json"
    command = [sys.executable, "-m", "benchmarks.run", "--smoke"]
    done = subprocess.run(
        [*command, f"--output={output}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(output.read_text())
    assert results["machine"]["packages"]["tensorflow"].startswith("2.15")
    groups = {row["group"] for row in results["rows"]}
    assert groups == {
        "vgg_segnet", "unpooling", "input", "converter", "inference", "start-up"
    }  # fmt: skip
    for row in results["rows"]:
        assert row["text"] in done.stdout
        if "left_out" in row:
            package = row["left_out"].removeprefix("needs ")
            assert package in ("torch", "cv2")
            assert f"left out: needs {package}" in done.stdout
        else:
            assert row["value"] > 0.0


def test_ratio_is_the_median_of_the_rounds_ratios():
    ours = timing.Series([4, 4, 4], [1.0, 2.0, 4.0], [1.0, 1.0, 1.0])
    theirs = timing.Series([2, 2, 2], [1.0, 1.0, 1.0], [2.0, 2.0, 1.0])
    # 4/2, 2/2 and 1/2; by processor time 4/1, 4/1 and 4/2.
    assert timing.ratio(ours, theirs) == timing.Ratio(1.0, 0.75, 1.5, 3)
    assert timing.ratio(ours, theirs, "processor_seconds").median == 4.0


def test_contenders_run_in_processes_of_their_own():
    python = timing.Contender("python", {})
    series = timing.measure_in_turn([python, python], rounds=2, warmups=1)
    for each in series:
        assert each.items == [1, 1]
        assert each.peak_bytes > 1e6
        assert all(seconds > 0.0 for seconds in each.processor_seconds)


def test_a_contender_that_fails_is_named(capfd):
    broken = timing.Contender("convert", {"images_dir": "/nowhere"})
    with pytest.raises(RuntimeError, match=r"convert .*status 1"):
        timing.measure_in_turn([broken], rounds=1, warmups=0)
    assert "TypeError" in capfd.readouterr().err


def test_every_contender_has_a_row():
    from benchmarks.datasets import Dataset

    groups = create_groups(SMOKE, Dataset("none", "a", "b", 2, ""))
    kinds = {
        each.kind for group in groups for each in group.contenders.values()
    }
    assert kinds == set(contender.CONTENDERS)
    for group in groups:
        for row in group.rows:
            assert {row.over, row.under} - {""} <= set(group.contenders)


def test_bare_reference_is_the_same_network():
    ours = models.create_model(
        "vgg_segnet", 5, input_shape=(32, 48), width_multiplier=0.1
    )
    bare = bare_reference.create_network(5, 0.1)
    # The layers stand in the same order.
    bare.set_weights(ours.get_weights())
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 48, 3))
    images = tf.constant(images, tf.uint8)
    expected = ours(images)
    scale = float(tf.reduce_max(tf.abs(expected)))
    np.testing.assert_allclose(bare(images), expected, atol=1e-5 * scale)
