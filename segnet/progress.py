"""What a program shows while it works: lines, and a bar on a terminal."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import tempfile
import time
from collections.abc import Container, Iterator
from typing import Any, TextIO

from segnet.errors import one_line
from segnet.installation import PROJECT, command_words, is_clone

__all__ = [
    "Progress",
    "command_line",
    "hidden_output",
    "project_path",
    "say",
    "warn",
]

# Between two lines that say how far something is.
_LINE_SECONDS = 1.0


def say(message: str, stream: TextIO | None = None) -> None:
    """Prints one line at once, above a progress bar if there is one.

    Control characters are escaped; see `errors.one_line`.
    """
    message = one_line(message)
    stream = stream or sys.stdout
    # Imported for a bar alone: it takes longer than a small conversion.
    if "tqdm" in sys.modules:
        sys.modules["tqdm"].tqdm.write(message, file=stream)
    else:
        print(message, file=stream)
    stream.flush()


def warn(name: str, message: str, silenced: Container[str]) -> None:
    """Says what is likely a mistake, in one line on standard error.

    Args:
      name: One of `constants.WARNINGS`.
      message: What was seen, where, and what to look at.
      silenced: Names of the warnings that the user does not want to see, as
        `constants.parse_warnings` gives them.
    """
    if name not in silenced:
        say(f"warning: {message} (--silence={name})", sys.stderr)


@contextlib.contextmanager
def hidden_output() -> Iterator[None]:
    """Keeps from being shown what libraries print past Python, in C++."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    with tempfile.TemporaryFile() as log:
        kept = [os.dup(1), os.dup(2)]
        try:
            for descriptor in (1, 2):
                os.dup2(log.fileno(), descriptor)
            yield
        finally:
            for descriptor, copy in enumerate(kept, 1):
                os.dup2(copy, descriptor)
                os.close(copy)


def command_line(program: str, *arguments: str) -> str:
    """A command for the user to type, quoted so that it can be pasted.

    Args:
      program: As for `installation.command_words`, for example `main.py`.
      arguments: Its flags.
    """
    words = [*command_words(program), *arguments]
    return " ".join(map(_quoted, words))


def project_path(path: str) -> str:
    """Where a file of the project is for the user, who may be anywhere.

    Args:
      path: From the project's folder.

    Returns:
      The same where such a file is in the working directory, or none is in the
      project's folder; else an absolute path. Of an installed package the same:
      it finds its recipes by their names.
    """
    there = os.path.join(PROJECT, path)
    use_it = is_clone() and os.path.exists(there) and not os.path.exists(path)
    return there if use_it else path


def _quoted(word: str) -> str:
    """A word for a shell, also one with bytes that no terminal can show."""
    if word.isprintable():
        return shlex.quote(word)
    shown = (
        each
        if each.isprintable() and each not in "'\\"
        else "".join(f"\\x{byte:02x}" for byte in os.fsencode(each))
        for each in word
    )
    return f"$'{''.join(shown)}'"


class Progress:
    """A bar on a terminal, plain lines elsewhere; use it as a context."""

    def __init__(
        self,
        total: int,
        *,
        unit: str,
        label: str,
        done: int = 0,
        enabled: bool = True,
        lines: bool = True,
    ) -> None:
        """Starts to show progress.

        Args:
          total: Number of units in all.
          unit: What is counted, for example `image`.
          label: Printed before the bar.
          done: Units done before.
          enabled: Whether this process shows anything.
          lines: Whether, where there is no terminal, a line at each tenth
            says how far it is, but none within a second of the one before
            unless it is the last; for work that has no log lines of its own.
        """
        self._total = total
        self._unit = unit
        self._done = done
        self._enabled = enabled
        self._bar = _create_bar(total, done, unit, label) if enabled else None
        self._lines = lines and enabled and self._bar is None
        self._next_line = time.monotonic() + _LINE_SECONDS

    def __enter__(self) -> Progress:
        """Gives the progress."""
        return self

    def __exit__(self, *unused: object) -> None:
        """Ends the bar."""
        self.close()

    def advance(self, units: int = 1) -> None:
        """Counts units as done."""
        before, self._done = self._done, self._done + units
        if self._bar is not None:
            self._bar.update(units)
        elif self._lines:
            tenth = max(self._total, 1)
            now = time.monotonic()
            is_due = now >= self._next_line or self._done >= self._total
            if is_due and self._done * 10 // tenth > before * 10 // tenth:
                self._next_line = now + _LINE_SECONDS
                say(f"{self._done} of {self._total} {self._unit}s")

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


def _create_bar(total: int, done: int, unit: str, label: str) -> Any:
    """A bar on standard error; None where that is no terminal."""
    if not sys.stderr.isatty():
        return None
    import tqdm

    # Its thread would keep the converter's processes from being forked.
    tqdm.tqdm.monitor_interval = 0
    bar = tqdm.tqdm(
        total=total, initial=done, unit=unit, desc=label, dynamic_ncols=True
    )
    # The clock that it takes can be set back, and then no time is left.
    bar._time = time.monotonic
    bar.start_t = bar.last_print_t = bar._time()
    return bar
