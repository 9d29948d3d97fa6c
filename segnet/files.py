"""Files through `tf.io.gfile`: what goes wrong with them, in one line."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import tensorflow as tf

from segnet.errors import RunError

__all__ = ["reason", "write_errors", "write_text"]


@contextlib.contextmanager
def write_errors(path: str) -> Iterator[None]:
    """Turns what goes wrong in writing into one line.

    Raises:
      RunError: Disk full, folder not writable and the like.
    """
    try:
        yield
    except (tf.errors.OpError, OSError) as error:
        raise RunError(
            f"{path}: cannot be written ({reason(error)}); check free space "
            "and permissions"
        ) from None


def write_text(path: str, text: str) -> None:
    """Writes a small file aside and renames it, so it is whole or absent.

    Raises:
      RunError: It cannot be written.
    """
    with write_errors(path):
        with tf.io.gfile.GFile(path + ".tmp", "w") as file:
            file.write(text)
        tf.io.gfile.rename(path + ".tmp", path, overwrite=True)


def reason(error: tf.errors.OpError | OSError) -> str:
    """What an error says, without the trace that TensorFlow adds."""
    text = error.message if isinstance(error, tf.errors.OpError) else str(error)
    # Operation names and call traces follow on further lines, names of nodes
    # may come first.
    line = re.sub(r"\{\{[^}]*\}\}\s*", "", text.strip().split("\n")[0])
    return line.rsplit("; ", 1)[-1]
