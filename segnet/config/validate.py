"""The rules between the options of a run, checked before any work."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Any

from segnet.config.config import Config
from segnet.constants import (
    ARCHITECTURES,
    SPLIT_NAME_RULE,
    is_split_name,
    parse_size,
    parse_warnings,
)
from segnet.errors import ConfigError

__all__ = [
    "CHANGEABLE_AFTER_TRAINING",
    "CHANGEABLE_ON_RESUME",
    "check_values",
    "parse_crop",
    "parse_profile_steps",
    "parse_resolutions",
    "parse_service",
    "validate",
]

_RESOLUTION = "([0-9]{1,5})x([0-9]{1,5})(?:x([0-9]{1,9}))?:([0-9]{1,9})"
# Of whole numbers without a rule of their own: TensorFlow counts in 32 bits
# here and there.
_LARGEST = 2**31

# A training run that is resumed may change these and stays the same run: how
# long it is, what it logs, where its data lies and which device computes.
CHANGEABLE_ON_RESUME = frozenset({
    "cache", "checkpoint_every_steps", "class_names", "data_dir",
    "data_service", "device",
    "early_stopping_epochs", "elastic", "epochs", "eval_batch_size",
    "eval_split", "evaluate_every_epochs", "keep_checkpoints",
    "log_every_steps", "log_histograms", "log_to", "max_steps",
    "profile_steps", "run_eagerly", "shard_placement", "silence",
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
    if config.data_service:
        parse_service(config.data_service)
    try:
        parse_warnings(config.silence)
    except ValueError as error:
        raise ConfigError(f"--silence={config.silence}: {error}") from None


def validate(config: Config) -> None:
    """Refuses a configuration that cannot run.

    Args:
      config: What to check; nothing outside it is looked at.

    Raises:
      ConfigError: Naming the flag, its value, the rule and a remedy.
    """
    check_values(config)
    _check_size(config.architecture, config.input_height, config.input_width)
    scheduled = parse_resolutions(config.resolution_schedule)
    for height, width, _, _ in scheduled:
        _check_size(config.architecture, height, width)
    if sum(epochs for *_, epochs in scheduled) >= config.epochs and scheduled:
        raise ConfigError(
            f"--resolution_schedule={config.resolution_schedule} leaves no "
            f"epoch of --epochs={config.epochs} at the input size; shorten it"
        )
    crop = parse_crop(config.train_crop)
    if crop:
        _check_size(config.architecture, *crop)
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
    if config.elastic and config.shard_placement == "split":
        raise ConfigError(
            "--elastic and --shard_placement=split exclude each other: workers "
            "that come and go would have parts of others to read; leave one out"
        )
    if config.data_service:
        _check_service(config)
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


def _check_service(config: Config) -> None:
    """Refuses what cannot be where other hosts decode.

    Raises:
      ConfigError: Naming both flags.
    """
    excluded = {
        "--cache=memory": (
            config.cache == "memory",
            "they do not decode from the memory of this host",
        ),
        "--shard_placement=split": (
            config.shard_placement == "split",
            "they need all shards, and deal them out themselves",
        ),
        "--deterministic": (
            config.deterministic,
            "their processors may round otherwise than this one",
        ),
    }
    for flag, (is_given, why) in excluded.items():
        if is_given:
            raise ConfigError(
                f"--data_service={config.data_service} and {flag} exclude each "
                f"other: the service's hosts read and augment the images, and "
                f"{why}; leave one out"
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
    maximum = rule.get("maximum", _LARGEST if type(value) is int else value)
    if numeric and not value <= maximum:
        raise ConfigError(f"{flag} must be at most {maximum}")
    if rule.get("split") and not is_split_name(value):
        raise ConfigError(
            f"{flag} is no name of a split: {SPLIT_NAME_RULE}, for it begins "
            "the names of files"
        )


def parse_resolutions(text: str) -> list[tuple[int, int, int | None, int]]:
    """Parses `--resolution_schedule`.

    Args:
      text: `HxW[xBATCH]:EPOCHS,...` or empty.

    Returns:
      (height, width, batch size or None, epochs) of each stage, in order.

    Raises:
      ConfigError: If the text does not have this form.
    """
    stages = []
    for part in filter(None, text.split(",")):
        match = re.fullmatch(_RESOLUTION, part.strip())
        if not match or any(
            group is not None and int(group) == 0 for group in match.groups()
        ):
            raise ConfigError(
                f"--resolution_schedule={text}: '{part}' is not "
                "HxW[xBATCH]:EPOCHS, for example 96x128x8:20"
            )
        height, width, batch, epochs = match.groups()
        stages.append(
            (int(height), int(width), int(batch) if batch else None,
             int(epochs))
        )  # fmt: skip
    return stages


def parse_crop(text: str) -> tuple[int, int] | None:
    """Parses `--train_crop`; None when empty.

    Raises:
      ConfigError: If it is not HxW, two numbers above 0.
    """
    if not text:
        return None
    try:
        return parse_size(text)
    except ValueError:
        raise ConfigError(
            f"--train_crop={text} is not HxW (height x width), for example "
            "96x128"
        ) from None


def parse_service(text: str, flag: str = "data_service") -> tuple[str, int]:
    """Parses where a dispatcher is.

    Args:
      text: `HOST:PORT` or `grpc://HOST:PORT`; an IPv6 address in brackets.
      flag: That has it.

    Returns:
      Host and port.

    Raises:
      ConfigError: If the text does not have this form.
    """
    match = re.fullmatch(
        r"(?:grpc://)?([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})", text
    )
    if not match or not 0 < int(match[2]) < 2**16:
        raise ConfigError(
            f"--{flag}={text} is not HOST:PORT, for example localhost:5050"
        )
    return match[1], int(match[2])


def parse_profile_steps(text: str) -> tuple[int, int] | None:
    """Parses `--profile_steps=FIRST,LAST`; None when empty.

    Raises:
      ConfigError: If it is not two rising step numbers.
    """
    if not text:
        return None
    match = re.fullmatch("([0-9]{1,9}),([0-9]{1,9})", text)
    if not match or not 2 <= int(match[1]) <= int(match[2]):
        raise ConfigError(
            f"--profile_steps={text} is not FIRST,LAST with FIRST at least 2 "
            "(the first step traces), for example 10,15"
        )
    return int(match[1]), int(match[2])


def _check_size(architecture: str, height: int, width: int) -> None:
    """Checks that the poolings divide the size without remainder.

    Raises:
      ConfigError: If not; names the nearest size that suits.
    """
    multiple = ARCHITECTURES[architecture]
    if height % multiple == 0 and width % multiple == 0:
        return
    near = "x".join(
        str(max(1, round(size / multiple)) * multiple)
        for size in (height, width)
    )
    raise ConfigError(
        f"input size {height}x{width} (height x width) does not suit "
        f"{architecture}: both must be multiples of {multiple}; the nearest "
        f"is {near} (--input_height, --input_width)"
    )
