"""Tests of segnet/training/ending.py."""

from __future__ import annotations

import pytest

from segnet.config import Config
from segnet.config.schedule import create_schedule
from segnet.errors import ConfigError
from segnet.training import ending


def _why(step, best_epoch=0, **changes):
    """Of a run of 12 images in batches of 4: three steps an epoch."""
    config = Config(batch_size=4, workdir="RUN", **changes)
    schedule = create_schedule(config, 12, 1)
    return ending.why_ended(config, schedule, step, best_epoch)


def test_a_run_that_has_not_ended_goes_on():
    assert _why(5, epochs=2) is None
    assert _why(6, epochs=3) is None
    assert _why(2, epochs=2, max_steps=3) is None
    assert _why(2, epochs=2, max_steps=0) is None


def test_the_flag_that_ended_it_is_named():
    assert _why(6, epochs=2) == (
        "--epochs=2 ended it at step 6; raise --epochs to go on"
    )
    assert _why(5, epochs=2, max_steps=5) == (
        "--max_steps=5 ended it at step 5; raise it, or take it back with "
        "--max_steps=0"
    )
    # A limit that the epochs come to first is not the one.
    assert "--epochs=2 ended it" in _why(6, epochs=2, max_steps=6)
    assert _why(9, best_epoch=1, epochs=9, early_stopping_epochs=2) == (
        "--early_stopping_epochs=2 ended it at step 9; raise it to go on"
    )
    assert _why(9, best_epoch=2, epochs=9, early_stopping_epochs=2) is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"epochs": 2}, "--epochs=2 ends at step 6, but RUN is at step 9"),
        ({"epochs": 9, "max_steps": 8}, "--max_steps=8 ends at step 8"),
    ],
)
def test_an_end_that_lies_behind_is_refused(changes, words):
    config = Config(batch_size=4, workdir="RUN", **changes)
    schedule = create_schedule(config, 12, 1)
    with pytest.raises(ConfigError, match=words):
        ending.check_end(config, schedule, 9)
    ending.check_end(config, schedule, schedule.total_steps)
