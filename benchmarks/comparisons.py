"""The table of what is measured: groups of contenders, rows of comparisons."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, cast

from benchmarks.harness.datasets import Dataset
from benchmarks.harness.programs import ROOT
from benchmarks.harness.timing import Contender
from segnet.config import Config, flags
from segnet.config.schedule import create_schedule

__all__ = ["FULL", "SMOKE", "Group", "Row", "Scale", "create_groups"]


@dataclasses.dataclass(frozen=True)
class Scale:
    """How large everything is.

    Attributes:
      scenes: Scenes of both splits, their height and width, without CamVid.
      size: Height and width of a network's input, pixels.
      input_size: The same where the input alone is measured, pixels.
      batch_size: Images a batch.
      width_multiplier: Factor on the channels of the networks.
      steps: Steps a round on a batch that is always there.
      end_to_end_steps: Steps a round that begins with an empty pipeline.
      batches: Batches a round of the input.
      forward_batches: Batches a round of the forward pass.
      rounds: Rounds that count.
      warmups: Rounds before them.
      repeats: How often the converter gets each pair: so often that its start,
        0.2 s, counts little.
      architectures: Networks to measure.
      recipes: Of `configs/`, to measure as they run.
      recipe_changes: What is changed in them.
    """

    scenes: tuple[int, int, int, int] = (367, 101, 360, 480)
    size: tuple[int, int] = (160, 320)
    input_size: tuple[int, int] = (320, 640)
    batch_size: int = 4
    width_multiplier: float = 1.0
    steps: int = 3
    end_to_end_steps: int = 12
    batches: int = 100
    forward_batches: int = 20
    rounds: int = 7
    warmups: int = 2
    repeats: int = 30
    architectures: tuple[str, ...] = ("vgg_segnet", "segnet")
    recipes: tuple[str, ...] = ("camvid", "demo")
    recipe_changes: Mapping[str, Any] = dataclasses.field(default_factory=dict)


FULL = Scale()
SMOKE = Scale(
    scenes=(4, 2, 32, 64), size=(32, 64), input_size=(32, 64), batch_size=2,
    width_multiplier=1 / 16, steps=1, end_to_end_steps=2, batches=2,
    forward_batches=2, rounds=1, warmups=0, repeats=3,
    architectures=("vgg_segnet",), recipes=("camvid",),
    recipe_changes={
        "input_height": 32, "input_width": 64, "train_crop": "", "epochs": 10,
        "resolution_schedule": "16x32x2:5", "batch_size": 2,
        "width_multiplier": 1 / 16,
    },
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
      text: What it says.
      over: Name of the contender whose rate stands above the line.
      under: The one below; empty for images/s instead of a ratio.
    """

    text: str
    over: str
    under: str = ""

    def values(self, rates: Mapping[str, Sequence[float]]) -> list[float]:
        """The value of each round.

        Args:
          rates: Images/s of each contender of the group, round by round.
        """
        over = rates[self.over]
        if not self.under:
            return list(over)
        pairs = zip(over, rates[self.under], strict=True)
        return [ours / theirs for ours, theirs in pairs]


@dataclasses.dataclass(frozen=True)
class Group:
    """Contenders that are measured in turn, and the rows made of them."""

    name: str
    contenders: Mapping[str, Contender]
    rows: Sequence[Row]


def create_groups(scale: Scale, data: Dataset) -> list[Group]:
    """All groups.

    Args:
      scale: How large everything is.
      data: What to read.
    """
    return [
        *(_training_group(scale, data, name) for name in scale.architectures),
        *(_recipe_group(scale, data, name) for name in scale.recipes),
        _input_group(scale, data),
        _converter_group(scale, data),
        _inference_group(scale, data),
        # Not of `segnet`, which OpenVINO 2026.4.1 takes more than 9 GB for in
        # bfloat16, and is killed where there is no more.
        _engine_group(scale, data, "vgg_segnet"),
    ]


def _config(scale: Scale, data: Dataset, **changes: object) -> Config:
    """A run on a CPU, without batch norm in the encoder."""
    settings: dict[str, Any] = {
        "data_dir": data.records,
        "input_height": scale.size[0],
        "input_width": scale.size[1],
        "batch_size": scale.batch_size,
        "width_multiplier": scale.width_multiplier,
        "batch_norm_in_encoder": False,
        "augment": "basic",
        "device": "cpu",
        "precision": "bfloat16",
        "class_names": tuple(map(str, range(data.num_classes))),
    }
    return Config(**settings | changes)


def _training_group(scale: Scale, data: Dataset, architecture: str) -> Group:
    """The training step, end to end and on one batch, and PyTorch's."""
    contenders: dict[str, Contender] = {}
    rows: list[Row] = []
    for precision in ("float32", "bfloat16"):
        config = _config(
            scale, data, architecture=architecture, precision=precision
        )
        with_input = {"config": config, "steps": scale.end_to_end_steps}
        config = dataclasses.replace(config, data_dir="")
        one_batch = {"config": config, "steps": scale.steps}
        step, torch, end = (
            f"{name} {precision}" for name in ("step", "PyTorch", "end to end")
        )
        contenders[step] = Contender("own:training", one_batch)
        contenders[end] = Contender("own:training", with_input)
        contenders[torch] = Contender("torch_reference:training", one_batch)
        rows += [
            Row(f"step, {precision}, PyTorch = 1", step, torch),
            Row(f"end to end, {precision}, step = 1", end, step),
        ]
    return Group(architecture, contenders, rows)


def _recipe_group(scale: Scale, data: Dataset, name: str) -> Group:
    """Each stage of a recipe as it runs, beside bare steps of its network."""
    command = [f"--flagfile={ROOT / 'configs' / name}.flags"]
    parsed = cast(flags.Command, flags.parse_command(["", *command]))
    config = dataclasses.replace(
        parsed.config, data_dir=data.records, **scale.recipe_changes
    )
    contenders: dict[str, Contender] = {}
    rows: list[Row] = []
    # As many records as any stage may want.
    for number, stage in enumerate(create_schedule(config, 10**6, 1).stages):
        bare = _config(
            scale,
            data,
            architecture=config.architecture,
            input_height=stage.height,
            input_width=stage.width,
            batch_size=stage.batch_size,
            width_multiplier=config.width_multiplier,
            batch_norm_in_encoder=config.uses_encoder_batch_norm,
            precision=config.precision,
        )
        bare = dataclasses.replace(bare, data_dir="")
        dice = dataclasses.replace(bare, loss=config.loss)
        size = f"{stage.height}x{stage.width}x{stage.batch_size}"
        of_recipe = {
            "config": config,
            "stage": number,
            "steps": scale.end_to_end_steps,
        }
        steps = {"steps": scale.steps}
        contenders |= {
            f"recipe {size}": Contender("own:recipe", of_recipe),
            f"bare {size}": Contender(
                "own:training", {"config": bare, **steps}
            ),
            f"loss {size}": Contender(
                "own:training", {"config": dice, **steps}
            ),
            f"plain {size}": Contender(
                "own:training",
                {"config": dice, "compile_loss": False, **steps},
            ),
        }
        rows += [
            Row(f"{size}, as it runs, bare step = 1", f"recipe {size}",
                f"bare {size}"),
            Row(f"{size}, loss compiled, not = 1", f"loss {size}",
                f"plain {size}"),
        ]  # fmt: skip
    return Group(f"configs/{name}.flags", contenders, rows)


def _input_group(scale: Scale, data: Dataset) -> Group:
    """The input alone."""
    height, width = scale.input_size
    config = _config(scale, data, input_height=height, input_width=width)
    shards = {"config": config, "batches": scale.batches}
    memory = shards | {"config": dataclasses.replace(config, cache="memory")}
    return Group(
        "input",
        {
            "shards": Contender("own:input_pipeline", shards),
            "memory": Contender("own:input_pipeline", memory),
            "cv2": Contender("cv2_loop:cv2_loop", shards | data.pairs("train")),
        },
        [
            Row("from shards, images/s", "shards"),
            Row("from memory, images/s", "memory"),
            Row("from shards, cv2 loop = 1", "shards", "cv2"),
        ],
    )


def _converter_group(scale: Scale, data: Dataset) -> Group:
    """The converter against nothing but decoding."""
    decoding = data.pairs("train") | {"repeats": scale.repeats}
    conversion = decoding | {"num_classes": data.num_classes}
    return Group(
        "converter",
        {
            "convert": Contender("conversion:conversion", conversion),
            "decode": Contender("conversion:decoding", decoding),
        },
        [Row("conversion, bare decoding = 1", "convert", "decode")],
    )


def _inference_group(scale: Scale, data: Dataset) -> Group:
    """Evaluation and prediction against the forward pass."""
    # Scores the larger split: what the start of the input takes, 0.04 s, would
    # be one per cent of the 101 images of CamVid's other one.
    config = _config(scale, data, eval_split="train")
    forward = {"config": config, "batches": scale.forward_batches}
    predict = {"config": config, "images_dir": data.pairs("val")["images_dir"]}
    return Group(
        "inference",
        {
            "forward": Contender("own:forward_pass", forward),
            "evaluate": Contender("own:evaluation", {"config": config}),
            "predict": Contender("own:prediction", predict),
        },
        [
            Row("evaluation, forward pass = 1", "evaluate", "forward"),
            Row("prediction, forward pass = 1", "predict", "forward"),
        ],
    )


def _engine_group(scale: Scale, data: Dataset, architecture: str) -> Group:
    """Other engines on the exported file, against segnet on a CPU."""
    settings = {
        precision: {
            "config": _config(
                scale,
                data,
                eval_split="val",
                architecture=architecture,
                precision=precision,
            ),
            "batches": scale.steps,
        }
        for precision in ("float32", "bfloat16")
    }
    contenders = {
        f"segnet {name}": Contender("engines:own_labels", each)
        for name, each in settings.items()
    } | {
        f"OpenVINO {name}": Contender("engines:openvino_labels", each)
        for name, each in settings.items()
    }
    contenders["ONNX Runtime"] = Contender(
        "engines:onnxruntime_labels", settings["float32"]
    )
    # ONNX Runtime has no bfloat16 on a CPU.
    pairs = (
        ("ONNX Runtime", "float32"),
        ("OpenVINO float32", "float32"),
        ("ONNX Runtime", "bfloat16"),
        ("OpenVINO bfloat16", "bfloat16"),
    )
    rows = [
        Row(f"{name}, segnet {own} = 1", name, f"segnet {own}")
        for name, own in pairs
    ]
    return Group(f"{architecture} engines", contenders, rows)
