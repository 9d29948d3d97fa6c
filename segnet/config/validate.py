"""The rules between the options of a run, checked before any work."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from segnet.config.config import Config
from segnet.config.values import (
    check_size,
    parse_crop,
    parse_profile_steps,
    parse_resolutions,
)
from segnet.errors import ConfigError

__all__ = [
    "CHANGEABLE_AFTER_TRAINING",
    "CHANGEABLE_ON_RESUME",
    "check_values",
    "validate",
]

# A training run that is resumed may change these and stays the same run: how
# long it is, what it logs, where its data lies and which device computes.
CHANGEABLE_ON_RESUME = frozenset({
    "cache", "checkpoint_every_steps", "class_names", "data_dir", "device",
    "early_stopping_epochs", "elastic", "epochs", "eval_batch_size",
    "eval_split", "evaluate_every_epochs", "keep_checkpoints",
    "log_every_steps", "max_steps", "profile_steps", "run_eagerly",
    "train_split", "workdir",
})  # fmt: skip
# What evaluate and predict may change: where the data lies and how to
# compute, not what was trained.
CHANGEABLE_AFTER_TRAINING = CHANGEABLE_ON_RESUME | {"batch_size", "precision"}


def check_values(config: Config) -> None:
    """Checks each option by itself, not the rules between them.

    Raises:
      ConfigError: Naming the flag, its value and the rule.
    """
    for field in dataclasses.fields(config):
        _check_rule(field, getattr(config, field.name))
    parse_resolutions(config.resolution_schedule)
    parse_crop(config.train_crop)
    parse_profile_steps(config.profile_steps)


def validate(config: Config) -> None:
    """Refuses a configuration that cannot run.

    Args:
      config: What to check; nothing outside it is looked at.

    Raises:
      ConfigError: Naming the flag, its value, the rule and a remedy.
    """
    check_values(config)
    check_size(config.architecture, config.input_height, config.input_width)
    scheduled = parse_resolutions(config.resolution_schedule)
    for height, width, _, _ in scheduled:
        check_size(config.architecture, height, width)
    if sum(epochs for *_, epochs in scheduled) >= config.epochs and scheduled:
        raise ConfigError(
            f"--resolution_schedule={config.resolution_schedule} leaves no "
            f"epoch of --epochs={config.epochs} at the input size; shorten it"
        )
    crop = parse_crop(config.train_crop)
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
