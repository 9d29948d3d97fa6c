"""Tests of segnet/training/epoch_losses.py."""

from __future__ import annotations

import numpy as np
import pytest

from segnet.training.epoch_losses import EpochLosses


def _epochs(losses, *means):
    """Ends an epoch of one labelled pixel for each mean."""
    results = []
    for mean in means:
        losses.add(np.array([mean, 1.0]))
        results.append(losses.end_epoch(4))
    return results


def test_means_are_of_pixels_not_of_steps():
    losses = EpochLosses()
    losses.add(np.array([8.0, 2.0]))
    losses.add(np.array([1.0, 4.0]))
    assert losses.take_line() == 1.5
    losses.add(np.array([3.0, 1.0]))
    assert losses.take_line() == 3.0
    # The epoch: 12 over 7 pixels.
    assert losses.end_epoch(4) is None
    (risen,) = _epochs(losses, 4.0)
    assert risen == (12 / 7, 4.0)


def test_without_a_labelled_pixel_there_is_no_loss():
    """Least of all 0, which would be perfection."""
    losses = EpochLosses()
    losses.add(np.zeros(2))
    assert losses.take_line() is None
    assert losses.end_epoch(4) is None
    # Nor does such an epoch count as one before.
    assert _epochs(losses, 2.0, 2.5) == [None, None]


@pytest.mark.parametrize(
    ("means", "risen"),
    [
        ((2.0, 1.0, 1.9), False),  # Below the first.
        ((2.0, 2.9), False),
        ((2.0, 3.1), True),
        # One low epoch does not make the next one high.
        ((2.0, 1.8, 0.9, 1.7), False),
        ((2.0, 0.5, 0.5, 0.5, 0.9), False),
        ((2.0, 0.5, 0.5, 0.5, 1.1), True),
        # Small losses are noisy: three times as much, but little.
        ((2.0, 0.02, 0.02, 0.02, 0.06), False),
    ],
)
def test_a_rise_is_more_than_noise(means, risen):
    *before, last = _epochs(EpochLosses(), *means)
    assert before == [None] * len(before)
    assert last == ((means[-2], means[-1]) if risen else None)


def test_epochs_of_few_images_are_all_noise():
    losses = EpochLosses()
    for mean in (1.0, 20.0):
        losses.add(np.array([mean, 1.0]))
        assert losses.end_epoch(3) is None


def test_a_stage_begins_anew():
    losses = EpochLosses()
    assert _epochs(losses, 1.0, 1.0) == [None, None]
    losses.begin_stage()
    assert _epochs(losses, 9.0) == [None]
    assert _epochs(losses, 20.0) == [(9.0, 20.0)]


@pytest.mark.parametrize(("first", "risen"), [(2.0, None), (None, (0.1, 0.3))])
def test_a_resumed_run_is_held_against_where_it_began(first, risen):
    """Not against where it was resumed, when its losses were small already."""
    assert _epochs(EpochLosses(first), 0.1, 0.3) == [None, risen]


def test_a_stage_does_not_forget_where_the_run_began():
    losses = EpochLosses()
    _epochs(losses, 2.0)
    losses.begin_stage()
    assert _epochs(losses, 0.1, 0.3) == [None, None]
