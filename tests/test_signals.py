from __future__ import annotations

import os
import signal

import pytest

from segnet import signals


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
