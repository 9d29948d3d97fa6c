from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from segnet.config import Config
from segnet.records.splits import read_manifest
from segnet.report import measured
from segnet.report.measured import Network, measure


class _Predictor:
    """Logits that follow the colours; counts its passes."""

    gives_probabilities = False

    def __init__(self):
        self.passes = 0

    def __call__(self, images):
        self.passes += 1
        pixels = tf.cast(images, tf.float32)
        colours = [pixels[..., 1], pixels[..., 2], pixels[..., 0] * 0.9]
        return tf.stack(colours, -1) / 40


@pytest.fixture
def network(data_dir):
    config = Config(
        data_dir=str(data_dir), input_height=32, input_width=48, batch_size=2
    )
    return Network(_Predictor(), config, "ckpt-1", pad=False)


def test_what_was_seen_is_shown_without_another_pass(
    network, data_dir, monkeypatch
):
    manifest = read_manifest(str(data_dir), "val")
    val = measure(network, manifest)
    passes = network.predictor.passes
    kept = list(val.seen(network, [1, 3]))
    assert network.predictor.passes == passes
    monkeypatch.setattr(measured, "_KEPT_PIXELS", 0)
    again = list(measure(network, manifest).seen(network, [1, 3]))
    assert network.predictor.passes > passes
    for one, two in zip(kept, again, strict=True):
        assert one[0] == two[0]
        np.testing.assert_array_equal(one[1], two[1])
        np.testing.assert_array_equal(one[2].truth, two[2].truth)
        np.testing.assert_array_equal(one[2].labels, two[2].labels)
        np.testing.assert_allclose(
            one[2].confidence, two[2].confidence, atol=1 / 255
        )
        np.testing.assert_allclose(one[2].entropy, two[2].entropy, atol=1 / 255)


def test_without_boundaries_the_rest_is_the_same(network, data_dir):
    manifest = read_manifest(str(data_dir), "val")
    full = measure(network, manifest)
    quick = measure(network, manifest, boundaries=False)
    assert quick.scores["boundary_f1"] is None
    assert quick.scores["intervals"]["boundary_f1"] is None
    assert full.scores["boundary_f1"] > 0
    for key in ("mean_iou", "calibration_error", "confusion_matrix"):
        assert quick.scores[key] == full.scores[key]
    assert quick.suspects == full.suspects
