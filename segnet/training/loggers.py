"""W&B and MLflow: what TensorBoard gets, for those who use them.

Each needs its package, an extra of the same name. Where they send what they
get is said by their own variables (`WANDB_MODE`, `MLFLOW_TRACKING_URI`).
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from segnet.config import Config
from segnet.errors import ConfigError
from segnet.progress import say
from segnet.training import board

__all__ = ["Logger", "check_logger", "create_logger"]

_PROJECT = "segnet"


class Logger(Protocol):
    """Takes what a run tells."""

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        """Takes numbers."""

    def show(self, step: int, pictures: Mapping[str, np.ndarray]) -> None:
        """Takes pictures, uint8 `[height, width, 3]`."""

    def close(self) -> None:
        """Ends the run."""


def check_logger(config: Config) -> None:
    """Refuses a logger whose package is not there, before any work.

    Raises:
      ConfigError: It is not.
    """
    name = config.log_to
    if name != "none" and importlib.util.find_spec(name) is None:
        raise ConfigError(
            f"--log_to={name} needs a package that is not installed: pip "
            f"install --no-deps --require-hashes -r requirements/{name}.lock, "
            f"or the extra '{name}' of the package"
        )


def create_logger(config: Config) -> Logger | None:
    """What `--log_to` names, begun; None if it names nothing.

    Args:
      config: Of the run.

    Raises:
      ConfigError: It cannot be begun.
    """
    kinds: dict[str, Callable[[Config], Logger]] = {
        "wandb": _Wandb,
        "mlflow": _Mlflow,
    }
    if config.log_to == "none":
        return None
    try:
        return _Careful(config.log_to, kinds[config.log_to](config))
    except Exception as error:  # Of packages that raise what they like.
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"--log_to={config.log_to}: {reason}; leave it out, or see to "
            "the settings of that package"
        ) from error


class _Careful:
    """A logger that a run does not die of."""

    def __init__(self, name: str, logger: Logger) -> None:
        self._name = name
        self._logger: Logger | None = logger

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        self._try(lambda logger: logger.write(step, scalars))

    def show(self, step: int, pictures: Mapping[str, np.ndarray]) -> None:
        self._try(lambda logger: logger.show(step, pictures))

    def close(self) -> None:
        self._try(lambda logger: logger.close())

    def _try(self, action: Callable[[Logger], None]) -> None:
        if self._logger is None:
            return
        try:
            action(self._logger)
        except Exception as error:  # Of packages that raise what they like.
            self._logger = None
            reason = " ".join(str(error).split())
            say(f"--log_to={self._name}: {reason}; the run goes on without it")


class _Wandb:
    """Weights and Biases."""

    def __init__(self, config: Config) -> None:
        wandb = importlib.import_module("wandb")
        self._image = wandb.Image
        self._run = wandb.init(
            project=_PROJECT,
            name=_name(config),
            # The same run again when it is resumed.
            id=_run_id(config),
            resume="allow",
            dir=os.path.abspath(config.workdir),
            config=board.settings(config),
            settings=wandb.Settings(silent=True),
        )

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        self._run.log(dict(scalars), step=step)

    def show(self, step: int, pictures: Mapping[str, np.ndarray]) -> None:
        found = {name: self._image(x) for name, x in pictures.items()}
        self._run.log(found, step=step)

    def close(self) -> None:
        self._run.finish()


class _Mlflow:
    """MLflow; without a tracking server in `WORKDIR/mlruns`."""

    def __init__(self, config: Config) -> None:
        if not os.environ.get("MLFLOW_TRACKING_URI"):
            # Files are enough for one run; asked for before it is imported.
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        self._mlflow: Any = importlib.import_module("mlflow")
        if not os.environ.get("MLFLOW_TRACKING_URI"):
            folder = os.path.abspath(os.path.join(config.workdir, "mlruns"))
            self._mlflow.set_tracking_uri(f"file://{folder}")
        self._mlflow.set_experiment(_PROJECT)
        # The same run again when it is resumed.
        tag = f"tags.segnet = '{_run_id(config)}'"
        known = self._mlflow.search_runs(
            filter_string=tag, max_results=1, output_format="list"
        )
        if known:
            self._mlflow.start_run(run_id=known[0].info.run_id)
        else:
            self._mlflow.start_run(
                run_name=_name(config), tags={"segnet": _run_id(config)}
            )
            self._mlflow.log_params(board.settings(config))

    def write(self, step: int, scalars: Mapping[str, float]) -> None:
        self._mlflow.log_metrics(
            {_plain(name): value for name, value in scalars.items()}, step=step
        )

    def show(self, step: int, pictures: Mapping[str, np.ndarray]) -> None:
        for name, picture in pictures.items():
            self._mlflow.log_image(picture, key=_plain(name), step=step)

    def close(self) -> None:
        self._mlflow.end_run()


def _name(config: Config) -> str:
    return os.path.basename(os.path.abspath(config.workdir))


def _run_id(config: Config) -> str:
    """The same for the same workdir and images."""
    text = f"{os.path.abspath(config.workdir)} {config.images_digest}"
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[
        :16
    ]


def _plain(name: str) -> str:
    """A name with letters that MLflow takes alone."""
    return "".join(x if x.isalnum() or x in "_-./ " else "_" for x in name)
