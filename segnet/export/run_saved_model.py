"""Runs a SavedModel on pictures, as somebody would who has not segnet.

A program of its own: `python run_saved_model.py MODEL PICTURES`. Of each
`PICTURES/NAME.npy` it writes `NAME.labels.npy`, and prints the milliseconds of
each as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf


def main(model: str, folder: str) -> None:
    """Labels all pictures."""
    # Held on to: the signature alone does not keep the variables.
    loaded = tf.saved_model.load(model)
    signature = loaded.signatures["serving_default"]
    names = sorted(
        name
        for name in os.listdir(folder)
        if name.endswith(".npy") and not name.endswith(".labels.npy")
    )
    milliseconds: list[float] = []
    for name in names:
        image = np.load(os.path.join(folder, name), allow_pickle=False)
        images = tf.constant(image[None])
        if not milliseconds:
            signature(images=images)  # the first one takes longer
        start = time.perf_counter()
        labels = signature(images=images)["labels"].numpy()[0]
        milliseconds.append(1000 * (time.perf_counter() - start))
        target = name.removesuffix(".npy") + ".labels.npy"
        np.save(os.path.join(folder, target), labels)
    print(json.dumps(milliseconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
