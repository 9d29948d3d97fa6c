"""Tests of segnet/evaluation/ahead.py."""

from __future__ import annotations

import concurrent.futures
import threading

import pytest

from segnet.evaluation.ahead import Budget, map_ahead


def test_results_come_in_order_and_few_are_ahead():
    taken = []

    def items():
        for number in range(6):
            taken.append(number)
            yield number

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        results = map_ahead(pool, lambda x: -x, items(), limit=2)
        assert next(results) == 0
        assert taken == [0, 1, 2]
        assert list(results) == [-1, -2, -3, -4, -5]


def test_what_waits_is_not_begun_after_an_error():
    begun, gate = [], threading.Event()

    def work(number):
        begun.append(number)
        if number == 0:
            raise ValueError(number)
        gate.wait(10)

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with pytest.raises(ValueError, match="0"):
            list(map_ahead(pool, work, range(9), limit=8))
        gate.set()
    # The thread may have taken the next one before the error was seen.
    assert begun in ([0], [0, 1])


def test_a_budget_is_never_exceeded_and_more_than_it_is_all_of_it():
    budget, used, most = Budget(10), [0], []
    lock = threading.Lock()

    def work(cost):
        with budget.taken(cost):
            with lock:
                used[0] += min(cost, 10)
                most.append(used[0])
            threading.Event().wait(0.005)
            with lock:
                used[0] -= min(cost, 10)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(work, [3, 4, 5, 25, 1, 2, 9, 6] * 3))
    assert len(most) == 24
    assert max(most) == 10
    with pytest.raises(KeyError), budget.taken(10):
        raise KeyError
    with budget.taken(10):
        pass
