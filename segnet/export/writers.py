"""Writes a network in the formats of other programs."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from segnet.config import Config
from segnet.errors import RunError
from segnet.export import graphs, serving
from segnet.files import reason
from segnet.progress import hidden_output

__all__ = ["FORMATS", "Content", "Variant", "missing_package"]

# Of operators; what onnxruntime of 2022 and later reads.
_OPSET = 17


@dataclasses.dataclass(frozen=True)
class Content:
    """What is written.

    Attributes:
      config: Of the run.
      model: Its network, see `Predictor.model`.
      network: The same, see `graphs.portable_network`.
      metadata: For the users of the file, as JSON has it.
      calibration: Pictures that int8's ranges are taken from, uint8 RGB
        `[height, width, 3]` of the network's input size.
    """

    config: Config
    model: tf.keras.Model
    network: tf.keras.Model
    metadata: dict[str, Any]
    calibration: Sequence[np.ndarray]


@dataclasses.dataclass(frozen=True)
class Variant:
    """A file that a format has.

    Attributes:
      file: Its name.
      precision: `float32`, `float16` or `int8`.
      any_size: Whether it takes pictures of any size.
      write: Writes it to a path.
    """

    file: str
    precision: str
    any_size: bool
    write: Callable[[Content, str], None]


def missing_package(formats: Sequence[str]) -> None:
    """Looks whether what formats need is there.

    Raises:
      RunError: It is not.
    """
    for name in ("onnx", "onnxruntime", "tf2onnx") if "onnx" in formats else ():
        if importlib.util.find_spec(name) is None:
            raise RunError(
                f"--export_format=onnx needs {name}: pip install "
                "'segnet[export]', or make setup-export in a clone"
            )


def _write_saved_model(content: Content, path: str) -> None:
    config = content.config
    network = serving.Serving(
        content.model, config.input_height, config.input_width
    )
    with _quiet():
        serving.save(network, path)
    # A place that TensorFlow leaves to others.
    extra = os.path.join(path, "assets.extra")
    os.makedirs(extra, exist_ok=True)
    with open(os.path.join(extra, "segnet.json"), "w") as file:
        json.dump(content.metadata, file, indent=2)


def _tflite_converter(content: Content) -> tf.lite.TFLiteConverter:
    function = graphs.at_input_size(content.network, content.config, 1)
    return tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function()], content.network
    )


def _write_tflite(content: Content, path: str) -> None:
    _convert_tflite(_tflite_converter(content), content, path)


def _write_tflite_float16(content: Content, path: str) -> None:
    converter = _tflite_converter(content)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
    _convert_tflite(converter, content, path)


def _write_tflite_int8(content: Content, path: str) -> None:
    """Weights and activations of int8; in and out stay uint8, as they are."""
    converter = _tflite_converter(content)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [
        tf.lite.OpsSet.TFLITE_BUILTINS_INT8,
        tf.lite.OpsSet.TFLITE_BUILTINS,
    ]
    converter.representative_dataset = lambda: (
        [image[None]] for image in content.calibration
    )
    _convert_tflite(converter, content, path)


def _convert_tflite(
    converter: tf.lite.TFLiteConverter, content: Content, path: str
) -> None:
    """Converts, and adds the metadata as an entry of its own."""
    from tensorflow.lite.python import schema_py_generated as schema
    from tensorflow.lite.tools import flatbuffer_utils

    with _quiet():
        model = flatbuffer_utils.convert_bytearray_to_object(
            converter.convert()
        )
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(json.dumps(content.metadata).encode(), np.uint8)
    model.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name, entry.buffer = b"segnet", len(model.buffers) - 1
    model.metadata = [*(model.metadata or []), entry]
    with open(path, "wb") as file:
        file.write(flatbuffer_utils.convert_object_to_bytearray(model))


def _write_onnx(content: Content, path: str) -> None:
    import onnx
    import tf2onnx

    function = graphs.at_input_size(content.network, content.config, None)
    with _quiet():
        model, _ = tf2onnx.convert.from_function(
            function, input_signature=function.input_signature, opset=_OPSET
        )
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    metadata = {
        name: json.dumps(value) for name, value in content.metadata.items()
    }
    onnx.helper.set_model_props(model, metadata)
    onnx.save(model, path)


def _write_onnx_int8(content: Content, path: str) -> None:
    """Weights and activations of the convolutions of int8."""
    from onnxruntime import quantization
    from onnxruntime.quantization import shape_inference

    class Reader(quantization.CalibrationDataReader):
        """The pictures, one after the other."""

        def __init__(self) -> None:
            self._images = iter(content.calibration)

        def get_next(self) -> dict[str, np.ndarray] | None:
            image = next(self._images, None)
            return None if image is None else {"images": image[None]}

    with tempfile.TemporaryDirectory(dir=os.path.dirname(path)) as folder:
        plain = os.path.join(folder, "plain.onnx")
        prepared = os.path.join(folder, "prepared.onnx")
        _write_onnx(content, plain)
        with _quiet():
            # The symbolic one does not know all operations of `segnet`.
            shape_inference.quant_pre_process(
                plain, prepared, skip_symbolic_shape=True
            )
            quantization.quantize_static(
                prepared,
                path,
                Reader(),
                quant_format=quantization.QuantFormat.QDQ,
                per_channel=True,
                op_types_to_quantize=["Conv", "ConvTranspose"],
            )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps what converters print, graphs and counts, from being shown.

    Raises:
      RunError: A converter fails.
    """
    try:
        with hidden_output():
            yield
    except Exception as error:
        raise RunError(
            f"the converter failed ({reason(error)}); this is a defect, or "
            "memory is short"
        ) from error


FORMATS: dict[str, tuple[Variant, ...]] = {
    "saved_model": (
        Variant("saved_model", "float32", True, _write_saved_model),
    ),
    "tflite": (
        Variant("model.tflite", "float32", False, _write_tflite),
        Variant(
            "model_float16.tflite", "float16", False, _write_tflite_float16
        ),
        Variant("model_int8.tflite", "int8", False, _write_tflite_int8),
    ),
    "onnx": (
        Variant("model.onnx", "float32", False, _write_onnx),
        Variant("model_int8.onnx", "int8", False, _write_onnx_int8),
    ),
}
