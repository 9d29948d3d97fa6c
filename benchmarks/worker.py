"""A process that holds one contender and does a round when it is told to.

python -m benchmarks.worker NAME SETTINGS (JSON)

It reads a line from stdin for each round and answers with a line of JSON:
items, wall seconds, processor seconds (its own and its ended children's).
The answer to the end of stdin is the peak of its resident memory, bytes.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time

from benchmarks.contender import Work, create_work

__all__ = ["main", "measure", "peak_bytes"]

# ru_maxrss is in units of this on Linux.
_KIB = 1024


def main(argv: list[str]) -> None:
    """Serves rounds until stdin ends."""
    # What the contender prints must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    work = create_work(argv[1], json.loads(argv[2]))
    _answer(answers, ready=True)
    for _ in sys.stdin:
        _answer(answers, **measure(work))
    _answer(answers, peak_bytes=peak_bytes())


def measure(work: Work) -> dict[str, float]:
    """One round: items, wall seconds and processor seconds."""
    getattr(work, "prepare", lambda: None)()
    processor, start = _processor_seconds(), time.perf_counter()
    items = work()
    return {
        "items": items,
        "seconds": time.perf_counter() - start,
        "processor_seconds": _processor_seconds() - processor,
    }


def _answer(file: object, **values: object) -> None:
    print(json.dumps(values), file=file, flush=True)


def _processor_seconds() -> float:
    """User and system seconds of this process and its ended children."""
    usages = map(
        resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def peak_bytes() -> int:
    """Largest resident memory that this process or a child had."""
    usages = map(
        resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return _KIB * max(usage.ru_maxrss for usage in usages)


if __name__ == "__main__":
    main(sys.argv)
