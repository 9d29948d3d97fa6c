"""Kinds of operations of a training step, and what each needs at least."""

from __future__ import annotations

import collections
import dataclasses
import re

import tensorflow as tf

from segnet.models import layers

__all__ = ["Cost", "classify", "format_table", "needed"]

# Kinds in the order of the table.
_FORWARD = "convolution"
_BY_INPUT = "its gradient by the input"
_BY_KERNEL = "its gradient by the kernel"
_NORM = "batch norm"
_NORM_GRADIENT = "its gradient"
_RELU_GRADIENT = "gradient of ReLU"
_POOL = "pooling, unpooling and gradients"
_LOGITS = "logits to full size, and gradient"
_LOSS = "loss and its gradient"
_OPTIMIZER = "optimizer"
_REST = "all else"
_KINDS = (
    _FORWARD, _BY_INPUT, _BY_KERNEL, _NORM, _NORM_GRADIENT, _RELU_GRADIENT,
    _POOL, _LOGITS, _LOSS, _OPTIMIZER, _REST,
)  # fmt: skip
_KERNEL_OPS = re.compile(
    "BackpropFilter|BiasAddGrad|MatMul|StridedSlice|Pad|Pack|Unpack|Concat|AddN"
)


@dataclasses.dataclass
class Cost:
    """What a kind of operation needs at least, and how long it takes.

    Attributes:
      flop: Floating-point operations a step.
      num_bytes: Bytes read and written a step, each value once a pass.
      seconds: Measured, a step.
    """

    flop: float = 0.0
    num_bytes: float = 0.0
    seconds: float = 0.0


def classify(name: str, op: str) -> str:
    """The kind of an operation.

    Args:
      name: Full name of the node, scopes of layers included.
      op: Type of the operation.
    """
    backward = name.startswith("gradient_tape/")
    if "ResourceApply" in op or "Adam" in name:
        return _OPTIMIZER
    if "FusedBatchNormGrad" in op:
        return _NORM_GRADIENT
    if "FusedBatchNorm" in op:
        return _NORM
    if "ReluGrad" in op:
        return _RELU_GRADIENT
    if "pool" in name:
        return _POOL
    if "/resize/" in name:
        return _LOGITS
    if re.search("SoftmaxCrossEntropy|OneHot", op):
        return _LOSS
    # Gradients of `CpuConv2D` stand outside of the scopes of layers.
    if name.startswith("kernel_gradient"):
        return _BY_KERNEL
    if name.startswith("input_gradient"):
        return _BY_INPUT
    if re.search("conv|logits", name):
        return _classify_convolution(op, backward)
    return _REST


def _classify_convolution(op: str, backward: bool) -> str:
    """The kind of an operation in the scope of a convolution."""
    if not backward:
        return _FORWARD if re.search("Conv2D|BiasAdd", op) else _REST
    if _KERNEL_OPS.search(op):
        return _BY_KERNEL
    return _BY_INPUT if "Conv2D" in op else _REST


def needed(
    model: tf.keras.Model, batch: int, value_bytes: int
) -> dict[str, Cost]:
    """The least arithmetic and traffic of each kind.

    Args:
      model: Of fixed input size.
      batch: Images a step.
      value_bytes: Of an activation.
    """
    costs: dict[str, Cost] = collections.defaultdict(Cost)
    for layer in model.layers:
        read = _values(layer.input_shape, batch)
        written = _values(layer.output_shape, batch)
        if isinstance(layer, tf.keras.layers.Conv2D):
            _add_convolution(costs, model, layer, read, written, value_bytes)
        elif isinstance(layer, tf.keras.layers.BatchNormalization):
            # The statistics are a pass of their own; so are their gradients.
            costs[_NORM].num_bytes += 3 * read * value_bytes
            costs[_NORM_GRADIENT].num_bytes += 5 * read * value_bytes
        elif isinstance(layer, layers.MaxPoolWithMask):
            # Pooling; from it the mask; the gradient. Written are mask and
            # maxima, as many values as are read and a quarter of that.
            costs[_POOL].num_bytes += 5 * written * value_bytes
        elif isinstance(layer, layers.MaskUnpooling):
            costs[_POOL].num_bytes += 2 * (read + written) * value_bytes
        elif "pool" in layer.name:
            costs[_POOL].num_bytes += 3 * (read + written) * value_bytes
        elif isinstance(layer, tf.keras.layers.ReLU):
            costs[_RELU_GRADIENT].num_bytes += 3 * read * value_bytes
        elif layer.name == "resize":
            costs[_LOGITS].num_bytes += 2 * (read + written) * 4
    # Read the logits, write the probabilities, read and write the gradient.
    costs[_LOSS].num_bytes += 4 * 4 * _values(model.output_shape, batch)
    # Read weight, gradient and two moments, write all but the gradient.
    costs[_OPTIMIZER].num_bytes += 7 * 4 * model.count_params()
    return costs


def _add_convolution(
    costs: dict[str, Cost],
    model: tf.keras.Model,
    layer: tf.keras.layers.Conv2D,
    read: int,
    written: int,
    value_bytes: int,
) -> None:
    """Adds a convolution and its gradients."""
    channels = layer.input_shape[-1]
    taps = 9
    if written // layer.filters == 4 * (read // channels):
        taps = 4  # Folded upsampling: 16 products an input, 4 an output.
    flop = 2.0 * taps * channels * written
    moved = (read + written) * value_bytes
    costs[_FORWARD].flop += flop
    costs[_FORWARD].num_bytes += moved
    costs[_BY_KERNEL].flop += flop
    costs[_BY_KERNEL].num_bytes += moved
    fused = layer.activation is not tf.keras.activations.linear
    if fused:
        costs[_RELU_GRADIENT].num_bytes += 3 * written * value_bytes
    if layer.name != "block1_conv1":  # Nobody asks for the image's gradient.
        costs[_BY_INPUT].flop += flop
        costs[_BY_INPUT].num_bytes += moved


def _values(shape: tuple | list, batch: int) -> int:
    """Values of one tensor or several."""
    several = isinstance(shape[0], list | tuple)
    shapes = shape if several else [shape]
    total = 0
    for each in shapes:
        count = batch
        for size in each[1:]:
            count *= size
        total += count
    return total


def format_table(costs: dict[str, Cost], flops: float, bandwidth: float) -> str:
    """Markdown: time, share, arithmetic, traffic, shares of the peaks."""
    total = sum(cost.seconds for cost in costs.values())
    lines = [
        "| operation | ms | share | GFLOP | GB | of peak FLOP/s "
        "| of peak bandwidth |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind in _KINDS:
        cost = costs.get(kind, Cost())
        if not cost.seconds:
            continue
        arithmetic = traffic = ("", "")
        if cost.flop:
            part = cost.flop / cost.seconds / flops
            arithmetic = (f"{cost.flop / 1e9:.0f}", f"{part:.0%}")
        if cost.num_bytes:
            part = cost.num_bytes / cost.seconds / bandwidth
            traffic = (f"{cost.num_bytes / 1e9:.2f}", f"{part:.0%}")
        lines.append(
            f"| {kind} | {1e3 * cost.seconds:.1f} | {cost.seconds / total:.1%} "
            f"| {arithmetic[0]} | {traffic[0]} | {arithmetic[1]} "
            f"| {traffic[1]} |"
        )
    lines.append(f"| sum | {1e3 * total:.1f} | | | | | |")
    return "\n".join(lines)
