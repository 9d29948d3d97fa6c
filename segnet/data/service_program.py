"""The data service as a program: its dispatcher, and its workers."""

from __future__ import annotations

import argparse
import os
import socket
import sys
import threading
from collections.abc import Sequence
from typing import Any

from segnet.config.validate import parse_service
from segnet.data import dispatcher
from segnet.environment import check_temporary_folder, prepare_tensorflow
from segnet.errors import ConfigError, UserError
from segnet.installation import named_as_here
from segnet.progress import say

__all__ = ["create_parser", "main"]

_DESCRIPTION = """\
Decodes and augments training images for runs of other hosts, whose cores are
too few for their accelerators: a tf.data service. It has one dispatcher, which
deals out work, and any number of workers, which do it; start several on a host
with more than 16 cores. Both run until SIGTERM or Ctrl-C ends them.

The service knows no users: whoever reaches one of its ports can have it read
and write any file that it may. TensorFlow listens on all interfaces, so keep
the ports in a network that only the hosts of the job are in.

examples
  python tools/data_service.py --role=dispatcher --port=5050
  python tools/data_service.py --role=worker --dispatcher=HOST:5050
  python main.py --data_service=HOST:5050 --data_dir=... --workdir=..."""


def main(argv: Sequence[str]) -> int:
    """Runs the program until a signal ends it.

    Args:
      argv: The arguments, the program's name first.

    Returns:
      The exit status: 1 it could not start; 2 bad flags.

    Raises:
      SystemExit: Of argparse: help was asked for, or a flag is unknown.
    """
    arguments = create_parser().parse_args(argv[1:])
    try:
        _check(arguments)
        server = _start(arguments)
    except UserError as error:
        print(f"data_service: {error}", file=sys.stderr)
        return error.exit_status
    # Not in the server's own method, in which Python takes no signals.
    threading.Event().wait()
    del server
    return 0


def create_parser() -> argparse.ArgumentParser:
    """The flags of the program."""
    parser = argparse.ArgumentParser(
        description=named_as_here(_DESCRIPTION),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--role", required=True, choices=("dispatcher", "worker")
    )
    parser.add_argument(
        "--port",
        type=int,
        help="port to listen on; default: 5050 of a dispatcher, any free one "
        "of a worker; 0: any free one",
    )
    parser.add_argument(
        "--dispatcher",
        metavar="HOST:PORT",
        help="worker: the dispatcher that gives it work",
    )
    parser.add_argument(
        "--host",
        help="worker: name or address by which runs reach this host; default: "
        "the address from which it reaches the dispatcher",
    )
    return parser


def _check(arguments: argparse.Namespace) -> None:
    """Refuses flags that do not go together, and fills in the port.

    Raises:
      ConfigError: Naming the flag and a remedy.
    """
    is_worker = arguments.role == "worker"
    if is_worker and not arguments.dispatcher:
        raise ConfigError(
            "--role=worker needs --dispatcher=HOST:PORT, which gives it work"
        )
    if is_worker:
        parse_service(arguments.dispatcher, "dispatcher")
    for name in ("dispatcher", "host"):
        if not is_worker and getattr(arguments, name):
            raise ConfigError(f"--{name} is for --role=worker")
    if arguments.port is None:
        arguments.port = 0 if is_worker else 5050
    if not 0 <= arguments.port < 2**16:
        raise ConfigError(f"--port={arguments.port} is not in 0..65535")


def _start(arguments: argparse.Namespace) -> Any:
    """Starts the server, and says where.

    Returns:
      It; it ends when nothing refers to it any more.

    Raises:
      RunError: The port cannot be had, or no dispatcher answers.
    """
    # Nothing here is for a GPU, which another process may be using.
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    prepare_tensorflow()
    check_temporary_folder()
    from segnet.data import servers

    if arguments.role == "dispatcher":
        server, port = servers.start_dispatcher(arguments.port)
        say(
            f"dispatcher: on port {port} of all interfaces; for runs "
            f"--data_service={socket.gethostname()}:{port}"
        )
        return server
    dispatcher.wait_for(arguments.dispatcher, "--dispatcher", say)
    server, address = servers.start_worker(
        arguments.dispatcher, arguments.port, arguments.host
    )
    say(f"worker: at {address}, for the dispatcher at {arguments.dispatcher}")
    return server
