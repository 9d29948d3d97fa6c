"""Notices when the files of a split are replaced while they are read."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence

from segnet.errors import DataError
from segnet.files import file_errors, gfile
from segnet.records.manifest import Manifest, Shard
from segnet.records.splits import manifest_path, read_manifest

__all__ = ["Watch"]


class Watch:
    """Knows the files of a split by what the file system says of them.

    As long as none has changed, what was read from them is what the manifest
    describes. Contents are not read again: a file that is replaced, cut short
    or written to gets another inode, size or time.
    """

    def __init__(
        self,
        manifest: Manifest,
        data_dir: str | os.PathLike[str],
        shards: Sequence[Shard] | None = None,
    ) -> None:
        """Begins to watch.

        Args:
          manifest: Of the split, as it was read.
          data_dir: Folder of its shards.
          shards: Those that are read; None: all.

        Raises:
          DataError: The manifest there is another one already.
        """
        path = manifest_path(data_dir, manifest.split)
        whole = shards is None
        shards = manifest.shards if shards is None else shards
        files = [os.path.join(data_dir, shard.file) for shard in shards]
        self._before = {file: _identity(file) for file in (path, *files)}
        self.remote = "://" in path
        there = read_manifest(data_dir, manifest.split, whole=whole)
        if there != manifest:
            raise _changed(path)

    def check(self) -> None:
        """Looks at all files; takes some microseconds each for local ones.

        Raises:
          DataError: One of them has changed; the message names it.
        """
        for path, before in self._before.items():
            if _identity(path) != before:
                raise _changed(path)

    @contextlib.contextmanager
    def explain(self) -> Iterator[None]:
        """A context in which files are read: any error may be for a change.

        Raises:
          DataError: A file has changed; else the error stays as it is.
        """
        try:
            yield
        except Exception:
            self.check()
            raise


def _identity(path: str) -> tuple[int, ...] | None:
    """What changes with a file's contents; None where there is no file."""
    try:
        if "://" in path:
            found = gfile(path).stat(path)
            return found.length, found.mtime_nsec
        status = os.stat(path)
    except file_errors():
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _changed(path: str) -> DataError:
    return DataError(
        f"{path}: has changed while the split was being read (was it "
        "converted again?); nothing of the new records was used: run the same "
        "command again when the split is complete"
    )
