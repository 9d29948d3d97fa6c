"""Scores over the folds of a cross-validation, by hand."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from segnet.config.config import Config
from segnet.config.config_file import save_config
from segnet.errors import DataError
from segnet.evaluation import folds, metrics
from tools import summarize_folds

NAMES = ("sky", "road")
# IoU of sky 6/8 and of road 4/6, all of 12 pixels: mean 0.7083.
FIRST = [[6, 1], [1, 4]]
# 2/4 and 0/2: mean 0.25.
SECOND = [[2, 0], [2, 0]]


def write_run(workdir, split: str, confusion, names=NAMES) -> str:
    workdir.mkdir()
    config = Config(workdir=str(workdir), data_dir="data", eval_split=split,
                    class_names=names)  # fmt: skip
    save_config(str(workdir), config)
    scores = metrics.summarize(np.array(confusion), names)
    text = json.dumps({**scores, "confusion_matrix": confusion})
    (workdir / f"evaluation-{split}.json").write_text(text)
    return str(workdir)


@pytest.fixture
def runs(tmp_path):
    return [
        write_run(tmp_path / "a", "fold0_val", FIRST),
        write_run(tmp_path / "b", "fold1_val", SECOND),
    ]


def test_mean_deviation_and_all_pixels_together(runs):
    summary = folds.summarize_folds([folds.load_fold(run) for run in runs])
    assert [fold["split"] for fold in summary["folds"]] == [
        "fold0_val", "fold1_val",
    ]  # fmt: skip
    both = [(6 / 8 + 4 / 6) / 2, (2 / 4 + 0) / 2]
    mean = sum(both) / 2
    assert summary["mean"]["mean_iou"] == pytest.approx(mean)
    # Of two values the deviation is their distance over the root of 2.
    deviation = (both[0] - both[1]) / 2**0.5
    found = summary["standard_deviation"]
    assert found["mean_iou"] == pytest.approx(deviation)
    road = summary["mean"]["per_class"]["road"]["iou"]
    assert road == pytest.approx((4 / 6 + 0) / 2)
    # [[8, 1], [3, 4]]: 8/12 and 4/8.
    pooled = summary["pooled"]
    assert pooled["mean_iou"] == pytest.approx((8 / 12 + 4 / 8) / 2)
    assert pooled["pixels"] == 16


def test_a_class_that_a_fold_has_not_is_left_out_of_its_mean(tmp_path, runs):
    third = write_run(tmp_path / "c", "fold2_val", [[5, 0], [0, 0]])
    scores = [folds.load_fold(run) for run in (runs[0], third)]
    summary = folds.summarize_folds(scores)
    assert summary["mean"]["per_class"]["road"]["iou"] == pytest.approx(4 / 6)
    assert summary["standard_deviation"]["per_class"]["road"]["iou"] is None


def test_the_program_prints_a_table_and_writes_a_file(tmp_path, runs, capsys):
    output = tmp_path / "folds.json"
    arguments = ["summarize_folds.py", *runs, f"--output={output}"]
    assert summarize_folds.main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["IoU", "of", "fold0_val", "fold1_val", "mean",
                                "std", "pooled"]  # fmt: skip
    row = next(line for line in lines if line.startswith("mean IoU"))
    assert re.findall(r"0\.\d+", row) == [
        "0.7083", "0.2500", "0.4792", "0.3241", "0.5833",
    ]  # fmt: skip
    assert json.loads(output.read_text())["pooled"]["pixels"] == 16


def test_runs_that_cannot_be_summed_up_are_one_line(tmp_path, runs, capsys):
    again = write_run(tmp_path / "c", "fold1_val", SECOND)
    other = write_run(tmp_path / "d", "fold3_val", SECOND, ("sky", "sea"))
    lone = write_run(tmp_path / "e", "fold4_val", SECOND)
    (tmp_path / "e" / "evaluation-fold4_val.json").unlink()
    odd = write_run(tmp_path / "f", "fold5_val", SECOND)
    path = tmp_path / "f" / "evaluation-fold5_val.json"
    for workdir, message in (
        (again, "was scored on fold1_val like"),
        (other, "has other classes than"),
        (lone, "make it with python main.py --mode=evaluate"),
        (str(tmp_path), "has no config.json, so it is no run"),
    ):
        assert summarize_folds.main(["x", *runs, workdir]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line
    scores = json.loads(path.read_text())
    fractions, negative = [[1.5, 0], [0, 1]], [[-1, 0], [0, 1]]
    truths = [[True, False], [True, True]]
    for confusion in (None, [], "x", [[1]], [[1, 2], [3]], fractions, negative,
                      truths):  # fmt: skip
        path.write_text(json.dumps({**scores, "confusion_matrix": confusion}))
        with pytest.raises(DataError, match="does not hold scores"):
            folds.load_fold(odd)
