"""The converter, stopped by a signal at any moment, leaves nothing behind."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType

import picture_files as files
import pytest

from segnet import locks, signals
from segnet.convert import program, split_writer, steps
from tools import convert_to_tfrecord as convert

NUMBERS = (signal.SIGINT, signal.SIGTERM)
FILES = {module.__file__ for module in (split_writer, signals, locks)}
FUNCTIONS = {x.__code__ for x in (program.convert, steps.process)}
SPLIT = {
    "train-00000-of-00002.tfrecord",
    "train-00001-of-00002.tfrecord",
    "train.json",
}


@pytest.fixture(autouse=True)
def own_trace() -> Iterator[None]:
    """Gives the trace function back, which measures the coverage."""
    before = sys.gettrace()
    yield
    sys.settrace(before)


def run(argv: list[str], number: int, when: Callable[[int], bool]) -> int:
    """The exit status of the converter with signals at chosen moments.

    Args:
      argv: Its arguments.
      number: The signal.
      when: Whether it comes at the moment of this index: before a line, a
        call or a return of `FILES` and `FUNCTIONS`, from the first that the
        converter's own handlers see to the last.
    """
    before = {each: signal.getsignal(each) for each in NUMBERS}
    moment = 0

    def trace(frame: FrameType, event: str, argument: object):
        nonlocal moment
        code = frame.f_code
        if code.co_filename not in FILES and code not in FUNCTIONS:
            return None
        if signal.getsignal(number) != before[number]:
            moment += 1
            if when(moment - 1):
                signal.raise_signal(number)
        return trace

    sys.settrace(trace)
    try:
        return convert.main(argv)
    finally:
        sys.settrace(None)
        # A signal at the very end keeps them from being restored.
        for each, handler in before.items():
            signal.signal(each, handler)


@pytest.mark.parametrize(
    ("number", "again"), [(signal.SIGINT, False), (signal.SIGTERM, True)]
)
def test_a_signal_at_any_moment_leaves_nothing(tmp_path, number, again):
    """With `again` more of them come at every moment after the first."""
    root = files.write_folders(tmp_path, 2)
    output = root / "out"
    statuses = []
    while not statuses or statuses[-1] != 0:
        first = len(statuses)

        def when(moment: int, first: int = first) -> bool:
            return moment >= first if again else moment == first

        statuses.append(run(files.flags(root), number, when))
        if output.exists():
            assert {path.name for path in output.iterdir()} == SPLIT, first
            shutil.rmtree(output)
    assert set(statuses) == {128 + number, 0}
    assert len(statuses) > 150
