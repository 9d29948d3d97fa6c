"""What the tests of hostile inputs share: generating, mutating, running.

PYTEST_INPUTS=N generates N times as many inputs; `make test-faults` does.
"""

from __future__ import annotations

import dataclasses
import os
import random
import signal
import sys
import tempfile
import unicodedata
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from segnet import entry
from segnet.errors import UserError

__all__ = [
    "Outcome",
    "change_json",
    "counted",
    "few",
    "mutated",
    "result_or_line",
    "run_program",
    "seeds",
]

FACTOR = int(os.environ.get("PYTEST_INPUTS", "1"))
# Inputs so far in this process.
total = 0

seeds = st.integers(0, 2**32 - 1)

# What entries of JSON are replaced by.
VALUES = (
    None, True, False, -1, 0, 1, 2, 255, 256, 2**31, 2**63 - 1, 2**64, 10**400,
    0.5, -0.0, 1e300, float("nan"), float("inf"), "", "..", "/etc/passwd",
    "../../x", "a/b", "*", "\0", "\udcff", "\ud800", "\x1b[31m", "é" * 300,
    [], {}, [[]], [None], {"a": {}}, "0" * 16, "train",
)  # fmt: skip


def few(examples: int):
    """Settings of a property: the same inputs in every run."""
    return settings(
        max_examples=examples * FACTOR,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )


def counted(number: int = 1) -> None:
    """Counts inputs; the sum is printed at the end."""
    global total
    total += number


def mutated(data: bytes, seed: int, most: int = 6) -> bytes:
    """Bytes, changed in one to a few places, cut, or mixed up."""
    chance = random.Random(seed)
    content = bytearray(data)
    for _ in range(chance.randint(1, most)):
        if not content:
            break
        # The head decides about most.
        place = chance.randrange(
            min(len(content), 64) if chance.random() < 0.3 else len(content)
        )
        length = min(chance.choice((1, 2, 4, 8, 40)), len(content) - place)
        act = chance.randrange(8)
        if act == 0:
            content[place] ^= 1 << chance.randrange(8)
        elif act == 1:
            content[place] = chance.choice((0, 1, 127, 128, 255))
        elif act == 2:
            content[place : place + length] = chance.randbytes(length)
        elif act == 3:
            del content[place : place + length]
        elif act == 4:
            content[place:place] = content[place : place + length]
        elif act == 5:
            other = chance.randrange(len(content))
            content[place : place + length] = content[other : other + length]
        elif act == 6:
            content[place : place + 4] = chance.choice(
                (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff")
            )
        elif chance.random() < 0.3:
            del content[place:]
    return bytes(content)


def change_json(content: Any, seed: int) -> Any:
    """Replaces, removes, doubles or moves an entry of what JSON holds."""
    chance = random.Random(seed)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        holders = [each for each in _holders(content) if each]
        if not holders:
            break
        holder = chance.choice(holders)
        is_object = isinstance(holder, dict)
        key = chance.choice([*holder] if is_object else [*range(len(holder))])
        act = chance.randrange(6)
        if act == 0:
            del holder[key]
        elif act == 1 and not is_object:
            holder.insert(key, holder[key])
        elif act == 2 and is_object:
            holder[str(chance.choice(VALUES))[:20]] = holder[key]
        else:
            holder[key] = chance.choice(VALUES)
    return content


def _holders(content: Any) -> list[Any]:
    """All lists and objects in what JSON holds."""
    if not isinstance(content, (dict, list)):
        return []
    inside = content.values() if isinstance(content, dict) else content
    return [content, *(x for each in inside for x in _holders(each))]


def result_or_line(
    function: Callable[..., Any], *arguments: Any
) -> tuple[Any, str]:
    """What a function gives, or the line with which it refuses its input."""
    counted()
    try:
        return function(*arguments), ""
    except UserError as error:
        line = str(error)
    assert line and "\n" not in line and len(line) < 900
    return None, line


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a program did: its exit status, and the lines that it printed."""

    status: int
    out: str
    err: str

    def check(self, name: str, statuses: Sequence[int] = (0, 1, 2)) -> None:
        """Holds it against what is promised of all programs."""
        assert "Traceback" not in self.err, self.err
        assert self.status in statuses, self.err
        lines = self.err.splitlines()
        if self.status:
            assert lines and lines[-1].startswith(f"{name}: "), self.err
        for line in [*lines, *self.out.splitlines()]:
            assert len(line) < 2000, line
            controls = {c for c in line if unicodedata.category(c) == "Cc"}
            assert controls <= {"\t"}, line


def run_program(
    name: str, main: Callable[[Sequence[str]], int], argv: Sequence[str]
) -> Outcome:
    """Runs a program in this process, as its file does when it is started.

    Warnings are printed, as there, and what libraries write to the descriptors
    is seen, too.
    """
    numbers = (signal.SIGINT, signal.SIGTERM)
    handlers = {number: signal.getsignal(number) for number in numbers}
    streams, before = (sys.stdout, sys.stderr), sys.argv
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        for stream in streams:
            stream.flush()
        kept = [os.dup(1), os.dup(2)]
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        sys.argv = [*argv]
        try:
            with warnings.catch_warnings():
                # Outside tests what Pillow warns of is not shown.
                warnings.simplefilter("ignore")
                status = entry.run(name, main)
        finally:
            sys.argv = before
            for descriptor, copy in enumerate(kept, 1):
                os.dup2(copy, descriptor)
                os.close(copy)
            sys.stdout, sys.stderr = streams
            for number, handler in handlers.items():
                signal.signal(number, handler)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
    return Outcome(status, *texts)
