"""The modes of `main.py`, a module for each."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Iterator

from segnet.config.flags import Command
from segnet.config.workdir import lock_path
from segnet.environment import check_temporary_folder
from segnet.errors import RunError, UserError
from segnet.files import reason
from segnet.installation import remedy_for_packages
from segnet.locks import Lock
from segnet.runtime.device import prepare_environment
from segnet.runtime.launcher import launched

__all__ = ["locked", "prepared", "run"]

# Of a disk; TensorFlow has one kind of error for disk and memory.
_FULL = re.compile("No space left on device|Disk quota exceeded")


def run(
    command: Command, *, after_step: Callable[[int], None] = lambda step: None
) -> int:
    """Runs a command; TensorFlow is imported from here on.

    Args:
      command: Checked by `flags.check_command`.
      after_step: See `training.start.train_and_evaluate`.

    Returns:
      Exit status.

    Raises:
      UserError: For all that the user can mend.
    """
    with prepared(command.config.device):
        if command.mode == "train":
            return _train(command, after_step)
        from segnet.commands import data_report, evaluate, export, predict
        from segnet.commands import report as run_report

        if command.mode == "evaluate":
            return evaluate.run(command)
        if command.mode == "export":
            return export.run(command)
        if command.mode == "report" and command.config.workdir:
            return run_report.run(command)
        if command.mode == "report":
            return data_report.run(command)
        return predict.run(command)


def _train(command: Command, after_step: Callable[[int], None]) -> int:
    """Trains, as the only one in the workdir; returns the exit status."""
    with locked(command.config.workdir) as lock:
        from segnet.commands import train

        return train.run(command, after_step, lock)


@contextlib.contextmanager
def prepared(device: str) -> Iterator[None]:
    """What a mode runs in; TensorFlow is to be imported in here.

    Args:
      device: As for `device.prepare_environment`.

    Raises:
      UserError: In the place of errors of libraries that the user can mend.
    """
    prepare_environment(device)
    check_temporary_folder()
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        explained = _explain(error)
        if explained is error:
            raise
        raise explained from error


@contextlib.contextmanager
def locked(workdir: str) -> Iterator[Lock]:
    """Holds the lock of a workdir, so that one training at a time is there.

    Raises:
      RunError: Another one is.
    """
    lock = Lock(
        lock_path(workdir),
        f"{workdir}: another run is training here",
        "wait, stop it or use another --workdir",
    )
    launch = launched()
    # In an elastic job nobody knows yet who will be rank 0.
    if launch.rank == 0 and not launch.elastic:
        lock.acquire()
    try:
        yield lock
    finally:
        lock.release()


def _explain(error: Exception) -> Exception:
    """An error that the user can do something about, or the error itself."""
    try:
        import tensorflow as tf
    except ImportError:
        raise  # `entry` tells of it.
    except Exception as failure:
        return _no_tensorflow(failure)
    from segnet.runtime import distributed

    if distributed.is_worker_lost(error):
        return RunError(
            "another worker has stopped, or does not answer, so this one "
            "stops too; its own message says why, or that of the launcher"
        )
    if isinstance(error, OSError) and error.errno:
        where = f"{error.filename}: " if error.filename else ""
        return RunError(f"{where}{error.strerror}; check disk and permissions")
    said = reason(error)
    if isinstance(error, tf.errors.PermissionDeniedError) or _FULL.search(said):
        return RunError(f"{said}; check disk and permissions")
    exhausted = (MemoryError, tf.errors.ResourceExhaustedError)
    if isinstance(error, exhausted) or "start new thread" in said:
        return RunError(
            "out of memory: lower --batch_size (outside training "
            "--eval_batch_size) or the input size, or use --cache=none"
        )
    return error


def _no_tensorflow(failure: Exception) -> RunError:
    """Why TensorFlow, which is installed, cannot be imported."""
    if sys.flags.optimize > 1:
        return RunError(
            "TensorFlow needs its docstrings: leave out -OO, or unset "
            "PYTHONOPTIMIZE"
        )
    return RunError(
        f"TensorFlow cannot be imported ({reason(failure)[:200]}); look for "
        "what is set for Python and TensorFlow (env | grep -E 'PY|TF'), or "
        f"make the environment anew: {remedy_for_packages()}"
    )
