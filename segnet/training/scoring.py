"""The network of a run, scored while it trains."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import tensorflow as tf

from segnet.config.schedule import create_pass
from segnet.runtime import distributed
from segnet.signals import StopVotes
from segnet.training import health, stages
from segnet.training.run import Run

__all__ = ["Abandoned", "score"]

T = TypeVar("T")


class Abandoned(Exception):
    """The workers have agreed to stop before an evaluation was done."""


def score(run: Run, stop: StopVotes) -> dict[str, Any]:
    """Scores a run's network, as it is used later, on the evaluation split.

    Args:
      run: Batch norm's averages are shared among the workers and, if the
        config asks for it, computed anew.
      stop: A signal ends the evaluation; the run is then as it was.

    Returns:
      As `evaluate.Evaluation` gives it.

    Raises:
      Abandoned: On all workers alike, after a signal to one of them.
      DataError: A record is damaged or has changed.
    """
    health.share_averages(run)
    averages = run.averages
    with averages.applied() if averages else contextlib.nullcontext():
        recalibrates = run.config.recalibrate_batch_norm
        changed = run.model.non_trainable_variables if recalibrates else []
        with _restored_if_abandoned(changed):
            if recalibrates:
                _recalibrate(run, stop)
            run.predictor.load(run.model)
            return run.evaluation(guard=lambda it: _until_stopped(it, stop))


def _recalibrate(run: Run, stop: StopVotes) -> None:
    """Computes batch norm's averages anew, of the weights as they are."""
    run.position.assign(run.step * run.config.accumulate_steps)
    stage = create_pass(
        run.config, run.splits.train.num_records, distributed.size()
    )
    batches = stages.training_batches(
        run, stage, start_step=0, end_step=stage.end_step, augment="none",
        lost=stop.resign,
    )  # fmt: skip
    run.recalibration(_until_stopped(batches, stop))


def _until_stopped(items: Iterable[T], stop: StopVotes) -> Iterator[T]:
    """Passes a worker's items on until a signal comes.

    Raises:
      Abandoned: After the last item, if a signal came to any worker; so none
        waits for a sum that another one will not take part in.
    """
    for item in items:
        if stop.votes.any():
            break
        yield item
    if distributed.any_rank(bool(stop.votes.any()), "abandon"):
        raise Abandoned


@contextlib.contextmanager
def _restored_if_abandoned(variables: list[tf.Variable]) -> Iterator[None]:
    """A run that is resumed evaluates from the same averages again."""
    before = [variable.numpy() for variable in variables]
    try:
        yield
    except Abandoned:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)
        raise
