"""Who a process is, told so that one of another machine can know it."""

from __future__ import annotations

import dataclasses
import os
import secrets
import socket
import time

__all__ = ["Process"]


@dataclasses.dataclass(frozen=True)
class Process:
    """A process, as another one can know it.

    Attributes:
      host: Name of the machine.
      process: Number of the process.
      since: Date and time there, for people to read.
      machine: The kernel that runs, and the processes that it shows: equal for
        two processes that know each other's numbers.
      begun: When the process began, in the kernel's own measure: numbers of
        processes are used again.
      token: Of this one description.
    """

    host: str
    process: int
    since: str
    machine: str
    begun: str
    token: str

    @classmethod
    def this(cls) -> Process:
        """This process, with a new token."""
        return cls(
            host=socket.gethostname(),
            process=os.getpid(),
            since=time.strftime("%Y-%m-%d %H:%M:%S"),
            machine=_machine(),
            begun=_begun(os.getpid()),
            token=secrets.token_hex(8),
        )

    def __str__(self) -> str:
        """For people to read."""
        return f"host {self.host}, process {self.process}, since {self.since}"

    def has_gone(self) -> bool:
        """Whether it was a process of this machine that is no more."""
        return (
            bool(self.begun)
            and self.machine == _machine()
            and _begun(self.process) != self.begun
        )


def _machine() -> str:
    """The running kernel and this process's PID namespace; or a host name."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            boot = file.read().strip()
        return f"{boot} {os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:  # macOS
        return socket.gethostname()


def _begun(process: int) -> str:
    """When a process began; empty where that is not known, or it has gone."""
    try:
        with open(f"/proc/{process}/stat") as file:
            # The name of the program, in brackets, may have spaces.
            state, *others = file.read().rpartition(")")[2].split()
        return "" if state == "Z" else others[18]
    except (OSError, ValueError, IndexError):
        return ""
