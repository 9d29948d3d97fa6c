"""Single shard files: written record by record, or put together from others.

No TensorFlow for local files: worker processes of the converter write them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence

from segnet.errors import RunError
from segnet.files import gfile, write_errors
from segnet.records import encoding

__all__ = ["ShardFile", "ShardWriter", "even_bounds", "rearrange"]


@dataclasses.dataclass(frozen=True)
class ShardFile:
    """A file of records that is complete.

    Attributes:
      path: Where it is.
      lengths: Bytes of each record with its frame.
      sha256: Of the file, in hexadecimal digits.
    """

    path: str
    lengths: tuple[int, ...]
    sha256: str


class ShardWriter:
    """Writes a file of records; use it as a context, then take `file`."""

    def __init__(self, path: str) -> None:
        """Opens the file.

        Raises:
          RunError: It cannot be written.
        """
        self._path = path
        self._lengths: list[int] = []
        self._digest = hashlib.sha256()
        with write_errors(path):
            self._file = gfile(path).GFile(path, "wb")

    def __enter__(self) -> ShardWriter:
        """Gives the writer."""
        return self

    def __exit__(self, *unused: object) -> None:
        """Closes the file.

        Raises:
          RunError: What is left of it cannot be written.
        """
        with write_errors(self._path):
            self._file.close()

    @property
    def file(self) -> ShardFile:
        """What was written."""
        return ShardFile(
            self._path, tuple(self._lengths), self._digest.hexdigest()
        )

    def write(self, serialized: bytes) -> None:
        """Adds a record.

        Raises:
          RunError: It cannot be written.
        """
        with write_errors(self._path):
            self.write_frame(encoding.frame(serialized))

    def write_frame(self, frame: bytes) -> None:
        """Adds a record that has its frame.

        Raises:
          RunError: It cannot be written.
        """
        with write_errors(self._path):
            self._file.write(frame)
        self._digest.update(frame)
        self._lengths.append(len(frame))


def even_bounds(count: int, parts: int) -> list[tuple[int, int]]:
    """First and end of each of `parts` even parts of `count` things."""
    ends = [part * count // parts for part in range(parts + 1)]
    return list(itertools.pairwise(ends))


def rearrange(
    files: Sequence[ShardFile],
    counts: Sequence[int],
    paths: Sequence[str],
    check: Callable[[], None] = lambda: None,
) -> list[ShardFile]:
    """Writes the records of some files anew, so many to each; removes the old.

    Args:
      files: Whose records to take, in order.
      counts: Records of each new file.
      paths: Of the new files.
      check: Called before each of them; may raise.

    Raises:
      RunError: A file cannot be read or written.
    """
    frames = _frames(files)
    arranged = []
    for count, path in zip(counts, paths, strict=True):
        check()
        with ShardWriter(path) as writer:
            for _ in range(count):
                writer.write_frame(next(frames))
        arranged.append(writer.file)
    return arranged


def _frames(files: Sequence[ShardFile]) -> Iterator[bytes]:
    """The records of files, each of which is removed once it is read."""
    for file in files:
        functions = gfile(file.path)
        with write_errors(file.path):
            with functions.GFile(file.path, "rb") as source:
                for length in file.lengths:
                    frame = source.read(length)
                    if len(frame) != length:
                        raise RunError(
                            f"{file.path}: was not written completely; check "
                            "free space"
                        )
                    yield frame
            functions.remove(file.path)
