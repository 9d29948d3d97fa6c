"""Limits of the system, streams that are closed or full, and the clock."""

from __future__ import annotations

import shutil

import pytest
from fault_programs import PROGRAMS, finish, start

pytestmark = pytest.mark.faults


DESCRIPTORS = [
    ("convert", 8), ("convert", 16), ("convert", 24), ("convert", 40),
    ("train", 8), ("train", 16), ("train", 40), ("predict", 16),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "number"), DESCRIPTORS, ids=[f"{n}-{i}" for n, i in DESCRIPTORS]
)
def test_few_descriptors(programs, tmp_path, name, number):
    """Either they are enough, or a line says what is missing."""
    output = tmp_path / "out"
    result = finish(
        start(programs.command(name, output), f"ulimit -n {number}")
    )
    if result.status:
        result.refused("many open files")
    programs.run_again(name, output)


# Megabytes of address space.
MEMORY = [
    ("convert", 60), ("convert", 120), ("convert", 250),
    ("train", 300), ("train", 1000), ("train", 2000), ("evaluate", 1000),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "size"), MEMORY, ids=[f"{name}-{size}M" for name, size in MEMORY]
)
def test_little_memory(programs, tmp_path, name, size):
    """Either it is enough, or a line says so, or a library gives up.

    TensorFlow ends the process itself where it gets no memory.
    """
    output = tmp_path / "out"
    shell = f"ulimit -c 0; ulimit -v {size * 1024}"
    result = finish(start(programs.command(name, output), shell))
    assert "Traceback" not in result.err, result.err
    if result.status > 0 and result.status < 128:
        result.refused()
    programs.run_again(name, output)


@pytest.mark.parametrize("size", ["128", "256", "unlimited"])
def test_stack(programs, tmp_path, size):
    output = tmp_path / "out"
    shell = f"ulimit -s {size}"
    finish(start(programs.command("convert", output), shell)).done()
    programs.check("convert", output)


@pytest.mark.parametrize("name", ["convert", "train"])
def test_limit_of_computing_time(programs, tmp_path, name):
    """The system kills it; what it had is kept."""
    output = tmp_path / "out"
    seconds = 4 if name == "train" else 1
    finish(
        start(
            programs.command(name, output), f"ulimit -c 0; ulimit -t {seconds}"
        )
    )
    programs.run_again(name, output)


CLOSED = {
    "stdin": "exec <&-",
    "stdout": "exec >&-",
    "stderr": "exec 2>&-",
    "all": "exec <&- >&- 2>&-",
    "stderr-full": "exec 2>/dev/full",
}


@pytest.mark.parametrize(
    ("name", "stream"),
    [
        *(("convert", stream) for stream in CLOSED),
        *((name, "all") for name in PROGRAMS[1:]),
        ("train", "stderr-full"),
    ],
)
def test_closed_streams(programs, tmp_path, name, stream):
    output = tmp_path / "out"
    result = finish(start(programs.command(name, output), CLOSED[stream]))
    result.done()
    programs.check(name, output)


@pytest.mark.parametrize("name", PROGRAMS)
def test_full_standard_output(programs, tmp_path, name):
    """The work is done; that its output is lost is said."""
    output = tmp_path / "out"
    command = programs.command(name, output)
    finish(start(command, "exec >/dev/full")).refused("standard output")
    programs.check(name, output)


@pytest.mark.parametrize("name", ["convert", "train"])
def test_reader_of_the_output_leaves(programs, tmp_path, name):
    output = tmp_path / "out"
    command = programs.command(name, output)
    finish(start(command, "exec > >(head -c 1 >/dev/null)")).done()
    programs.check(name, output)


CLOCKS = {
    "1971": ["1971-01-01 00:00:00"],
    "2040": ["2040-01-01 00:00:00"],
    "a-day-a-second": ["-f", "+0 x86400"],
    "backwards": ["-f", "+0 i-1.0"],
}


@pytest.mark.skipif(not shutil.which("faketime"), reason="no faketime here")
@pytest.mark.parametrize(
    ("name", "clock"),
    [*(("convert", clock) for clock in CLOCKS), ("train", "backwards")],
)
def test_clock(programs, tmp_path, name, clock):
    """Nothing depends on the date."""
    output = tmp_path / "out"
    command = programs.command(name, output)
    shell = "export FAKETIME_DONT_FAKE_MONOTONIC=1"
    finish(start(["faketime", *CLOCKS[clock], *command], shell)).done()
    programs.check(name, output)
