"""What takes part in a benchmark, and how it is found.

A contender is a function of settings that does all preparation and gives a
`Work`: called again and again, each call does one round and gives the number
of items (images, runs) done. If it has an attribute `prepare`, that is called
before each round, outside of its time. Each contender lives in a process of its
own (`benchmarks.worker`), so that its memory and its libraries are its own.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["CONTENDERS", "Work", "create_work", "missing_packages", "progress"]

Work = Callable[[], int]

# Name -> module and function that make it, and packages that it needs beyond
# those of training.
CONTENDERS = {
    "step": ("step", "create_step", ()),
    "end_to_end": ("step", "create_end_to_end", ()),
    "bare_step": ("bare_reference", "create_step", ()),
    "torch_step": ("torch_reference", "create_step", ("torch",)),
    "unpool": ("unpooling", "create_masks", ()),
    "addons_unpool": ("unpooling", "create_addons", ()),
    "pipeline": ("pipeline", "create_pipeline", ()),
    "cv2_loop": ("pipeline", "create_cv2_loop", ("cv2",)),
    "convert": ("converter", "create_conversion", ()),
    "decode": ("converter", "create_decoding", ()),
    "forward": ("inference", "create_forward", ()),
    "evaluate": ("inference", "create_evaluation", ()),
    "predict": ("inference", "create_prediction", ()),
    "help": ("startup", "create_help", ()),
    "python": ("startup", "create_python", ()),
    "first_step": ("startup", "create_first_step", ()),
}


def create_work(name: str, settings: Mapping[str, Any]) -> Work:
    """Prepares a contender.

    Args:
      name: Of `CONTENDERS`.
      settings: Keyword arguments of its function.

    Returns:
      Its work.
    """
    module, function, _ = CONTENDERS[name]
    found = importlib.import_module(f"benchmarks.{module}")
    return getattr(found, function)(**settings)


def missing_packages(name: str) -> tuple[str, ...]:
    """Packages that a contender needs and that are not installed."""
    return tuple(
        package
        for package in CONTENDERS[name][2]
        if importlib.util.find_spec(package) is None
    )


def progress(message: str) -> None:
    """One line for people."""
    print(f"bench: {message}", file=sys.stderr, flush=True)
