"""How each program begins and ends: signals, output streams, packages.

`run` is called before packages are imported, so that Ctrl-C and a package that
is missing are answered in one line then, too. Until it is called Ctrl-C shows a
traceback: this module is small and imports little.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import sys

from segnet.errors import harmless
from segnet.installation import remedy_for_packages

TYPE_CHECKING = False  # The module `typing` would take longer than all of it.
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType
    from typing import Any

__all__ = ["run"]

_STOPPED = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}


def run(
    name: str, main: Callable[[Sequence[str]], int], *, stopped: str = ""
) -> int:
    """Runs a program.

    What cannot be printed is dropped, and the work goes on: a run is not lost
    because the disk with its log is full, or the reader of a pipe has gone.

    Args:
      name: What its lines on standard error begin with.
      main: Takes the command line, the program's name first, and returns the
        exit status. It imports what it needs: nothing is imported yet.
      stopped: What to say of a program that was stopped by a signal, where
        `main` does not handle signals itself.

    Returns:
      The exit status: that of `main`; 1 if a package or memory is missing, a
      file cannot be read or written, or the output was to be kept and could
      not be.
    """
    output = _open_streams(name)
    _leave_on_signals(name, stopped)
    _keep_warnings_from_raising()
    try:
        status = main(sys.argv)
    except SystemExit as error:  # of argparse
        status = int(error.code or 0)
    except ImportError as error:
        if (error.name or "").startswith("segnet"):
            raise  # a defect, not the environment's fault
        print(f"{name}: {_missing(error)}", file=sys.stderr)
        status = 1
    except MemoryError:
        print(f"{name}: out of memory", file=sys.stderr)
        status = 1
    except OSError as error:
        if error.errno is None:
            raise
        where = f"{error.filename}: " if error.filename else ""
        print(f"{name}: {where}{error.strerror}", file=sys.stderr)
        status = 1
    sys.stdout.flush()
    return status or int(output.failed)


def _leave_on_signals(name: str, stopped: str) -> None:
    """Ends this process at once on SIGINT and SIGTERM, with one line.

    An exception could be raised anywhere, in code of libraries that prints and
    forgets it. Who has something to finish sets handlers of its own meanwhile.
    """
    owner = os.getpid()
    after = f": {stopped}" if stopped else ""

    def leave(number: int, frame: FrameType | None) -> None:
        # Not of the processes that this one has forked.
        if os.getpid() == owner:
            line = f"{name}: {_STOPPED[signal.Signals(number)]}{after}\n"
            sys.stdout.flush()
            sys.stderr.write(line)
        os._exit(128 + number)

    for number in _STOPPED:
        # Ignored is what `nohup` and shells want to be ignored.
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, leave)


def _keep_warnings_from_raising() -> None:
    """Undoes PYTHONWARNINGS=error and -W error: libraries do warn."""
    if any(option.startswith("error") for option in sys.warnoptions):
        import warnings

        warnings.simplefilter("ignore")


def _open_streams(name: str) -> _Output:
    """Puts streams that never fail in the place of the standard ones.

    Returns:
      That of standard output.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:  # Closed; the next file to be opened would get it.
            os.open(os.devnull, os.O_RDWR)
    sys.stderr, _ = _reopen(sys.stderr, 2, lambda error: None)

    def tell(error: OSError) -> None:
        print(
            f"{name}: standard output cannot be written ({error.strerror}); "
            "the work goes on, but what it prints is lost",
            file=sys.stderr,
        )

    sys.stdout, output = _reopen(sys.stdout, 1, tell)
    return output


def _reopen(
    stream: Any, descriptor: int, tell: Callable[[OSError], None]
) -> tuple[io.TextIOWrapper, _Output]:
    """A stream for a descriptor, with the settings of another (or None)."""
    raw = _Output(descriptor, tell)
    buffer: Any = raw  # Not buffered itself, as with Python's option -u.
    text = _Text(
        buffer,
        encoding=stream.encoding if stream else "utf-8",
        # A name that the terminal cannot show does not end the work.
        errors="backslashreplace",
        line_buffering=not stream or stream.line_buffering,
        write_through=bool(stream) and stream.write_through,
    )
    return text, raw


class _Text(io.TextIOWrapper):
    """Text in which nothing gives orders to a terminal.

    Names of files, classes and shards may be anything, and libraries print
    them, too.
    """

    def write(self, text: str) -> int:
        super().write(harmless(text))
        return len(text)


class _Output(io.RawIOBase):
    """Where a text stream writes to; what goes wrong there is no error.

    Attributes:
      failed: Whether something was lost that somebody wanted to have.
    """

    def __init__(
        self, descriptor: int, tell: Callable[[OSError], None]
    ) -> None:
        """Writes to a descriptor; calls `tell` with the first error."""
        super().__init__()
        self._descriptor = descriptor
        self._tell = tell
        self._ended = False
        self.failed = False

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        rest = memoryview(data).cast("B")
        while rest and not self._ended:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:  # A pipe that others made so is full.
                import select

                select.select((), (self._descriptor,), ())
            except OSError as error:
                self._ended = True
                # The reader of a pipe has what it wanted.
                if error.errno != errno.EPIPE:
                    self.failed = True
                    self._tell(error)
        return len(data)


def _missing(error: ImportError) -> str:
    """What to do about a package that cannot be imported."""
    package = (error.name or "").partition(".")[0] or "a package"
    if isinstance(error, ModuleNotFoundError):
        what = f"{package} is not installed for {sys.executable}"
    else:
        reason = " ".join(str(error).split())[:200]
        what = f"{package} cannot be loaded ({reason}); if memory is not short"
        return f"{what}, {remedy_for_packages()}"
    return f"{what}; {remedy_for_packages()}"
