"""The table of what is measured: groups of contenders, rows of comparisons."""

from __future__ import annotations

import dataclasses
from typing import Any

from benchmarks.datasets import Dataset
from benchmarks.scale import Scale
from benchmarks.timing import Contender

__all__ = ["Group", "Row", "create_groups"]


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
      text: What it says.
      over: Name of the contender whose rate stands above the line.
      under: The one below; empty for a value of one contender.
      target: What is aimed at; None where nothing is.
      measure: `ratio` (of rates), `rate` (images/s), `seconds` (an item),
        `peak` (GB of memory) or `memory` (ratio of peaks).
    """

    text: str
    over: str
    under: str = ""
    target: float | None = None
    measure: str = "ratio"

    @property
    def at_least(self) -> bool:
        """Whether more is better."""
        return self.measure in ("ratio", "rate")


@dataclasses.dataclass(frozen=True)
class Group:
    """Contenders that are measured in turn, and the rows made of them."""

    name: str
    contenders: dict[str, Contender]
    rows: tuple[Row, ...]


def create_groups(scale: Scale, data: Dataset) -> list[Group]:
    """All groups.

    Args:
      scale: How large everything is.
      data: What to read.
    """
    groups = [
        _step_group(scale, data, architecture)
        for architecture in scale.architectures
    ]
    return [
        *groups,
        _unpooling_group(scale),
        _input_group(scale, data),
        _converter_group(scale, data),
        _inference_group(scale, data),
        _startup_group(scale, data),
    ]


# PyTorch's rate times these is what the step is to reach.
_TORCH_TARGETS = {
    ("vgg_segnet", "bfloat16"): 1.10,
    ("vgg_segnet", "float32"): 1.10,
    ("segnet", "bfloat16"): 1.05,
    ("segnet", "float32"): 1.00,
}


def _step_group(scale: Scale, data: Dataset, architecture: str) -> Group:
    """The training step: synthetic, end to end, and PyTorch's."""
    contenders, rows = {}, []
    for precision in ("float32", "bfloat16"):
        network = _network(scale, data, architecture, precision)
        synthetic = {"network": network, "steps": scale.steps}
        end_to_end = {
            "network": network,
            "steps": scale.end_to_end_steps,
            "data_dir": data.records,
        }
        contenders |= {
            f"step {precision}": Contender("step", synthetic),
            f"end to end {precision}": Contender("end_to_end", end_to_end),
            f"PyTorch {precision}": Contender("torch_step", synthetic),
        }
        rows += [
            Row(
                f"step, {precision}, PyTorch = 1",
                f"step {precision}",
                f"PyTorch {precision}",
                _TORCH_TARGETS[architecture, precision],
            ),
            Row(
                f"end to end, {precision}, step = 1",
                f"end to end {precision}",
                f"step {precision}",
                0.97,
            ),
        ]
    if architecture == "vgg_segnet":
        network = _network(scale, data, architecture, "float32")
        unfolded = {
            "network": network | {"folded_upsampling": False},
            "steps": scale.steps,
        }
        contenders |= {
            "bare Keras": Contender("bare_step", unfolded),
            "unfolded": Contender("step", unfolded),
        }
        rows += [
            Row(
                "end to end bfloat16, bare float32 step = 1",
                "end to end bfloat16",
                "bare Keras",
                2.1,
            ),
            Row(
                "end to end bfloat16, unfolded float32 step of ours = 1",
                "end to end bfloat16",
                "unfolded",
            ),
        ]
    rows.append(
        Row(
            "memory of end to end bfloat16, GB",
            "end to end bfloat16",
            target=1.2 if architecture == "vgg_segnet" else None,
            measure="peak",
        )
    )
    return Group(architecture, contenders, tuple(rows))


def _network(
    scale: Scale, data: Dataset, architecture: str, precision: str
) -> dict[str, Any]:
    """Settings of `Network`."""
    return {
        "architecture": architecture,
        "precision": precision,
        "height": scale.size[0],
        "width": scale.size[1],
        "batch_size": scale.batch_size,
        "num_classes": data.num_classes,
        "width_multiplier": scale.width_multiplier,
    }


def _unpooling_group(scale: Scale) -> Group:
    """Pooling indices as masks against tensorflow-addons."""
    contenders, rows = {}, []
    for precision in ("float32", "bfloat16"):
        settings = {
            "height": scale.size[0],
            "width": scale.size[1],
            "channels": 64,
            "batch_size": scale.batch_size,
            "precision": precision,
            "steps": scale.steps,
        }
        ours, theirs = f"masks {precision}", f"addons {precision}"
        contenders[ours] = Contender("unpool", settings)
        contenders[theirs] = Contender("addons_unpool", settings)
        text = f"unpooling, {precision}, addons = 1"
        rows.append(Row(text, ours, theirs, 1.0))
    return Group("unpooling", contenders, tuple(rows))


def _input_group(scale: Scale, data: Dataset) -> Group:
    """The input alone."""
    common = {
        "height": scale.input_size[0],
        "width": scale.input_size[1],
        "batch_size": scale.batch_size,
        "batches": scale.batches,
    }
    ours = common | {"data_dir": data.records, "augment": "basic"}
    theirs = common | data.train_folders | {"num_classes": data.num_classes}
    return Group(
        "input",
        {
            "shards": Contender("pipeline", ours),
            "cached": Contender("pipeline", ours | {"cache": True}),
            "cv2 loop": Contender("cv2_loop", theirs),
        },
        (
            Row("from shards, images/s", "shards", "", 300.0, "rate"),
            Row("from memory, images/s", "cached", "", 1000.0, "rate"),
            Row("from shards, cv2 loop = 1", "shards", "cv2 loop", 5.0),
        ),
    )


def _converter_group(scale: Scale, data: Dataset) -> Group:
    """The converter: speed, and memory as the data grow."""
    folders = data.train_folders
    more = {"repeats": scale.repeats}
    many = {"repeats": scale.many_repeats}
    ours = folders | {
        "num_classes": data.num_classes,
        "void_labels": data.void_labels,
    }
    return Group(
        "converter",
        {
            "convert": Contender("convert", ours),
            "convert more": Contender("convert", ours | more),
            "convert many": Contender("convert", ours | many),
            "decode": Contender("decode", folders | many),
            "decode to arrays": Contender(
                "decode", folders | many | {"arrays": True}
            ),
        },
        (
            Row(
                "conversion, bare decoding = 1", "convert many", "decode", 0.85
            ),
            Row(
                "conversion, decoding to arrays = 1",
                "convert many",
                "decode to arrays",
            ),
            Row(
                f"memory for {scale.repeats} times the images",
                "convert more",
                "convert",
                1.1,
                "memory",
            ),
        ),
    )


def _inference_group(scale: Scale, data: Dataset) -> Group:
    """Evaluation and prediction against the forward pass."""
    network = {"network": _network(scale, data, "vgg_segnet", "bfloat16")}
    return Group(
        "inference",
        {
            "forward": Contender(
                "forward", network | {"batches": scale.forward_batches}
            ),
            "evaluate": Contender(
                "evaluate", network | {"data_dir": data.records}
            ),
            "predict": Contender(
                "predict", network | {"images_dir": data.val_images}
            ),
        },
        (
            Row("evaluation, forward pass = 1", "evaluate", "forward", 0.90),
            Row("prediction, forward pass = 1", "predict", "forward", 0.80),
        ),
    )


def _startup_group(scale: Scale, data: Dataset) -> Group:
    """How long a command takes to begin."""
    flags = [
        f"--input_height={scale.size[0]}",
        f"--input_width={scale.size[1]}",
        f"--batch_size={scale.batch_size}",
        f"--width_multiplier={scale.width_multiplier}",
        "--device=cpu",
    ]
    first = {"data_dir": data.records, "flags": flags}
    return Group(
        "start-up",
        {
            "help": Contender("help", {}),
            "python": Contender("python", {}),
            "first step": Contender("first_step", first),
        },
        (
            Row("main.py --help, seconds", "help", "", 1.5, "seconds"),
            Row("one step and its end, s", "first step", "", None, "seconds"),
        ),
    )
