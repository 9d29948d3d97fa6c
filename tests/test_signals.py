from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from segnet import signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_becomes_a_vote(number):
    before = signal.getsignal(number)
    with signals.StopVotes() as stop:
        assert stop.agreed(stop.votes) is None
        os.kill(os.getpid(), number)
        assert stop.agreed(stop.votes) == number
    assert signal.getsignal(number) == before
    assert signal.set_wakeup_fd(-1) == -1


def test_a_process_that_cannot_go_on_votes_as_after_a_signal():
    with signals.StopVotes() as stop:
        stop.resign(ValueError("no more batches"))
        # With those of another worker, which can.
        votes = stop.votes + signals.StopVotes().votes
        assert stop.agreed(votes) == signals.UNABLE
        assert str(stop.error) == "no more batches"
        # A signal that came as well decides.
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.agreed(stop.votes) == signal.SIGTERM


# Busy in C for longer than any test waits: no handler of Python's can run.
BUSY = """
import hashlib
from segnet import signals
with signals.StopVotes("finishing this step") as stop:
    print("begun", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)
"""


@pytest.mark.parametrize(
    ("number", "name"),
    [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "SIGTERM")],
)
def test_a_signal_is_answered_while_a_step_computes(number, name):
    """At once; the second one of its kind ends the process, the other not."""
    process = subprocess.Popen(
        [sys.executable, "-c", BUSY],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "begun\n"
        process.send_signal(number)
        line = process.stderr.readline()
        assert line == f"{name}: finishing this step\n"
        (other,) = {signal.SIGINT, signal.SIGTERM} - {number}
        process.send_signal(other)
        assert "finishing this step" in process.stderr.readline()
        time.sleep(0.1)
        assert process.poll() is None
        process.send_signal(number)
        rest = process.communicate(timeout=60)[1]
        assert rest == f"{name} again: leaving at once\n"
        assert process.returncode == 128 + number
    finally:
        process.kill()
        process.communicate()
