"""Tests of benchmarks/harness/simulation.py, by hand and by closed formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.harness import simulation


def draw(seed=0):
    return np.random.default_rng(seed)


def step_seconds(computing, reducing=(0.0,), workers=2, count=4, **options):
    return simulation.step_seconds(
        computing, reducing, workers=workers, count=count, rng=draw(), **options
    )


def test_equal_workers_compute_and_reduce():
    assert step_seconds([1.0], [0.25]) == pytest.approx([1.25] * 4)


def test_a_step_waits_for_the_slowest():
    # Of two, one in four pairs has no slow one: 1 / 4 * 1 + 3 / 4 * 3.
    seconds = step_seconds([1.0, 3.0], workers=2, count=20_000)
    assert seconds.mean() == pytest.approx(2.5, rel=0.02)
    seconds = step_seconds([1.0, 3.0], workers=64, count=100)
    assert seconds == pytest.approx([3.0] * 100)


def test_one_slow_worker_slows_all():
    seconds = step_seconds([1.0], [0.5], workers=8, slowdown=1.5)
    assert seconds == pytest.approx([2.0] * 4)


def test_an_input_that_is_slower_than_the_steps_sets_the_pace():
    # Batches are there at 2, 4, 6 and 8; each is computed at once.
    assert step_seconds([1.0], making=[2.0]) == pytest.approx([3, 2, 2, 2])


def test_an_input_that_is_faster_is_waited_for_once():
    seconds = step_seconds([1.0], making=[0.5])
    assert seconds == pytest.approx([1.5, 1, 1, 1])


def test_an_input_is_no_more_than_so_many_batches_ahead():
    # Two are there when the first long step ends, not three: they last for
    # two short ones, and the third of these waits.
    class Listed:
        """Gives what is written here instead of drawing."""

        def __init__(self, *columns):
            self.columns = list(columns)

        def choice(self, values, shape):
            del values
            return np.reshape(np.array(self.columns.pop(0), float), shape)

    def run(ahead):
        listed = Listed([10, 1, 1, 1, 1], [0] * 5, [2] * 5)
        return simulation.step_seconds(
            [0.0], [0.0], workers=1, count=5, rng=listed, ahead=ahead
        )

    # The first two are made by 2 and 4; then there is room whenever one is
    # taken: the third is made from 4 on (the first was taken at 2), by 6; the
    # fourth from 12 on, when the second is taken, by 14.
    assert run(ahead=2) == pytest.approx([12, 1, 1, 1, 2])
    assert run(ahead=5) == pytest.approx([12, 1, 1, 1, 1])


COSTS = simulation.Costs(
    save=5.0, restart=60.0, notice=30.0, commit=40.0, replace=600.0, join=20.0
)


@pytest.mark.parametrize("interval", [100.0, 1000.0])
def test_what_is_kept_of_a_job_that_starts_again(interval):
    between = 3600.0
    share = simulation.kept_share(
        COSTS, workers=8, between_failures=between, interval=interval,
        elastic=False, rng=draw(), failures=200_000,
    )  # fmt: skip
    # Mean number of whole intervals before a failure at a constant rate.
    away = COSTS.restart + COSTS.replace
    saved = math.exp(-away / between) / math.expm1(
        (interval + COSTS.save) / between
    )
    assert share == pytest.approx(saved * interval / between, rel=0.01)


def test_what_is_kept_of_an_elastic_job():
    between = 1e5  # So seldom that no two meet.
    share = simulation.kept_share(
        COSTS, workers=8, between_failures=between, interval=1e9,
        elastic=True, rng=draw(), failures=20_000,
    )  # fmt: skip
    # Noticed, half a commit, an eighth missing from then on, and joined.
    lost = 30 + 40 / 2 + (600 - 30) / 8 + 20
    assert (1 - share) * between == pytest.approx(lost, rel=0.05)


def test_an_elastic_job_that_loses_its_last_worker_waits():
    share = simulation.kept_share(
        COSTS, workers=1, between_failures=300.0, interval=1e9,
        elastic=True, rng=draw(),
    )  # fmt: skip
    # Nothing is done until there is another one, which takes longer than the
    # next failure most of the time.
    assert 0 < share < math.exp(-600 / 300) * 1.2


def test_the_best_interval_is_near_the_formula_for_seldom_failures():
    interval, kept = simulation.best_interval(
        COSTS, workers=8, between_failures=360_000.0
    )
    assert interval == pytest.approx(math.sqrt(2 * 5 * 360_000), rel=0.3)
    assert kept == pytest.approx(1 - math.sqrt(2 * 5 / 360_000), abs=0.002)
