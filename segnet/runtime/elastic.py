"""Training that survives the loss of workers, by Horovod's elastic mode.

What Horovod 0.28 does not survive, and nothing here can change:

* A worker that dies while workers connect, as a new one does in its first
  seconds: those that wait for it abort after a time (exit status 134), and
  with them the job. The same command resumes the run.
* A worker that dies after the last sum of a run, which nobody notices: all is
  saved, but horovodrun ends with exit status 1.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

import tensorflow as tf

from segnet.errors import ConfigError
from segnet.runtime import distributed

if TYPE_CHECKING:
    from horovod.common.elastic import State

__all__ = ["run_elastic"]

T = TypeVar("T")


def run_elastic(
    function: Callable[[Callable[[], None]], T],
    variables: Sequence[tf.Variable],
    initialise: Callable[[], None] = lambda: None,
) -> T:
    """Runs a function that goes on when workers leave or join.

    When a worker is lost, the others go back to the last commit and call the
    function again; when one joins, at the next commit. Before each call the
    variables get rank 0's values on all workers.

    Args:
      function: Takes `commit`, to be called when the variables are worth
        going back to; it may not return.
      variables: All that the function goes on from.
      initialise: Gives the variables their start. Called on rank 0, unless
        it has received them from others before: not only at the beginning,
        since all others may be lost while a worker joins them.

    Returns:
      What the function returned.

    Raises:
      ConfigError: If the launcher is not an elastic one.
      RuntimeError: If Horovod ends the run before the function has returned.
    """
    if not distributed.launched().elastic:
        raise ConfigError(
            "--elastic needs a launcher that can replace workers: horovodrun "
            "--min-np 1 --max-np N --host-discovery-script SCRIPT python "
            "main.py --elastic ..."
        )
    # Not horovod.tensorflow.elastic.run: in Horovod 0.28 it drops an
    # UnknownError that it does not recognise, as if the function had returned.
    from horovod.common.elastic import run_fn
    from horovod.common.exceptions import HostsUpdatedInterrupt

    results: list[T] = []

    def call(state: State) -> None:
        try:
            with _lost_workers_known():
                results.append(function(state.commit))
        except HostsUpdatedInterrupt as interrupt:
            # Horovod would not synchronise where hosts were only removed. But
            # by now others may have joined, and they do.
            raise HostsUpdatedInterrupt(skip_sync=False) from interrupt

    run_fn(call, _reset)(_create_state(variables, initialise))
    if not results:
        raise RuntimeError("Horovod ended the elastic run before its time")
    return results[0]


def _create_state(
    variables: Sequence[tf.Variable], initialise: Callable[[], None]
) -> State:
    """What Horovod saves, restores and synchronises for `run_elastic`."""
    from horovod.common.elastic import State

    class VariablesState(State):
        """The last commit, in host memory."""

        synchronised = False

        def save(self) -> None:
            self._values = [variable.numpy() for variable in variables]

        def restore(self) -> None:
            for variable, value in zip(variables, self._values, strict=True):
                variable.assign(value)

        def sync(self) -> None:
            if distributed.is_chief() and not self.synchronised:
                initialise()
            with _lost_workers_known():
                distributed.broadcast_variables(variables)
            self.synchronised = True
            self.save()

        def reset(self) -> None:
            """Nothing depends on the number of workers."""

    state = VariablesState(
        bcast_object=distributed.broadcast_json, get_rank=distributed.rank
    )
    state.save()
    return state


@contextlib.contextmanager
def _lost_workers_known() -> Iterator[None]:
    """Turns the error of a lost worker into the one that Horovod knows."""
    from horovod.common.exceptions import HorovodInternalError

    try:
        yield
    except tf.errors.UnknownError as error:
        if distributed.is_worker_lost(error):
            raise HorovodInternalError(str(error)) from error
        raise


def _reset() -> None:
    """Leaves the workers there were for those there are."""
    distributed.shutdown()
    distributed.init()
