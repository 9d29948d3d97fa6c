"""The targets of the fuzzer on good inputs, and on what it has found."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hostile_inputs import few, mutated, seeds
from hypothesis import given
from hypothesis import strategies as st

from fuzz.targets import TARGETS

CASES = sorted(path for path in Path(__file__).parent.glob("cases/*/*"))


@pytest.mark.parametrize("name", TARGETS)
def test_good_inputs(name):
    target = TARGETS[name]
    for seed in target.seeds():
        assert len(seed) <= target.longest
        target.run(seed)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_what_was_found_stays_mended(path):
    TARGETS[path.parent.name].run(path.read_bytes())


@few(5)
@given(st.sampled_from(["manifest", "record", "labels"]), seeds)
def test_changes_inside_the_format(name, seed):
    """They give inputs that differ, and that the target takes."""
    target = TARGETS[name]
    data = target.seeds()[0]
    if target.change is not None:
        chance = random.Random(seed)
        changed = target.change(data, chance, lambda part: mutated(part, seed))
        assert isinstance(changed, bytes)
        data = changed
    target.run(data)
