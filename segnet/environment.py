"""What is set outside of the program and must not change what it computes."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

__all__ = ["prepare_tensorflow"]


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
