"""`WORKDIR/config.json`: the config of a run, and the flags given later."""

from __future__ import annotations

import dataclasses
import json
import typing
from typing import Any

from segnet.config import flag_paths
from segnet.config import workdir as paths
from segnet.config.config import Config
from segnet.config.validate import check_values, validate
from segnet.errors import ConfigError, DataError, one_line
from segnet.files import (
    file_errors,
    gfile,
    read_text,
    reason,
    write_errors,
    write_text,
)
from segnet.json_text import parse_json

__all__ = [
    "from_json",
    "has_config",
    "load_config",
    "merge",
    "save_config",
    "taken_flags",
]

# Many times what 255 names of classes take.
_MAX_BYTES = 1024**2
# What does not decide how a run goes on, and so is not told.
_NOT_TOLD = frozenset({
    "bit_depth", "class_names", "eval_batch_size", "images_digest",
    "keep_checkpoints", "log_every_steps", "log_histograms", "log_to",
    "profile_steps", "run_eagerly",
    "silence", "workdir",
})  # fmt: skip
# Told whatever their values are.
_ALWAYS_TOLD = frozenset({"data_dir", "epochs"})


def save_config(workdir: str, config: Config) -> None:
    """Writes `WORKDIR/config.json`, whole or not at all.

    Raises:
      RunError: It cannot be written.
    """
    with write_errors(workdir):
        gfile(workdir).makedirs(workdir)
    text = json.dumps(dataclasses.asdict(config), indent=2) + "\n"
    write_text(paths.config_path(workdir), text)


def has_config(workdir: str) -> bool:
    """Whether there is a `WORKDIR/config.json`, whatever its state."""
    path = paths.config_path(workdir)
    return gfile(path).exists(path)


def load_config(workdir: str) -> Config | None:
    """Reads `WORKDIR/config.json`; None where there is none.

    Raises:
      ConfigError: The file is not a config of this version.
    """
    path = paths.config_path(workdir)
    try:
        if not has_config(workdir):
            return None
        text = read_text(path, limit=_MAX_BYTES)
    except file_errors() as error:
        raise ConfigError(
            f"{path} cannot be read ({reason(error)}); use another --workdir"
        ) from error
    except DataError as error:
        raise ConfigError(f"{error}, or use another --workdir") from None
    return from_json(text, path)


def from_json(text: str, where: str) -> Config:
    """Reads what `save_config` wrote.

    Args:
      text: JSON.
      where: Path it came from, for the error.

    Raises:
      ConfigError: It is not JSON, or has fields that are not known, or values
        that no flag can have.
    """
    try:
        values = parse_json(text)
        if not isinstance(values, dict):
            raise ValueError("not a JSON object")
        names = values.get("class_names", [])
        if type(names) is not list:
            raise ValueError(f"class_names is {json.dumps(names):.40}")
        values["class_names"] = tuple(names)
        known = {field.name for field in dataclasses.fields(Config)}
        if unknown := sorted(values.keys() - known):
            listed = ", ".join(f"'{one_line(name)}'" for name in unknown)
            are = "is" if len(unknown) == 1 else "are"
            raise ValueError(f"{listed} {are} not known")
        config = Config(**values)
        _check_types(config)
        flag_paths.check_names(dataclasses.asdict(config))
        check_values(config)
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"{where} is not a config of this version of segnet "
            f"({error!s:.300}); use the version that wrote it, or "
            "another --workdir"
        ) from error
    return config


def _check_types(config: Config) -> None:
    """Refuses values that no flag can have, such as 2.5 images.

    Raises:
      ValueError: The type of a field is another one.
    """
    for name, hint in typing.get_type_hints(Config).items():
        values, kinds = [getattr(config, name)], typing.get_args(hint) or [hint]
        if name == "class_names":
            values = list(config.class_names)
        # JSON writes some whole numbers without a point.
        allowed = {*kinds, int} if float in kinds else {*kinds}
        for value in values:
            if type(value) not in allowed:
                raise ValueError(f"{name} is {json.dumps(value):.40}")


def merge(
    saved: Config,
    given: dict[str, Any],
    *,
    workdir: str,
    changeable: frozenset[str],
) -> Config:
    """The config of a workdir with the flags that were given on top.

    Args:
      saved: The config of the workdir.
      given: Flags that the user gave, by name.
      workdir: Where it is now; the folder may have been moved.
      changeable: Names of flags that may differ from the saved ones.

    Raises:
      ConfigError: Other flags differ, or the result cannot run.
    """
    wrong = {
        name: value
        for name, value in given.items()
        if name not in changeable
        and not flag_paths.same(name, getattr(saved, name), value)
    }
    if wrong:
        listed = ", ".join(
            f"--{name}={value} (it has {getattr(saved, name)})"
            for name, value in wrong.items()
        )
        raise ConfigError(
            f"--workdir={workdir} holds a run of another configuration: "
            f"{listed}; leave these flags out or use another --workdir"
        )
    merged = dataclasses.replace(
        flag_paths.found(saved), **{**given, "workdir": workdir}
    )
    validate(merged)
    return merged


def taken_flags(config: Config, given: dict[str, Any]) -> list[str]:
    """The flags that a resumed run takes from its config.json.

    Args:
      config: As `merge` gives it.
      given: Flags that the user gave, by name.

    Returns:
      As they would be typed: those that decide how the run goes on and are not
      the defaults.
    """
    usual = dataclasses.asdict(Config())
    # As config.json has them.
    usual["batch_norm_in_encoder"] = Config().uses_encoder_batch_norm
    usual["weight_decay"] = Config(
        optimizer=config.optimizer
    ).effective_weight_decay
    told = []
    for name, value in dataclasses.asdict(config).items():
        if value is None or name in given or name in _NOT_TOLD:
            continue
        if value != usual[name] or name in _ALWAYS_TOLD:
            told.append(_typed(name, value))
    return told


def _typed(name: str, value: Any) -> str:
    """A flag as it is typed."""
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no{name}"
    return f"--{name}={value}"
