"""Whether the dispatcher of a data service answers.

TensorFlow's own client and workers wait for it for an hour without a word.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from segnet.config.validate import parse_service
from segnet.errors import RunError
from segnet.progress import command_line

__all__ = ["is_reachable", "unreachable", "wait_for"]

# How long it may take to be started.
START_SECONDS = 60.0
_CONNECT_SECONDS = 3.0
_LOOK_SECONDS = 1.0


def is_reachable(address: str) -> bool:
    """Whether something listens at `HOST:PORT`, or `grpc://HOST:PORT`."""
    host, port = parse_service(address)
    place = (host.strip("[]"), port)
    try:
        socket.create_connection(place, _CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


def wait_for(
    address: str, flag: str, tell: Callable[[str], None] = lambda line: None
) -> None:
    """Waits for a dispatcher, which may be started at the same time.

    Args:
      address: Of it.
      flag: That has it, with its dashes.
      tell: Called with one line if there is something to wait for.

    Raises:
      RunError: It does not answer.
    """
    give_up = time.monotonic() + START_SECONDS
    told = False
    while not is_reachable(address):
        if time.monotonic() > give_up:
            raise unreachable(address, flag)
        if not told:
            told = True
            tell(
                f"{flag}={address}: no dispatcher answers yet, waiting "
                f"up to {START_SECONDS:.0f} s"
            )
        time.sleep(_LOOK_SECONDS)


def unreachable(address: str, flag: str = "--data_service") -> RunError:
    """What is raised when none answers; the flag has its dashes."""
    command = command_line("tools/data_service.py", "--role=dispatcher")
    here = ", or decode here with --data_service="
    return RunError(
        f"{flag}={address}: no dispatcher answers there; start it with "
        f"{command}{here if flag == '--data_service' else ''}"
    )
