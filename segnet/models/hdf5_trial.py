"""Reads an HDF5 file in a process of its own, to see whether that ends.

The HDF5 library is written for files that are whole: of some damaged ones it
reads for ever, or takes the process with it, and no handler of Python's can
stop it. Standard library and h5py only, since the process runs this file alone.
"""

from __future__ import annotations

import contextlib
import functools
import os
import resource
import subprocess
import sys

__all__ = ["ends"]

# Of computing, for any file and for its size; a second of a good one.
_SECONDS = 10
_BYTES_A_SECOND = 20 * 1024**2
# Of a dataset. Larger ones belong to no layer that is loaded.
_LARGEST_BYTES = 64 * 1024**2


def ends(path: str) -> bool:
    """Whether reading a local HDF5 file ends, be it with an error.

    Takes some 0.3 s.

    Raises:
      OSError: There is no such file, or no process can be started.
    """
    status = os.stat(path)
    key = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    return _ends(path, key)


@functools.lru_cache(maxsize=8)
def _ends(path: str, key: tuple[int, ...]) -> bool:
    """The same; `key` tells states of a file apart."""
    done = subprocess.run(
        [sys.executable, os.path.abspath(__file__), path],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return done.returncode >= 0


def _read(path: str) -> None:
    """Reads all that is in a file; links are not followed."""
    import h5py

    def visit(name: str, found: h5py.HLObject) -> None:
        with contextlib.suppress(Exception):
            for key in found.attrs:
                found.attrs[key]
            if (
                isinstance(found, h5py.Dataset)
                and not (found.external or found.is_virtual)
                and found.nbytes <= _LARGEST_BYTES
            ):
                found[...]

    with h5py.File(path, "r") as file:
        visit("/", file)
        file.visititems(visit)


def _main(path: str) -> None:
    seconds = _SECONDS + os.path.getsize(path) // _BYTES_A_SECOND
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # What is wrong with it is told by who loads it.
    with contextlib.suppress(Exception):
        _read(path)


if __name__ == "__main__":
    # Modules beside this file have names of packages.
    del sys.path[0]
    _main(sys.argv[1])
