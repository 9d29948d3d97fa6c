"""Tests of the writer of metrics, of segnet/progress.py and signals.py."""

from __future__ import annotations

import json
import os

import pytest
import tensorflow as tf

from segnet.errors import DataError, RunError
from segnet.training.metric_writer import (
    MetricWriter,
    first_loss,
    step_known_saved,
)


def _lines(folder):
    return [
        json.loads(line)
        for line in (folder / "metrics.jsonl").read_text().splitlines()
    ]


def test_writes_json_lines_and_tensorboard(tmp_path):
    writer = MetricWriter(str(tmp_path), enabled=True, step=0)
    writer.write(3, 1, {"loss": 0.5, "val_iou": {"sky": 0.25, "car": None}})
    writer.close()
    assert _lines(tmp_path) == [
        {
            "step": 3,
            "epoch": 1,
            "loss": 0.5,
            "val_iou": {"sky": 0.25, "car": None},
        }
    ]
    (events,) = (tmp_path / "tensorboard").iterdir()
    tags = {
        value.tag: tf.make_ndarray(value.tensor).item()
        for event in tf.compat.v1.train.summary_iterator(str(events))
        for value in event.summary.value
    }
    assert tags == {"loss": 0.5, "val_iou/sky": 0.25}


def test_resuming_drops_what_is_done_again(tmp_path):
    file = tmp_path / "metrics.jsonl"
    file.write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n{"step": 4, "lo')
    MetricWriter(str(tmp_path), enabled=True, step=2).close()
    assert [line["step"] for line in _lines(tmp_path)] == [1, 2]


@pytest.mark.parametrize("is_there", [True, False])
def test_nothing_is_written_through_a_link(tmp_path, is_there):
    other = tmp_path / "other"
    if is_there:
        other.write_text('{"step": 1}\n')
    workdir = tmp_path / "run"
    workdir.mkdir()
    (workdir / "metrics.jsonl").symlink_to(other)
    with pytest.raises(RunError, match=r"metrics\.jsonl.*is a link; remove it"):
        MetricWriter(str(workdir), enabled=True, step=1)
    (workdir / "metrics.jsonl").unlink()
    writer = MetricWriter(str(workdir), enabled=True, step=1)
    (workdir / "metrics.jsonl").symlink_to(other)
    with pytest.raises(RunError, match="is a link"):
        writer.write(2, 1, {"loss": 0.5})
    assert other.exists() == is_there
    assert not is_there or other.read_text() == '{"step": 1}\n'
    # A workdir that is a link is the user's own.
    (tmp_path / "link").symlink_to(workdir)
    (workdir / "metrics.jsonl").unlink()
    MetricWriter(str(tmp_path / "link"), enabled=True, step=0).write(
        1, 1, {"loss": 0.5}
    )
    assert _lines(workdir)[0]["loss"] == 0.5


def test_the_log_of_a_run_that_begins_anew_is_set_aside(tmp_path):
    for first in (7, 8):
        (tmp_path / "metrics.jsonl").write_text(f'{{"step": {first}}}\n')
        MetricWriter(str(tmp_path), enabled=True, step=0).close()
        assert not (tmp_path / "metrics.jsonl").exists()
    kept = sorted(tmp_path.glob("metrics*"))
    assert [path.name for path in kept] == [
        "metrics-before-1.jsonl",
        "metrics-before-2.jsonl",
    ]
    assert kept[1].read_text() == '{"step": 8}\n'


@pytest.mark.parametrize(
    ("lines", "every", "expected"),
    [
        # A run that can have ended before its first checkpoint.
        ("", None, None),
        ('{"step": 4, "epoch": 0}\n{"step": 5, "epoch": 1}', None, None),
        ('{"step": 4, "epoch": 0}\n{"step": 5, "epoch": 0}', 5, None),
        ('[]\n{"step": "x"}\n{"step": 9, "ep', None, None),
        # One that cannot.
        ('{"step": 5, "epoch": 1}\n{"step": 6, "epoch": 1}', None, 6),
        ('{"step": 10, "epoch": 2}', None, 10),
        ('{"step": 5, "epoch": 0}\n{"step": 6, "epoch": 0}', 5, 6),
        ('{"step": 2, "epoch": 0, "val_mean_iou": 0.1}', None, 2),
        ('{"step": 2, "epoch": 0, "val_mean_iou": null}', None, None),
    ],
)
def test_a_log_tells_that_there_was_a_checkpoint(
    tmp_path, lines, every, expected
):
    (tmp_path / "metrics.jsonl").write_text(lines)
    assert step_known_saved(str(tmp_path), every) == expected
    assert step_known_saved(str(tmp_path / "none"), every) is None


def test_a_full_disk_on_resuming_keeps_all_lines(tmp_path, monkeypatch):
    file = tmp_path / "metrics.jsonl"
    file.write_text('{"step": 1}\n{"step": 2}\n')

    def fail(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(RunError, match=r"metrics.jsonl: .*No space left"):
        MetricWriter(str(tmp_path), enabled=True, step=1)
    assert [line["step"] for line in _lines(tmp_path)] == [1, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.jsonl"]


def test_other_ranks_write_nothing(tmp_path):
    writer = MetricWriter(str(tmp_path), enabled=False, step=0)
    writer.write(1, 0, {"loss": 1.0})
    writer.close()
    assert not list(tmp_path.iterdir())


def test_the_first_loss_is_that_of_the_first_line_that_has_one(tmp_path):
    assert first_loss(str(tmp_path)) is None
    (tmp_path / "metrics.jsonl").write_text(
        '{"step": 1, "epoch": 1, "loss": null}\n'
        '{"step": 1, "epoch": 1, "val_mean_iou": 0.5}\n'
        '{"step": 2, "epoch": 2, "loss": 1.25}\n'
        '{"step": 3, "epoch": 3, "loss": 0.5}\n'
    )
    assert first_loss(str(tmp_path)) == 1.25


def test_lines_that_are_no_lines_of_a_run_are_left_out(tmp_path):
    odd = [
        '{"step": "9"}', '{"step": 9, "epoch": []}', '{"step": 9.5}', "[9]",
        '{"step": true}', '{"step": 1e999}', '{"step": ' + "9" * 5000 + "}",
        "[" * 100_000, '{"step": NaN}', "9", "null", '{"loss": 1}',
    ]  # fmt: skip
    path = tmp_path / "metrics.jsonl"
    whole = '{"step": 3, "epoch": 1, "loss": 0.5}'
    path.write_text("\n".join([*odd, whole]) + "\n")
    assert first_loss(str(tmp_path)) == 0.5
    assert step_known_saved(str(tmp_path), 2) == 3
    MetricWriter(str(tmp_path), enabled=True, step=3).close()
    assert path.read_text() == whole + "\n"


def test_a_log_that_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "metrics.jsonl")
    with pytest.raises(DataError, match="not a plain file"):
        first_loss(str(tmp_path))


def test_what_is_in_the_way_of_tensorboard_is_named(tmp_path):
    (tmp_path / "tensorboard").write_text("mine")
    with pytest.raises(RunError) as caught:
        MetricWriter(str(tmp_path), enabled=True, step=0)
    assert str(caught.value).startswith(
        f"{tmp_path}/tensorboard: cannot be written ("
    )
    assert (tmp_path / "tensorboard").read_text() == "mine"
