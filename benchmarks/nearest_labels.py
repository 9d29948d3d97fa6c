"""How far labels depend on the last step, from half size to the picture's.

python -m benchmarks.nearest_labels --workdir=RUN --images_dir=FOLDER

image-segmentation-keras and Habana's Segnet take the class at half the input's
size, and repeat it to the size of the picture. Here logits are interpolated
before the class is taken. Prints the share of the pixels of a folder's pictures
whose label is the same either way, with the same network and weights.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.harness.report import describe_machine

__all__ = ["main"]


def main(argv: Sequence[str]) -> int:
    """Runs the comparison; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir", required=True, help="of a vgg_segnet")
    parser.add_argument("--images_dir", required=True)
    given = parser.parse_args(argv)

    # TensorFlow after the arguments are known to be good.
    import tensorflow as tf
    from PIL import Image

    import segnet

    model = segnet.load(given.workdir)
    config = model.config
    network = model._predictor.model
    half = tf.keras.Model(network.inputs, network.get_layer("logits").output)
    size = (config.input_width, config.input_height)
    bilinear = Image.Resampling.BILINEAR
    paths = sorted(Path(given.images_dir).iterdir())
    same = pixels = 0
    for path in paths:
        ours = model.predict(path)
        picture = Image.open(path).convert("RGB").resize(size, bilinear)
        coarse = np.argmax(half(np.asarray(picture)[None])[0], -1)
        theirs = Image.fromarray(coarse.astype(np.uint8)).resize(
            ours.shape[::-1], Image.Resampling.NEAREST
        )
        same += int(np.sum(np.asarray(theirs) == ours))
        pixels += ours.size
    print(f"{describe_machine()}: {len(paths)} pictures of {given.images_dir}")
    print(f"labels that are the same either way: {same / pixels:.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
