"""A folder, or a part of it, that one process at a time may write to.

A lock is a file that says who holds it. Where the file system knows `flock`,
the kernel decides: it frees the lock when its holder ends, however that ends,
so what a killed one leaves is never in the way. Elsewhere, and on remote paths,
the holder writes a rising number into the file; who finds one takes it for
abandoned only when the holder was a process of this machine that has gone, or
when the number has stood still for some time. No clock is compared, for those
of two machines differ.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import fcntl
import functools
import json
import os
import stat
import threading
import time
import typing
from collections.abc import Iterator

from segnet.errors import RunError
from segnet.files import (
    file_errors,
    gfile,
    open_regular,
    write_errors,
    write_text,
)
from segnet.json_text import parse_json
from segnet.processes import Process

__all__ = ["Lock", "held"]

# Between two renewals, and how long the number must stand still: a holder may
# be slow, and network file systems show what others wrote a little later.
_RENEW_SECONDS = 3.0
_ABANDONED_SECONDS = 20.0
# After which the last of those that wrote at the same time is the holder.
_SETTLE_SECONDS = 1.0
_POLL_SECONDS = 0.1
_NO_FLOCK = {errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS}


@contextlib.contextmanager
def held(
    path: str, what: str, remedy: str = "wait for it, or stop it"
) -> Iterator[None]:
    """Holds a lock for the length of a block.

    Args:
      path: Of the lock's file, local or remote; it and its folder are made,
        and removed again unless the folder has got other content.
      what: What is said where another process holds it, for example `RUN:
        another run is training here`.
      remedy: What to do then.

    Raises:
      RunError: Another process holds it, or the file cannot be written.
    """
    lock = Lock(path, what, remedy)
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


class Lock:
    """What `held` holds, for those who take and leave it at other times."""

    def __init__(self, path: str, what: str, remedy: str) -> None:
        """Takes nothing yet; arguments as for `held`."""
        # The working directory may change before it is left.
        self._path = path if "://" in path else os.path.abspath(path)
        self._what = what
        self._remedy = remedy
        self._held: _Kernel | _Renewed | None = None
        self._made: list[str] = []
        self._pid = 0

    def acquire(self, wait_seconds: float = 0.0) -> None:
        """Takes the lock; nothing if this object has it.

        Args:
          wait_seconds: How long to wait for another holder.

        Raises:
          RunError: As for `held`.
        """
        if self._held is not None:
            return
        end = time.monotonic() + wait_seconds
        while True:
            try:
                self._held = self._try()
                self._pid = os.getpid()
                return
            except _HeldByAnother as error:
                if time.monotonic() >= end:
                    raise RunError(
                        f"{self._what} ({error}); {self._remedy}"
                    ) from None
            except RunError:
                self._remove_folders()
                raise
            time.sleep(_POLL_SECONDS)

    def release(self) -> None:
        """Leaves the lock; nothing in a process forked by its holder."""
        if self._held is None or self._pid != os.getpid():
            return
        self._held.release()
        self._held = None
        self._remove_folders()

    def _remove_folders(self) -> None:
        """Removes what was made for the lock, where nothing else came in."""
        for folder in self._made:
            with contextlib.suppress(OSError):
                os.rmdir(folder)
        self._made = []

    def _try(self) -> _Kernel | _Renewed:
        """Takes the lock by the means there are.

        Raises:
          _HeldByAnother: It is not free.
          RunError: The file cannot be written.
        """
        folder = os.path.dirname(self._path)
        with write_errors(self._path):
            if "://" in folder:
                gfile(folder).makedirs(folder)
                return _Renewed(self._path)
            self._made += _missing_folders(folder)
            return _lock_by_kernel(self._path) or _Renewed(self._path)


class _HeldByAnother(Exception):
    """A lock that is not free; the text says who holds it."""


def _parse(text: str) -> Process | None:
    """What a lock's file says; None if that is nothing or makes no sense."""
    try:
        holder = Process(**parse_json(text)["holder"])
    except (ValueError, TypeError, KeyError):
        return None
    # Of the types that a process writes: they are compared and printed.
    hints = typing.get_type_hints(Process)
    right = all(type(getattr(holder, name)) is hints[name] for name in hints)
    return holder if right else None


def _missing_folders(folder: str) -> list[str]:
    """The folders to make for one, the innermost first."""
    missing = []
    while not os.path.isdir(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    return missing


def _lock_by_kernel(path: str) -> _Kernel | None:
    """Takes a lock with `flock`; None where the file system has none.

    Raises:
      _HeldByAnother: It is not free.
      OSError: The file cannot be written.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    while True:
        try:
            descriptor = os.open(path, flags, 0o666)
        except FileNotFoundError:
            # New, or its last holder has just removed it.
            os.makedirs(os.path.dirname(path), exist_ok=True)
            continue
        except PermissionError:
            _check_free(path)
            raise
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "not a plain file")
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise _held_by(path) from None
        except OSError as error:
            os.close(descriptor)
            if error.errno in _NO_FLOCK:
                return None
            raise
        # The holder before may have removed the file that was opened.
        if _is_file(path, descriptor):
            return _Kernel(path, descriptor)
        os.close(descriptor)


def _check_free(path: str) -> None:
    """Looks at a lock that only another user may take.

    Raises:
      _HeldByAnother: It is not free.
    """
    with contextlib.suppress(OSError), open_regular(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _held_by(path) from None


def _held_by(path: str) -> _HeldByAnother:
    """Says who holds a lock."""
    return _HeldByAnother(_parse(_read_soon(path)) or "host not known")


def _is_file(path: str, descriptor: int) -> bool:
    """Whether a path still leads to an open file."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _read_soon(path: str) -> str:
    """What the holder has written, which follows the lock at once."""
    for _ in range(5):
        with contextlib.suppress(*file_errors(), ValueError):
            if _parse(text := _read(path)):
                return text
        time.sleep(_POLL_SECONDS)
    return ""


def _read(path: str) -> str:
    """What is in a lock's file; empty if it is not there."""
    functions = gfile(path)
    if not functions.exists(path):
        return ""
    with functions.GFile(path) as file:
        return file.read()


# Open files of the locks that this process holds by `flock`.
_descriptors: set[int] = set()


@functools.cache
def _close_in_children() -> None:
    """Closes the locks in forked processes: they would hold them, too."""

    def close() -> None:
        while _descriptors:
            os.close(_descriptors.pop())

    os.register_at_fork(after_in_child=close)


class _Kernel:
    """A lock that the kernel holds."""

    def __init__(self, path: str, descriptor: int) -> None:
        """Writes down who holds it."""
        self._path = path
        self._descriptor = descriptor
        _close_in_children()
        _descriptors.add(descriptor)
        holder = dataclasses.asdict(Process.this())
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps({"holder": holder}).encode(), 0)
        except OSError:
            self.release()
            raise

    def release(self) -> None:
        """Removes the file while it is locked, then frees the lock."""
        with contextlib.suppress(OSError):
            if _is_file(self._path, self._descriptor):
                os.remove(self._path)
        _descriptors.discard(self._descriptor)
        os.close(self._descriptor)


class _Renewed:
    """A lock by a number that its holder raises."""

    def __init__(self, path: str) -> None:
        """Takes the lock.

        Raises:
          _HeldByAnother: It is not free.
        """
        self._path = path
        self._holder = Process.this()
        self._number = 0
        self._stop = threading.Event()
        _wait_until_abandoned(path)
        self._write()
        time.sleep(_SETTLE_SECONDS)
        if not self._is_mine():
            raise _HeldByAnother(_parse(_read(path)) or "host not known")
        self._thread = threading.Thread(target=self._renew, daemon=True)
        self._thread.start()

    def _is_mine(self) -> bool:
        return _parse(_read(self._path)) == self._holder

    def _write(self) -> None:
        holder = dataclasses.asdict(self._holder)
        text = json.dumps({"holder": holder, "number": self._number})
        write_text(self._path, text)

    def _renew(self) -> None:
        while not self._stop.wait(_RENEW_SECONDS):
            self._number += 1
            # A full disk or a network that is away need not end the work.
            with contextlib.suppress(RunError):
                self._write()

    def release(self) -> None:
        """Stops the renewal and removes the file."""
        self._stop.set()
        self._thread.join()
        with contextlib.suppress(*file_errors()):
            if self._is_mine():
                gfile(self._path).remove(self._path)


def _wait_until_abandoned(path: str) -> None:
    """Watches a lock's file that may be a killed process's.

    Raises:
      _HeldByAnother: Its holder lives.
    """
    text = _read(path)
    holder = _parse(text)
    if holder is None or holder.has_gone():
        return
    end = time.monotonic() + _ABANDONED_SECONDS
    while time.monotonic() < end:
        time.sleep(_POLL_SECONDS)
        found = _read(path)
        if not found:  # Left, or being replaced.
            return
        if found != text:
            raise _HeldByAnother(_parse(found) or holder)
