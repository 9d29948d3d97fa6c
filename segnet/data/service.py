"""Batches that a tf.data service makes, in the order of the run.

The service deals the steps of a stage out to its workers, and each batch comes
back whole and with the number of its step. So what a worker took along when it
died is known, and made here; and batches are put back in order. A run sees what
it would see without the service, each record as often, whoever decodes it.

TensorFlow's client waits for a service for an hour, in code that nothing
interrupts. So a thread of its own reads, and what waits for it here looks
whether the dispatcher still answers.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import tensorflow as tf

# Not public, and the only way to end a wait inside an operation.
from tensorflow.python.eager import cancellation

from segnet.config.validate import parse_service
from segnet.data.dispatcher import is_reachable, unreachable
from segnet.errors import RunError
from segnet.files import reason
from segnet.progress import say
from segnet.records.reading import pipeline_options

__all__ = ["Batch", "in_order"]

Batch = tuple[tf.Tensor, tf.Tensor]

# How long nothing may come while the dispatcher answers: until workers have
# started and made their first batches. TensorFlow's dispatcher gives a worker
# up after a minute.
SILENT_SECONDS = 120.0
# How long the dispatcher may be away. It is for the network to come back: a
# dispatcher that is started again has forgotten all jobs.
ABSENT_SECONDS = 10.0
_LOOK_SECONDS = 1.0
# Batches that have come and wait for the device.
_AHEAD = 4
# What may have come before the batch that is due has: then that one is taken
# for lost. As many bytes, but not more batches.
_HELD_BYTES = 2**32
_HELD_BATCHES = 256
# Batches that may be missing at the end of all others: those of a worker that
# died, and not of a service that has no workers left.
_FEW = 16


def in_order(
    dataset: tf.data.Dataset,
    address: str,
    steps: range,
    *,
    batch_bytes: int,
    read: Callable[[Iterable[Any]], Iterator[Any]],
    make: Callable[[int], Batch],
    lost: Callable[[RunError], None],
) -> Iterator[Batch]:
    """Has a service make the batches of some steps.

    Args:
      dataset: Of `datasets.create_served_dataset`.
      address: Of the dispatcher.
      steps: Those of the dataset.
      batch_bytes: Of one batch as it comes.
      read: Iterates over a dataset and explains its errors.
      make: Makes the batch of a step here.
      lost: Called once the service is of no use any more, with why. What is
        asked for after that is made here, as slow as that may be, so that
        the caller can end where all workers agree to.

    Yields:
      Images and int32 labels, each step's in turn.
    """
    most = max(_FEW, min(_HELD_BATCHES, _HELD_BYTES // batch_bytes))
    with contextlib.closing(_Served(dataset, address)) as served:
        arrivals = _Arrivals(read(served), address, steps.stop, most, lost)
        for due in steps:
            batch = arrivals.take(due)
            yield make(due) if batch is None else batch


class _Arrivals:
    """Batches that have come, some of them before their turn."""

    def __init__(
        self,
        elements: Iterator[Any],
        address: str,
        end: int,
        most: int,
        lost: Callable[[RunError], None],
    ) -> None:
        """Nothing has come yet.

        Args:
          elements: (step, images, labels) as they come.
          address: See `in_order`.
          end: Step at which they end.
          most: That are held before the one that is due is given up.
          lost: See `in_order`.
        """
        self._elements = elements
        self._address = address
        self._end = end
        self._most = most
        self._lost = lost
        self._held: dict[int, Batch] = {}
        self._has_begun = self._is_over = self._is_told = False

    def take(self, due: int) -> Batch | None:
        """The batch of the step that is due; None if it will not come."""
        while (
            due not in self._held
            and not self._is_over
            and len(self._held) < self._most
        ):
            self._receive(due)
        if due not in self._held and not self._is_told:
            self._is_told = True
            say(
                f"--data_service={self._address}: a batch did not come (has a "
                "worker of the service ended?); such batches are made here"
            )
        return self._held.pop(due, None)

    def _receive(self, due: int) -> None:
        """Waits for one batch, or for what ends them all."""
        try:
            step, images, labels = next(self._elements)
        except StopIteration:
            self._is_over = True
        except _Silent as silence:
            self._is_over = True
            num_missing = self._end - due - len(self._held)
            if num_missing > _FEW or not self._has_begun:
                self._give_up(RunError(str(silence)))
        except (RunError, tf.errors.OpError) as error:
            self._is_over = True
            self._give_up(_explained(error, self._address))
        else:
            self._has_begun = True
            # One that was taken for lost may still come.
            if int(step.numpy()) >= due:
                self._held[int(step.numpy())] = (images, labels)

    def _give_up(self, error: RunError) -> None:
        self._is_told = True
        self._lost(error)


class _Silent(Exception):
    """The dispatcher answers, but nothing has come for a long time."""


class _Served:
    """Iterates over what a service makes of a dataset; once."""

    def __init__(self, dataset: tf.data.Dataset, address: str) -> None:
        """Begins to read."""
        self._dataset = dataset
        self._address = address
        # Elements, then None at the end, or the error that ended it.
        self._elements: queue.Queue[Any] = queue.Queue(_AHEAD)
        self._closed = threading.Event()
        self._cancellation = cancellation.CancellationManager()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends the reading, whatever it waits for."""
        self._closed.set()
        self._cancellation.start_cancel()
        # So that the service is told, unless it does not answer.
        self._thread.join(3 * _LOOK_SECONDS)

    def __iter__(self) -> Iterator[Any]:
        """Gives the elements as they come.

        Raises:
          _Silent: Nothing comes.
          RunError: The dispatcher does not answer.
          tf.errors.OpError: What went wrong in the service.
        """
        while (element := self._wait()) is not None:
            if isinstance(element, Exception):
                raise element
            yield element

    def _wait(self) -> Any:
        """The next element, or what has come in its place."""
        since = answered = time.monotonic()
        while True:
            with contextlib.suppress(queue.Empty):
                return self._elements.get(timeout=_LOOK_SECONDS)
            now = time.monotonic()
            if is_reachable(self._address):
                answered = now
            if now - answered > ABSENT_SECONDS:
                raise unreachable(self._address)
            if now - since > SILENT_SECONDS:
                raise _Silent(
                    f"--data_service={self._address}: its dispatcher answers, "
                    f"but no batch came for {SILENT_SECONDS:.0f} s; are "
                    "workers of it running, and can they be reached from here?"
                )

    def _read(self) -> None:
        """Puts everything into the queue; a thread."""
        try:
            # Whatever computes: batches are made and sent by hosts.
            with tf.device("/device:CPU:0"):
                for element in self._served():
                    self._put(element)
                    if self._closed.is_set():
                        return
            self._put(None)
        except Exception as error:
            self._put(error)

    def _put(self, element: Any) -> None:
        while not self._closed.is_set():
            with contextlib.suppress(queue.Full):
                self._elements.put(element, timeout=_LOOK_SECONDS)
                return

    def _served(self) -> Iterator[Any]:
        """The elements, straight from TensorFlow's client."""
        dataset = self._dataset.apply(
            tf.data.experimental.service.distribute(
                # The elements of the first dataset of all, the steps, are
                # dealt out: each to one worker.
                tf.data.experimental.service.ShardingPolicy.DYNAMIC,
                "grpc://{}:{}".format(*parse_service(self._address)),
                # Photographs become hardly smaller, and unpacking them would
                # take from the cores that are too few.
                compression=None,
            )
        )
        dataset = dataset.map(_with_int32_labels).with_options(
            pipeline_options()
        )
        iterator = iter(dataset)
        get_next = tf.function(iterator.get_next, autograph=False)
        get_next = self._cancellation.get_cancelable_function(
            get_next.get_concrete_function()
        )
        while True:
            try:
                element = get_next()
            except tf.errors.OutOfRangeError:
                return
            yield element


@tf.autograph.experimental.do_not_convert
def _with_int32_labels(
    step: tf.Tensor, images: tf.Tensor, labels: tf.Tensor
) -> tuple[tf.Tensor, ...]:
    return step, images, tf.cast(labels, tf.int32)


def _explained(error: Exception, address: str) -> RunError:
    """What the user can do about an error of the service."""
    if isinstance(error, RunError):
        return error
    return RunError(
        f"--data_service={address}: {reason(error)}; its hosts need the files "
        "of --data_dir at the same path, and this version of segnet"
    )
