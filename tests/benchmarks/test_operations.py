"""Tests of benchmarks/operations.py: kinds of operations, and the table."""

from __future__ import annotations

import pytest

from benchmarks import operations


@pytest.mark.parametrize(
    ("name", "op", "kind"),
    [
        ("vgg_segnet/block1_conv1/BiasAdd", "_MklNativeFusedConv2D",
         "convolution"),
        ("vgg_segnet/decoder_conv2/conv2d_transpose",
         "_MklNativeConv2DBackpropInput", "convolution"),
        ("gradient_tape/vgg_segnet/block1_conv1/CpuConv2D/Conv2DBackpropFilter",
         "_MklNativeConv2DBackpropFilterWithBias",
         "convolution: gradient by the kernel"),
        ("gradient_tape/vgg_segnet/block2_conv1/CpuConv2D/Conv2DBackpropInput",
         "_MklNativeConv2DBackpropInput",
         "convolution: gradient by the input"),
        ("kernel_gradient_3/Conv2D", "_MklNativeConv2D",
         "convolution: gradient by the kernel"),
        ("input_gradient/Conv2DBackpropInput", "_MklNativeConv2DBackpropInput",
         "convolution: gradient by the input"),
        ("gradient_tape/vgg_segnet/block1_conv1/Reshape", "Reshape",
         "all else"),
        ("vgg_segnet/block1_conv1_bn/FusedBatchNormV3",
         "_FusedBatchNormEx", "batch norm"),
        ("gradient_tape/vgg_segnet/block4_pool/MaxPoolGrad",
         "_MklNativeMaxPoolGrad", "pooling, unpooling and gradients"),
        ("Adam/ResourceApplyAdam", "ResourceApplyAdam", "optimizer"),
        ("vgg_segnet/normalization/sub", "Sub", "all else"),
    ],
)  # fmt: skip
def test_kinds(name, op, kind):
    assert operations.classify(name, op) == kind


def test_table_has_the_longest_first():
    seconds = {"optimizer": 0.005, "convolution": 0.015}
    assert operations.format_operations(seconds).splitlines()[2:] == [
        "| convolution | 15.0 | 75.0% |",
        "| optimizer | 5.0 | 25.0% |",
        "| sum | 20.0 |  |",
    ]


@pytest.mark.slow
def test_measures_a_step(capsys, monkeypatch):
    monkeypatch.setenv("TF_NUM_INTEROP_THREADS", "1")  # Afterwards as before.
    operations.main(
        ["--precision=float32", "--height=32", "--width=48", "--batch=1",
         "--width_multiplier=0.1"]
    )  # fmt: skip
    printed = capsys.readouterr().out
    for kind in ("convolution", "optimizer", "loss and its gradient"):
        assert f"| {kind} |" in printed
