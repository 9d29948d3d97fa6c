"""Tests of segnet/summaries.py and segnet/signals.py."""

from __future__ import annotations

import json
import os
import signal

import pytest
import tensorflow as tf

from segnet import signals
from segnet.progress import Progress
from segnet.training.metric_writer import MetricWriter


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


def test_other_ranks_write_nothing(tmp_path):
    writer = MetricWriter(str(tmp_path), enabled=False, step=0)
    writer.write(1, 0, {"loss": 1.0})
    writer.close()
    assert not list(tmp_path.iterdir())


def test_progress_is_plain_lines_without_a_terminal(capsys):
    progress = Progress(5, done=1, enabled=True, unit="step", label="train")
    progress.advance()
    progress.log("step 2/5 loss 0.5", "loss 0.5")
    progress.close()
    assert capsys.readouterr().out == "step 2/5 loss 0.5\n"


def test_progress_is_a_bar_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    progress = Progress(5, done=1, enabled=True, unit="step", label="train")
    progress.advance(2)
    progress.log("step 3/5 loss 0.5", "loss 0.5, 2 images/s")
    progress.close()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "3/5" in captured.err and "loss 0.5" in captured.err


def test_a_disabled_progress_is_silent(capsys):
    progress = Progress(5, done=0, enabled=False, unit="step", label="train")
    progress.advance()
    progress.log("line", "postfix")
    progress.close()
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_becomes_a_vote(number):
    before = signal.getsignal(number)
    with signals.StopVotes() as stop:
        assert stop.agreed(stop.votes) is None
        os.kill(os.getpid(), number)
        assert stop.agreed(stop.votes) == number
        # The second one has its usual effect again.
        assert signal.getsignal(number) == before
    assert signal.getsignal(number) == before
