"""Two hosts with a slow link, beside the formula of docs/scaling.md.

python -m benchmarks.slow_link [--gigabits=1] [--delay_ms=1] [--batch=2]
  [--steps=10] [--rounds=5]

One machine plays both hosts (harness/two_hosts.py; needs root), each with one
thread. In turn, for each round: two processes that know nothing of each other;
with float32 and with bfloat16 on the link, an all-reduce of the gradients alone
over a link that costs nothing, which is what copying costs, then the same and
the training step of two workers over the slow link. Prints medians beside what
the formula says. The machine must have nothing else to do, and two cores at
least.
"""

from __future__ import annotations

import argparse
import collections
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import scaling
from benchmarks.harness import workers
from benchmarks.harness.scaling_report import ring_seconds
from benchmarks.harness.two_hosts import (
    INTERFACE,
    NAMES,
    Host,
    two_hosts,
    what_is_missing,
)

__all__ = ["format_results", "main"]

# Bytes on the link for one of float32.
_SHARES = {"none": 1.0, "bf16": 0.5}
_START = (
    str(workers.HOROVODRUN), "-np", "2",
    "-H", ",".join(f"{name}:1" for name in NAMES),
    "--network-interfaces", INTERFACE,
)  # fmt: skip


def main(argv: Sequence[str]) -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabits", type=float, default=1.0)
    parser.add_argument("--delay_ms", type=float, default=1.0)
    scaling.add_flags(parser)
    arguments = parser.parse_args(argv)
    if what_is_missing():
        sys.exit(f"slow_link: {what_is_missing()}")
    with (
        tempfile.TemporaryDirectory() as folder,
        two_hosts(Path(folder)) as hosts,
    ):
        # Where horovodrun notes which hosts it has reached.
        os.environ["HOME"] = folder
        measured = _measure(arguments, hosts)
    print(format_results(measured, arguments.gigabits))


def _measure(
    arguments: argparse.Namespace, hosts: Sequence[Host]
) -> dict[str, float]:
    """What `format_results` takes: medians over the rounds."""
    environment = workers.worker_environment(threads=1)
    measured: dict[str, list[float]] = collections.defaultdict(list)
    for number in range(arguments.rounds):
        apart = [scaling.worker_command(arguments, "step")] * 2
        once = {"apart": workers.run_workers(apart, environment)["seconds"]}
        for compression in _SHARES:
            for name, kind, slow in (
                ("copy", "reduce", False),
                ("reduce", "reduce", True),
                ("step", "step", True),
            ):
                command = scaling.worker_command(
                    arguments, kind, compression=compression
                )
                if slow:
                    once["delay_ms"] = _slow_down(arguments, hosts)
                before = hosts[0].sent_bytes()
                done = workers.run_workers(
                    [hosts[0].command([*_START, *command])], environment
                )
                if slow:
                    for host in hosts:
                        host.set_link_free()
                else:
                    once["bytes"] = done["items"]
                    # One more, which traces.
                    reductions = arguments.steps + 1
                    sent = hosts[0].sent_bytes() - before
                    once[f"sent {compression}"] = sent / reductions
                once[f"{name} {compression}"] = done["seconds"]
        for name, value in once.items():
            measured[name].append(value)
        listed = ", ".join(f"{name} {each:.4g}" for name, each in once.items())
        print(f"round {number + 1}: {listed}", flush=True)
    return {name: statistics.median(each) for name, each in measured.items()}


def _slow_down(arguments: argparse.Namespace, hosts: Sequence[Host]) -> float:
    """Makes the link slow in both directions; returns the delay that it has."""
    for host in hosts:
        delay_ms = host.set_link_speed(arguments.gigabits, arguments.delay_ms)
    return delay_ms


def format_results(measured: Mapping[str, float], gigabits: float) -> str:
    """The measured numbers beside those of the formula.

    Args:
      measured: Seconds `apart`, and `copy`, `reduce` and `step` with `none` and
        with `bf16`; `bytes` of the gradients, and those that a worker `sent` to
        reduce them; `delay_ms` of a message.
      gigabits: Gbit/s of the link.
    """
    apart, num_bytes = measured["apart"], measured["bytes"]
    delay_ms = measured["delay_ms"]
    lines = [
        f"two processes apart: {apart:.3f} s; gradients {num_bytes / 1e6:.1f} "
        f"MB; link {gigabits:g} Gbit/s, {delay_ms:g} ms"
        + ("" if delay_ms else " (this kernel has no netem)"),
        "              seconds  copying  formula  measured / formula",
    ]
    for compression, share in _SHARES.items():
        copying = measured[f"copy {compression}"]
        ring = copying + ring_seconds(
            share * num_bytes, 2, gigabits, delay_ms / 1000
        )
        for kind, formula in {"reduce": ring, "step": apart + ring}.items():
            seconds = measured[f"{kind} {compression}"]
            lines.append(
                f"{kind:<6}  {compression:<4}  {seconds:7.3f}  {copying:7.3f}  "
                f"{formula:7.3f}  {seconds / formula:18.3f}"
            )
    for compression, share in _SHARES.items():
        sent = measured[f"sent {compression}"]
        lines.append(
            f"sent by a worker, {compression}: {sent / 1e6:.2f} MB, measured / "
            f"formula {sent / (share * num_bytes):.3f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main(sys.argv[1:])
