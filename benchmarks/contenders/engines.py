"""The forward pass from pictures to labels, by segnet and by other engines.

All have one network, the others as the ONNX file that `--mode=export` writes of
it, and see the same pictures. An engine that does not give the network's labels
is an error, whatever its speed.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from benchmarks.harness.timing import Work
from segnet.config import Config
from segnet.data import resizing, sources
from segnet.evaluation.inference import Predictor
from segnet.export import graphs
from segnet.export.writers import FORMATS, Content
from segnet.records.splits import read_manifest
from segnet.training.start import set_up

__all__ = ["onnxruntime_labels", "openvino_labels", "own_labels"]

# uint8 `[batch, height, width, 3]` to uint8 `[batch, height, width]`.
_Label = Callable[[np.ndarray], np.ndarray]

# Of the labels. Random weights leave classes nearly as likely as each other, so
# that rounding decides more of them than the 0.1 % of `--mode=export`.
_LEAST_AGREEMENT = 0.99


def own_labels(*, config: Config, batches: int) -> Work:
    """What evaluate and predict compute with, in the config's precision."""
    return _work(config, batches, _own(config))


def onnxruntime_labels(*, config: Config, batches: int) -> Work:
    """ONNX Runtime, which computes in float32 on a CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Threads that wait sleep: what they burn is missing where pictures are
    # decoded and written beside the network.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(
        _exported(config), options, providers=["CPUExecutionProvider"]
    )

    def label(images: np.ndarray) -> np.ndarray:
        return session.run(["labels"], {"images": images})[0]

    return _work(config, batches, label)


def openvino_labels(*, config: Config, batches: int) -> Work:
    """OpenVINO, in the config's precision."""
    import openvino

    core = openvino.Core()
    hint = {"float32": "f32", "bfloat16": "bf16"}[config.precision]
    compiled = core.compile_model(
        core.read_model(_exported(config)),
        "CPU",
        {"INFERENCE_PRECISION_HINT": hint},
    )

    def label(images: np.ndarray) -> np.ndarray:
        return compiled([images])[compiled.output(0)]

    return _work(config, batches, label)


def _own(config: Config) -> _Label:
    predictor = Predictor(config, set_up(config))

    def label(images: np.ndarray) -> np.ndarray:
        _, labels = tf.math.top_k(predictor(tf.constant(images)), 1)
        return labels[..., 0].numpy().astype(np.uint8)

    return label


def _exported(config: Config) -> bytes:
    """The network's ONNX file."""
    config = dataclasses.replace(config, precision="float32")
    # The weights follow from the seed: those of `_own`.
    network = Predictor(config, set_up(config)).model
    content = Content(
        config, network, graphs.portable_network(config, network), {}, ()
    )
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        path = Path(folder) / "model.onnx"
        FORMATS["onnx"][0].write(content, str(path))
        return path.read_bytes()


def _work(config: Config, batches: int, label: _Label) -> Work:
    """Labels one batch of pictures again and again."""
    images = _pictures(config)
    # bfloat16 rounds otherwise in each engine, which shows where the weights
    # are random and all classes as likely.
    if config.precision == "float32":
        agreement = np.mean(label(images) == _own(config)(images))
        if agreement < _LEAST_AGREEMENT:
            raise RuntimeError(f"{agreement:.3%} of the labels are the same")

    def run(prepared: None) -> int:
        for _ in range(batches):
            label(images)
        return batches * len(images)

    return Work(run)


def _pictures(config: Config) -> np.ndarray:
    """A batch of the evaluation split at the input size."""
    manifest = read_manifest(config.data_dir, config.eval_split)
    source = sources.RecordSource(manifest, config.data_dir, cache=False)
    numbers = tf.data.Dataset.range(config.batch_size).map(source)
    size = (config.input_height, config.input_width)
    return np.stack(
        [
            resizing.to_uint8(resizing.resize_image(image, *size)).numpy()
            for image, _ in source.read(numbers)
        ]
    )
