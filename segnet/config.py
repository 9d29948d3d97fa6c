"""The configuration of a run: one frozen dataclass, checked before any work.

Every field is a command-line flag of the same name (`segnet/flags.py` makes
the flags from the fields). Standard library only.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from segnet.errors import ConfigError
from segnet.values import (
    check_size,
    parse_profile_steps,
    parse_resolutions,
    parse_size,
)

__all__ = [
    "CHANGEABLE_ON_RESUME",
    "Config",
    "validate",
]

# A training run that is resumed may change these and stays the same run: how
# long it is, what it logs, where its data lies and which device computes.
CHANGEABLE_ON_RESUME = frozenset({
    "cache", "checkpoint_every_steps", "class_names", "data_dir", "device",
    "early_stopping_epochs", "elastic", "epochs", "eval_split",
    "evaluate_every_epochs", "keep_checkpoints", "log_every_steps",
    "max_steps", "profile_steps", "run_eagerly", "train_split", "workdir",
})  # fmt: skip


def _field(default: Any, help_text: str, **rule: Any) -> Any:
    """A dataclass field with its help text and the rule its values obey."""
    return dataclasses.field(
        default=default, metadata={"help": help_text, **rule}
    )


@dataclasses.dataclass(frozen=True)
class Config:
    """All that decides what a run does.

    The metadata of a field holds its `help` and the rule for its values:
    `choices`, `minimum`, `maximum` or `above` (exclusive).
    """

    data_dir: str = _field(
        "", "Folder of the shards that tools/convert_to_tfrecord.py wrote."
    )
    train_split: str = _field("train", "Split to train on.")
    eval_split: str = _field("val", "Split to evaluate on.")
    workdir: str = _field("", "Folder for everything that a run writes.")

    architecture: str = _field(
        "vgg_segnet", "Network.", choices=("vgg_segnet", "segnet")
    )
    input_height: int = _field(
        320, "Height of the network's input, pixels.", minimum=16
    )
    input_width: int = _field(
        640, "Width of the network's input, pixels.", minimum=16
    )
    resolution_schedule: str = _field(
        "",
        "Smaller inputs for the first epochs: HxW[xBATCH]:EPOCHS,... For "
        "example 96x128x8:20 trains 20 epochs at 96x128 with batch 8, then "
        "the rest at the input size.",
    )
    width_multiplier: float = _field(
        1.0,
        "Factor on the network's numbers of channels; below 1 for small "
        "machines.",
        above=0.0,
        maximum=4.0,
    )
    train_crop: str = _field(
        "",
        "HxW: train on random windows of this size, at the scale of the input "
        "size. Evaluation and prediction see whole images.",
    )
    batch_norm_in_encoder: bool | None = _field(
        None,
        "Batch normalisation after each encoder convolution. Default: on "
        "unless --encoder_weights or --init_from is given.",
    )
    dropout: float = _field(
        0.0, "Dropout rate of the deep layers.", minimum=0.0, maximum=0.9
    )
    batch_norm_momentum: float = _field(
        0.99, "Momentum of batch norm's averages.", minimum=0.0, maximum=0.9999
    )
    sync_batch_norm: bool = _field(
        False, "Batch norm over the batches of all workers, not each its own."
    )
    encoder_weights: str = _field(
        "", "Keras VGG16 'notop' .h5 file to start the encoder from."
    )
    init_from: str = _field(
        "", "Workdir, checkpoint or Keras .h5 file to start all weights from."
    )

    device: str = _field(
        "auto",
        "Where to compute; auto is HPU, then GPU, then CPU.",
        choices=("auto", "cpu", "gpu", "hpu"),
    )
    precision: str = _field(
        "auto",
        "Number format of the layers; auto is bfloat16 where the device has "
        "it, else float32.",
        choices=("auto", "float32", "bfloat16", "float16"),
    )

    epochs: int = _field(125, "Passes over the training split.", minimum=1)
    max_steps: int | None = _field(
        None, "Stop after this many steps in all.", minimum=1
    )
    batch_size: int = _field(16, "Images a step, per worker.", minimum=1)

    optimizer: str = _field("adam", "Optimizer.", choices=("adam", "sgd"))
    learning_rate: float = _field(
        1e-3, "Peak learning rate for one worker.", above=0.0
    )
    scale_learning_rate: bool = _field(
        True, "Multiply the learning rate by the number of workers."
    )
    momentum: float = _field(
        0.9, "Momentum of SGD.", minimum=0.0, maximum=0.9999
    )
    lr_schedule: str = _field(
        "constant",
        "Learning rate after warm-up.",
        choices=("constant", "cosine", "polynomial"),
    )
    warmup_epochs: float | None = _field(
        None,
        "Epochs of linear warm-up from zero. Default: none with one worker, "
        "else 5 (at most a tenth of the epochs).",
        minimum=0.0,
    )
    weight_decay: float = _field(
        0.0,
        "Decoupled weight decay of kernels (not biases, not batch norm).",
        minimum=0.0,
    )

    loss: str = _field(
        "cross_entropy",
        "Training loss.",
        choices=("cross_entropy", "dice", "cross_entropy_dice", "focal",
                 "lovasz_softmax"),
    )  # fmt: skip
    class_weights: str = _field(
        "none",
        "Weights of the classes in the loss: none, median_frequency or "
        "sqrt_median_frequency (from the training manifest), or a FILE with "
        "one number a class.",
    )
    label_smoothing: float = _field(
        0.0, "Label smoothing of the cross-entropy.", minimum=0.0, maximum=0.9
    )
    augment: str = _field(
        "none",
        "Random changes of the training images.",
        choices=("none", "basic"),
    )
    freeze_encoder_epochs: int = _field(
        0, "Keep the encoder as it is for the first epochs.", minimum=0
    )

    cache: str = _field(
        "none",
        "Keep the decoded training split in memory (uint8).",
        choices=("none", "memory"),
    )
    log_every_steps: int = _field(10, "Steps between log lines.", minimum=1)
    evaluate_every_epochs: int = _field(
        1, "Epochs between evaluations; 0: only at the end.", minimum=0
    )
    checkpoint_every_steps: int | None = _field(
        None, "Steps between checkpoints. Default: once an epoch.", minimum=1
    )
    keep_checkpoints: int = _field(3, "Newest checkpoints kept.", minimum=1)
    early_stopping_epochs: int = _field(
        0,
        "Stop when the score has not risen for so many epochs; 0: never.",
        minimum=0,
    )
    allreduce_compression: str = _field(
        "none",
        "Number format of gradients on their way between workers.",
        choices=("none", "fp16", "bf16"),
    )
    elastic: bool = _field(
        False, "Go on when workers leave or join (under horovodrun)."
    )
    seed: int = _field(0, "Seed of all randomness.", minimum=0, maximum=2**31)
    deterministic: bool = _field(
        False, "Bit-identical results on the same device; slower."
    )
    run_eagerly: bool = _field(
        False, "Run the step without tf.function, for debugging."
    )
    profile_steps: str = _field(
        "", "FIRST,LAST step to profile for TensorBoard."
    )
    class_names: tuple[str, ...] = _field(
        (), "Names of the classes, from the training manifest.", flag=False
    )

    @property
    def uses_encoder_batch_norm(self) -> bool:
        """Whether the encoder has batch norm, the default resolved."""
        if self.batch_norm_in_encoder is not None:
            return self.batch_norm_in_encoder
        return not (self.encoder_weights or self.init_from)


def validate(config: Config) -> None:
    """Refuses a configuration that cannot run.

    Args:
      config: What to check; nothing outside it is looked at.

    Raises:
      ConfigError: Naming the flag, its value, the rule and a remedy.
    """
    for field in dataclasses.fields(config):
        _check_rule(field, getattr(config, field.name))
    check_size(config.architecture, config.input_height, config.input_width)
    scheduled = parse_resolutions(config.resolution_schedule)
    for height, width, _, _ in scheduled:
        check_size(config.architecture, height, width)
    if sum(epochs for *_, epochs in scheduled) >= config.epochs and scheduled:
        raise ConfigError(
            f"--resolution_schedule={config.resolution_schedule} leaves no "
            f"epoch of --epochs={config.epochs} at the input size; shorten it"
        )
    crop = parse_size(config.train_crop, "train_crop")
    if crop:
        check_size(config.architecture, *crop)
        if crop[0] > config.input_height or crop[1] > config.input_width:
            raise ConfigError(
                f"--train_crop={config.train_crop} is larger than the input "
                f"size {config.input_height}x{config.input_width}"
            )
    if config.early_stopping_epochs and not config.evaluate_every_epochs:
        raise ConfigError(
            f"--early_stopping_epochs={config.early_stopping_epochs} needs "
            "evaluations; give --evaluate_every_epochs=1"
        )
    if config.encoder_weights and config.width_multiplier != 1.0:
        raise ConfigError(
            f"--width_multiplier={config.width_multiplier} and "
            "--encoder_weights exclude each other: VGG16 has all its channels"
        )
    if config.encoder_weights and config.init_from:
        raise ConfigError(
            "--encoder_weights and --init_from are both given; use "
            "--encoder_weights for VGG16 weights or --init_from for a whole "
            "network, not both"
        )
    parse_profile_steps(config.profile_steps)


def _check_rule(field: dataclasses.Field, value: Any) -> None:
    """Checks one value against its field's rule."""
    rule = field.metadata
    flag = f"--{field.name}={value}"
    if value is None:
        return
    if "choices" in rule and value not in rule["choices"]:
        raise ConfigError(
            f"{flag} is not known; use one of {', '.join(rule['choices'])}"
        )
    numeric = {"above", "minimum", "maximum"} & rule.keys()
    if numeric and type(value) not in (int, float):
        raise ConfigError(f"{flag} is not a number")
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{flag} is not a finite number")
    if "above" in rule and not value > rule["above"]:
        raise ConfigError(f"{flag} must be above {rule['above']}")
    if "minimum" in rule and not value >= rule["minimum"]:
        raise ConfigError(f"{flag} must be at least {rule['minimum']}")
    if "maximum" in rule and not value <= rule["maximum"]:
        raise ConfigError(f"{flag} must be at most {rule['maximum']}")
