"""The servers of the data service: TensorFlow's, started and named.

They listen on all interfaces: TensorFlow knows no other way.
"""

from __future__ import annotations

import socket
from typing import Any

import tensorflow as tf

from segnet.config.validate import parse_service
from segnet.errors import RunError
from segnet.files import reason
from segnet.progress import hidden_output

__all__ = ["start_dispatcher", "start_worker"]

# How long a worker tries to get through to what answers for a dispatcher.
_ANSWER_MS = 20_000


def start_dispatcher(port: int) -> tuple[Any, int]:
    """Starts a dispatcher.

    Args:
      port: To listen on; 0: any free one.

    Returns:
      The server, which ends when nothing refers to it, and its port.

    Raises:
      RunError: The port cannot be had.
    """
    service = tf.data.experimental.service
    try:
        with hidden_output():  # gRPC has its own to say of a port.
            server = service.DispatchServer(service.DispatcherConfig(port=port))
    except (tf.errors.OpError, RuntimeError) as error:
        raise _failed(port, error) from None
    return server, parse_service(server.target)[1]


def start_worker(
    dispatcher: str, port: int = 0, host: str | None = None
) -> tuple[Any, str]:
    """Starts a worker.

    Args:
      dispatcher: Where its dispatcher is, `HOST:PORT`; it answers.
      port: To listen on; 0: any free one.
      host: Name or address by which runs reach this host; None: the address
        from which it reaches the dispatcher.

    Returns:
      The server, which ends when nothing refers to it, and its `HOST:PORT`.

    Raises:
      RunError: The port cannot be had, or it is no dispatcher that answers.
    """
    service = tf.data.experimental.service
    host = host or _own_address(dispatcher)
    config = service.WorkerConfig(
        dispatcher_address="{}:{}".format(*parse_service(dispatcher)),
        worker_address=f"{host}:%port%",
        port=port,
        dispatcher_timeout_ms=_ANSWER_MS,
    )
    try:
        with hidden_output():
            server = service.WorkerServer(config)
    except (tf.errors.OpError, RuntimeError) as error:
        raise _failed(port, error) from None
    # TensorFlow has no public name for it.
    return server, f"{host}:{server._address.rpartition(':')[2]}"


def _own_address(dispatcher: str) -> str:
    """The address of this host on the way to the dispatcher."""
    host, port = parse_service(dispatcher)
    with socket.create_connection((host.strip("[]"), port)) as connection:
        address = connection.getsockname()[0]
    return f"[{address}]" if ":" in address else address


def _failed(port: int, error: Exception) -> RunError:
    return RunError(
        f"the server could not be started on port {port} ({reason(error)}); "
        "is the port taken, or another program behind --dispatcher?"
    )
