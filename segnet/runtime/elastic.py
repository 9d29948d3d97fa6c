"""Training that survives the loss of workers, by Horovod's elastic mode."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

from segnet.errors import ConfigError
from segnet.runtime import distributed

__all__ = ["run_elastic"]


def run_elastic(
    function: Callable[[Callable[[], None]], None],
    variables: Sequence[tf.Variable],
) -> None:
    """Runs a function that goes on when workers leave or join.

    When a worker is lost, the others go back to the last commit and call the
    function again; when one joins, at the next commit. Before each call the
    variables get rank 0's values on all workers.

    Args:
      function: Takes `commit`, to be called when the variables are worth
        going back to; it may not return.
      variables: All that the function goes on from.

    Raises:
      ConfigError: If the launcher is not an elastic one.
    """
    if not distributed.launched().elastic:
        raise ConfigError(
            "--elastic needs a launcher that can replace workers: horovodrun "
            "--min-np 1 --max-np N --host-discovery-script SCRIPT python "
            "main.py --elastic ..."
        )
    import horovod.tensorflow as hvd
    from horovod.common.elastic import State
    from horovod.common.exceptions import HorovodInternalError

    class VariablesState(State):
        """The last commit, in host memory."""

        def save(self) -> None:
            self._values = [variable.numpy() for variable in variables]

        def restore(self) -> None:
            for variable, value in zip(variables, self._values, strict=True):
                variable.assign(value)

        def sync(self) -> None:
            distributed.broadcast_variables(variables)
            self.save()

        def reset(self) -> None:
            """Nothing depends on the number of workers."""

    def call(state: VariablesState) -> None:
        try:
            function(state.commit)
        except tf.errors.OpError as error:
            # Traced functions pass Horovod's error on as one of TensorFlow's.
            if distributed.is_worker_lost(error):
                raise HorovodInternalError(str(error)) from error
            raise

    state = VariablesState(
        bcast_object=distributed.broadcast_json, get_rank=distributed.rank
    )
    state.save()
    hvd.elastic.run(call)(state)
