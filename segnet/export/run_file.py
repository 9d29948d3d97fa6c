"""Runs an exported file on pictures, as somebody would who has not segnet.

A program of its own: `python run_file.py FILE PICTURES`. Of each
`PICTURES/NAME.npy` it writes `NAME.labels.npy`, and prints the milliseconds of
each as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

# Picture, uint8 `[height, width, 3]`, to labels, uint8 `[height, width]`.
_Label = Callable[[np.ndarray], np.ndarray]


def _saved_model(path: str) -> _Label:
    import tensorflow as tf

    # Held on to: the signature alone does not keep the variables.
    loaded = tf.saved_model.load(path)

    def label(image: np.ndarray) -> np.ndarray:
        images = tf.constant(image[None])
        found = loaded.signatures["serving_default"](images=images)
        return found["labels"].numpy()[0]

    return label


def _tflite(path: str) -> _Label:
    import tensorflow as tf

    interpreter = tf.lite.Interpreter(path, num_threads=os.cpu_count())
    interpreter.allocate_tensors()
    (source,) = interpreter.get_input_details()
    (result,) = interpreter.get_output_details()

    def label(image: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(source["index"], image[None])
        interpreter.invoke()
        return interpreter.get_tensor(result["index"])[0]

    return label


def _onnx(path: str) -> _Label:
    import onnxruntime

    session = onnxruntime.InferenceSession(
        path, providers=["CPUExecutionProvider"]
    )
    return lambda image: session.run(["labels"], {"images": image[None]})[0][0]


def main(path: str, folder: str) -> None:
    """Labels all pictures."""
    engines = {".tflite": _tflite, ".onnx": _onnx}
    label = engines.get(os.path.splitext(path)[1], _saved_model)(path)
    names = sorted(
        name
        for name in os.listdir(folder)
        if name.endswith(".npy") and not name.endswith(".labels.npy")
    )
    milliseconds: list[float] = []
    for name in names:
        image = np.load(os.path.join(folder, name), allow_pickle=False)
        if not milliseconds:
            label(image)  # the first one takes longer
        start = time.perf_counter()
        labels = label(image)
        milliseconds.append(1000 * (time.perf_counter() - start))
        target = name.removesuffix(".npy") + ".labels.npy"
        np.save(os.path.join(folder, target), labels)
    print(json.dumps(milliseconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
