"""One of two workers fails: the job ends, soon, with that one's message."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import failing_worker
import pytest
from conftest import run_flags
from horovod_launcher import launch, needs_horovod

pytestmark = [pytest.mark.dist, needs_horovod]

# How many seconds the others may take to notice.
LIMIT_SECS = 60


@pytest.mark.parametrize(
    ("way", "words"),
    [
        pytest.param(
            "shard",
            ["damaged/train-0000", "--overwrite"],
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "nan",
            ["the loss is nan at or shortly before step"],
            marks=pytest.mark.slow,
        ),
        ("exception", ["the cable of rank 1 was pulled out", "Traceback"]),
    ],
)
def test_a_failing_rank_ends_the_job(way, words, data_dir, tmp_path):
    damaged = tmp_path / "damaged"
    shutil.copytree(data_dir, damaged)
    for shard in damaged.glob("train-*"):
        # Of this length still, and the lengths in its records in order.
        data = bytearray(shard.read_bytes())
        pixels = data.rindex(b"IDAT") + 4
        data[pixels : pixels + 40] = bytes(40)
        shard.write_bytes(data)
    note = tmp_path / "note"
    result = launch(
        2,
        failing_worker.__file__,
        [
            way,
            note,
            *run_flags(data_dir, tmp_path / "run", "--epochs=3")[1:],
            "--width_multiplier=0.1",
        ],
    )
    seconds = time.time() - float(note.read_text())
    printed = result.stdout + result.stderr
    assert result.returncode != 0, printed
    own = [line for line in printed.splitlines() if "[1]<std" in line]
    for word in words:
        assert any(word in line for line in own), printed
    print(f"{way}: the job ended {seconds:.0f} s after its rank 1 failed")
    assert seconds < LIMIT_SECS
    # What the other one says of it, if it comes to that, is one line.
    others = [line for line in printed.splitlines() if "[0]<stderr" in line]
    assert not any("Traceback" in line for line in others), printed
    checkpoints = Path(tmp_path / "run" / "checkpoints")
    assert not list(checkpoints.glob("ckpt-1*"))
