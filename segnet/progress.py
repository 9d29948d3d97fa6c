"""What a program shows while it works: lines, and a bar on a terminal."""

from __future__ import annotations

import sys
from typing import TextIO

from tqdm import tqdm

__all__ = ["Progress", "say"]


def say(message: str, stream: TextIO | None = None) -> None:
    """Prints one line at once, above a progress bar if there is one."""
    tqdm.write(message, file=stream or sys.stdout)
    (stream or sys.stdout).flush()


class Progress:
    """A bar on a terminal, plain lines elsewhere, nothing when disabled."""

    def __init__(
        self, total: int, *, done: int, enabled: bool, unit: str, label: str
    ) -> None:
        """Starts to show progress.

        Args:
          total: Number of units in all.
          done: Units done before.
          enabled: Whether this process shows anything.
          unit: What is counted, for example `step`.
          label: Printed before the bar.
        """
        self._enabled = enabled
        self._bar = None
        if enabled and sys.stderr.isatty():
            self._bar = tqdm(
                total=total, initial=done, unit=unit, desc=label,
                dynamic_ncols=True,
            )  # fmt: skip

    def advance(self, units: int = 1) -> None:
        """Counts units as done."""
        if self._bar is not None:
            self._bar.update(units)

    def log(self, message: str, postfix: str | None = None) -> None:
        """Shows where things stand: beside the bar, or as a line."""
        if self._bar is not None and postfix is not None:
            self._bar.set_postfix_str(postfix)
        elif self._enabled:
            say(message)

    def close(self) -> None:
        """Ends the bar."""
        if self._bar is not None:
            self._bar.close()
