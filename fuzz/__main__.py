"""Fuzzes what reads files of others, one target after the other.

python -m fuzz [--seconds=60] [--only=record,manifest,...] [--output=FOLDER]

Prints for each target how often it was run, how fast, how many branches and
values of the code were reached, and what was found; exits with 1 if something
was. A finding is a file in FOLDER/TARGET: put it into tests/fuzz/cases/TARGET,
where `tests/fuzz/test_fuzz.py` takes it up, and mend what it shows.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

__all__ = ["main"]

_TARGETS = ("record", "manifest", "labels", "weights")
# A slow input or a crash is a result here: the programs read such files in a
# process of its own first, see `segnet/models/hdf5_trial.py`.
_TRIED = ("weights",)
_MEGABYTES = 4096  # Of memory; more is a finding.
_SLOWEST_SECONDS = 20  # Of an input; more is a finding.
_SLOWEST_GUARDED_SECONDS = 2
_RUNS = r"number_of_executed_units: *(\d+)"
# Where libFuzzer tells the others.
_FIGURES = {
    "coverage": r" cov: (\d+)",
    "features": r" ft: (\d+)",
    "inputs kept": r" corp: (\d+)",
}


def main(argv: Sequence[str]) -> int:
    """Runs the fuzzers; returns the exit status."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="a target")
    parser.add_argument("--only", default=",".join(_TARGETS))
    parser.add_argument("--output", default="", help="where findings go")
    arguments = parser.parse_args(argv)
    output = Path(arguments.output or tempfile.mkdtemp(prefix="fuzz-"))
    found = 0
    for name in arguments.only.split(","):
        findings = _fuzz(name, output / name, arguments.seconds)
        found += len(findings)
        for path in findings:
            print(f"  {path}", flush=True)
    return int(found > 0)


def _fuzz(name: str, folder: Path, seconds: int) -> list[Path]:
    """Runs one target and prints its figures; returns what was found."""
    start, logs = time.monotonic(), []
    while not logs or (name in _TRIED and _left(start, seconds) > 1):
        logs.append(_run(name, folder, _left(start, seconds), len(logs) + 1))
    runs = sum(int(_last(_RUNS, log)) for log in logs)
    figures = {
        "runs": runs,
        "a second": round(runs / (time.monotonic() - start)),
        **{what: _last(path, logs[-1]) for what, path in _FIGURES.items()},
    }
    ended = [*folder.glob("timeout-*"), *folder.glob("crash-*")]
    findings = [
        path
        for path in sorted(folder.glob("*-*"))
        if path.suffix != ".txt" and not (name in _TRIED and path in ended)
    ]
    if name in _TRIED:
        figures["ended by the trial"] = len(ended)
    shown = (f"{what} {value}" for what, value in figures.items())
    print(f"{name}: {', '.join(shown)}, findings {len(findings)}", flush=True)
    return findings


def _left(start: float, seconds: int) -> int:
    return seconds - int(time.monotonic() - start)


def _run(name: str, folder: Path, seconds: int, number: int) -> str:
    """Runs one target in a process of its own; returns what it printed."""
    kept = folder / "corpus"
    kept.mkdir(parents=True, exist_ok=True)
    slowest = _SLOWEST_GUARDED_SECONDS if name in _TRIED else _SLOWEST_SECONDS
    command = [
        sys.executable, "-m", "fuzz.one", name, str(folder), str(kept),
        f"-max_total_time={seconds}", f"-rss_limit_mb={_MEGABYTES}",
        f"-timeout={slowest}", f"-artifact_prefix={folder}/",
        "-print_final_stats=1", f"-seed={number}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True)
    (folder / "log.txt").write_bytes(done.stderr)
    text = done.stderr.decode(errors="replace")
    if not re.search(_RUNS, text):
        sys.exit(f"{name} did not run; see {folder / 'log.txt'}")
    return text


def _last(pattern: str, text: str) -> str:
    """The last match of a pattern; ? where there is none."""
    return (re.findall(pattern, text) or ["?"])[-1]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
