"""What is set outside of the program and must not change what it computes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import MutableMapping

from segnet.errors import RunError

__all__ = ["check_temporary_folder", "prepare_tensorflow"]

# More than TensorFlow leaves there.
_TEMPORARY_BYTES = 256 * 1024


def check_temporary_folder() -> None:
    """Writes into the folder for temporary files, and leaves nothing there.

    TensorFlow writes the code of graphs into it. Where it cannot, it prints
    seven lines for each function, or cannot be imported.

    Raises:
      RunError: The folder cannot be written.
    """
    folder = "no folder of the usual ones"
    try:
        folder = tempfile.gettempdir()
        with tempfile.TemporaryFile() as file:
            file.write(bytes(_TEMPORARY_BYTES))
            file.flush()
    except OSError as error:
        raise RunError(
            f"{folder}: temporary files cannot be written "
            f"({error.strerror}); make room, or name another folder in the "
            "environment variable TMPDIR"
        ) from None


def prepare_tensorflow(
    environment: MutableMapping[str, str] | None = None,
) -> None:
    """Sets what must be set before TensorFlow is imported.

    Args:
      environment: Environment variables; this process's by default.
    """
    environment = os.environ if environment is None else environment
    # 3, since TensorFlow 2.15 logs three harmless lines about cuDNN, cuFFT
    # and cuBLAS as errors; real ones arrive as exceptions too.
    environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Nothing can be there: Keras reads no keras.json, in which layout, number
    # format and epsilon of all layers could be set, and leaves none.
    environment["KERAS_HOME"] = os.path.join(os.devnull, "keras")
    # TensorFlow 2.15 has the Keras that is meant, and would look for another.
    environment.pop("TF_USE_LEGACY_KERAS", None)
    # Of protocol buffers' implementations the usual one is the fastest, and a
    # name that is none keeps TensorFlow from being imported.
    environment.pop("PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION", None)
