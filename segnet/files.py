"""Files, local or remote: reached in one way, and what goes wrong in one line.

Remote paths (`gs://...`) go through `tf.io.gfile`, local ones through the
standard library: the converter then needs no TensorFlow, whose import takes
longer than the conversion of a thousand images.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import hashlib
import os
import re
import secrets
import shutil
import stat
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO

from segnet.errors import DataError, RunError

__all__ = [
    "LARGE_TEXT_BYTES",
    "expand_path",
    "file_errors",
    "file_sha256",
    "gfile",
    "is_readable",
    "open_regular",
    "read_errors",
    "read_text",
    "readable_path",
    "reason",
    "refuse_link",
    "size",
    "write_bytes",
    "write_errors",
    "write_text",
]

_HASH_CHUNK_BYTES = 1024 * 1024
# What a text may have at most: a list with a million names, and what grows with
# records or steps, such as the manifest of ten million.
_TEXT_BYTES = 64 * 1024**2
LARGE_TEXT_BYTES = 512 * 1024**2
# Names of what is open already, such as the pipe of `<(...)`.
_OPEN_FILES = ("/dev/fd/", "/proc/self/fd/", "/dev/stdin")
# What texts that were saved on Windows may begin with, and what they are then.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class _LocalFiles:
    """What is used of `tf.io.gfile`, for local paths."""

    exists = staticmethod(os.path.exists)
    isdir = staticmethod(os.path.isdir)
    listdir = staticmethod(os.listdir)
    remove = staticmethod(os.remove)
    rmtree = staticmethod(shutil.rmtree)

    @staticmethod
    def GFile(name: str, mode: str = "r") -> Any:
        return open(name, mode, encoding=None if "b" in mode else "utf-8")

    @staticmethod
    def makedirs(path: str) -> None:
        os.makedirs(path, exist_ok=True)

    @staticmethod
    def rename(src: str, dst: str, overwrite: bool) -> None:
        if not overwrite and os.path.exists(dst):
            raise FileExistsError(dst)
        os.replace(src, dst)


def gfile(path: str | os.PathLike[str]) -> Any:
    """The functions for a file or folder, named as those of `tf.io.gfile`."""
    if "://" not in os.fspath(path):
        return _LocalFiles
    import tensorflow as tf

    return tf.io.gfile


def expand_path(path: str) -> str:
    """A path with `~` or `~USER` at its head replaced by the home folder.

    Shells leave `--flag=~/x` as it is. Remote paths are left alone, and so is
    `~NAME` where there is no such user.
    """
    return path if "://" in path else os.path.expanduser(path)


def is_readable(path: str) -> bool:
    """Whether a path is that of a file, or of a pipe such as `<(...)`."""
    if "\0" in path:
        return False
    return os.path.exists(path) and not os.path.isdir(path)


def open_regular(path: str) -> BinaryIO:
    """Opens a local file to be read, and never waits for it.

    A pipe that nobody writes to, or a device, in the place of a file would
    stop the program for good. A pipe that a shell has opened, `<(...)`, will
    be written to.

    Raises:
      OSError: It cannot be opened, or is no plain file.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    descriptor = os.open(path, flags)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISFIFO(mode) and path.startswith(_OPEN_FILES):
            os.set_blocking(descriptor, True)
        elif not stat.S_ISREG(mode):
            is_folder = stat.S_ISDIR(mode)
            raise OSError(
                errno.EISDIR if is_folder else errno.EINVAL,
                "is a folder" if is_folder else "not a plain file",
            )
        return open(descriptor, "rb", buffering=0)
    except BaseException:
        os.close(descriptor)
        raise


def size(path: str) -> int:
    """Bytes of a file."""
    if "://" not in path:
        return os.path.getsize(path)
    return gfile(path).stat(path).length


def file_errors() -> tuple[type[Exception], ...]:
    """The exceptions of file functions: those of TensorFlow once it is there.

    Use it as `except file_errors() as error`.
    """
    tf = sys.modules.get("tensorflow")
    return (OSError,) if tf is None else (OSError, tf.errors.OpError)


@contextlib.contextmanager
def read_errors(path: str) -> Iterator[None]:
    """Turns what goes wrong in reading into one line.

    Raises:
      DataError: Missing, not readable and the like.
    """
    try:
        if "\0" in path:
            raise OSError(errno.EINVAL, "no file has a null byte in its name")
        yield
    except file_errors() as error:
        raise DataError(
            f"{path}: cannot be read ({reason(error)}); check the path and "
            "permissions"
        ) from None


def _read_up_to(path: str, limit: int) -> bytes:
    """What is in a file, and one byte more than `limit` at most."""
    if "://" in path:
        with gfile(path).GFile(path, "rb") as remote:
            return remote.read(limit + 1)
    data = bytearray()
    with open_regular(path) as file:
        while len(data) <= limit and (
            piece := file.read(min(limit + 1 - len(data), _HASH_CHUNK_BYTES))
        ):
            data += piece
    return bytes(data)


def read_text(
    path: str | os.PathLike[str],
    errors: str = "strict",
    *,
    limit: int = _TEXT_BYTES,
) -> str:
    """Reads a text that a person may have written, on any system.

    Args:
      path: Of a file in UTF-8, or in UTF-16 with a byte order mark.
      errors: What is done about bytes that are no text, as for `bytes.decode`.
      limit: Bytes that it may have.

    Returns:
      The text without a byte order mark; all lines end in a line feed.

    Raises:
      DataError: It cannot be read, is no plain file, too large, or in another
        encoding.
    """
    path = os.fspath(path)
    with read_errors(path):
        data = _read_up_to(path, limit)
    if len(data) > limit:
        raise DataError(
            f"{path}: has more than the {limit:,} bytes that a text of its "
            "kind may have; is it the right file?"
        )
    encoding = next(
        (name for mark, name in _BYTE_ORDER_MARKS if data.startswith(mark)),
        "utf-8",
    )
    try:
        text = data.decode(encoding, errors)
        # No text has it; UTF-16 without its mark does.
        wrong = text.find("\0") if errors != "replace" else -1
    except UnicodeDecodeError as error:
        wrong = error.start
    if wrong >= 0:
        raise DataError(
            f"{path}: is not text in UTF-8 (see byte {wrong}); save it with "
            "the encoding UTF-8"
        )
    return text.replace("\r\n", "\n").replace("\r", "\n")


@contextlib.contextmanager
def write_errors(path: str) -> Iterator[None]:
    """Turns what goes wrong in writing into one line.

    Raises:
      RunError: Disk full, folder not writable and the like.
    """
    try:
        yield
    except file_errors() as error:
        remedy = "check free space and permissions"
        if isinstance(error, (FileExistsError, NotADirectoryError)):
            remedy = "a file is where a folder should be; give another path"
        raise RunError(
            f"{path}: cannot be written ({reason(error)}); {remedy}"
        ) from None


def write_bytes(path: str, contents: bytes) -> None:
    """Writes a small file aside and renames it, so it is whole or absent.

    Args:
      path: Of the file; one that is there is replaced.
      contents: All of it.

    Raises:
      RunError: It cannot be written; nothing is left aside.
    """
    functions = gfile(path)
    # A name that nobody else has: two processes may write the same file.
    name = f".segnet-{secrets.token_hex(8)}.tmp"
    aside = os.path.join(os.path.dirname(path), name)
    # "x" neither opens what is there nor follows a link. Remote files have no
    # links, and `tf.io.gfile` no such mode.
    mode = "xb" if functions is _LocalFiles else "wb"
    with write_errors(path):
        file = functions.GFile(aside, mode)
        try:
            with file:
                file.write(contents)
            functions.rename(aside, path, overwrite=True)
        except BaseException:
            with contextlib.suppress(*file_errors()):
                functions.remove(aside)
            raise


def write_text(path: str, text: str) -> None:
    """Writes a text as `write_bytes` does, in UTF-8.

    Raises:
      RunError: It cannot be written.
    """
    write_bytes(path, text.encode())


def refuse_link(path: str) -> None:
    """Checks that what is to be written leads to no other file.

    Raises:
      OSError: It is a link.
    """
    if os.path.islink(path):
        raise OSError(errno.ELOOP, "is a link; remove it")


def append_text(path: str, text: str) -> None:
    """Adds text, in UTF-8, to a file that is made if it is not there.

    Raises:
      OSError: A local one cannot be written, or is a link or no plain file: a
        link would lead to a file of somebody else.
      tf.errors.OpError: A remote one cannot be written.
    """
    functions = gfile(path)
    if functions is not _LocalFiles:
        with functions.GFile(path, "a") as file:
            file.write(text)
        return
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    refuse_link(path)
    descriptor = os.open(path, flags, 0o666)
    with open(descriptor, "wb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a plain file")
        file.write(text.encode())


def reason(error: Exception) -> str:
    """What an error says, without the trace that TensorFlow adds."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror  # without number and path
    text = getattr(error, "message", None) or str(error)
    # Call traces follow on further lines, names of nodes may come first, and
    # those of operations last.
    line = text.strip().split("\n")[0]
    line = re.sub(r"\{\{[^}]*\}\}\s*|\s*\[Op:[^]]*\].*", "", line)
    return line.rsplit("; ", 1)[-1]


@contextlib.contextmanager
def readable_path(path: str) -> Iterator[str]:
    """A path of a checkpoint that TensorFlow can read from.

    Its readers, unlike its writers, take names for patterns. Where the folder
    has a name that is one, Linux' name for the open folder stands in for it.
    """
    folder, name = os.path.split(path)
    if "://" in path or not set("[]?*\\") & set(folder):
        yield path
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)


def file_sha256(path: str) -> str:
    """The sha256 of a file in hexadecimal digits.

    Raises:
      DataError: It cannot be read.
    """
    digest = hashlib.sha256()
    with read_errors(path), gfile(path).GFile(path, "rb") as file:
        while chunk := file.read(_HASH_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
