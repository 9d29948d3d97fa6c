"""Two hosts on one machine: namespaces of the kernel that a cable joins.

Each host has a network, a name, processes and mounts of its own, and an sshd
that lets the other one in by a key made for the test. Folders are shared, as
on a shared file system. A host is a process: when it ends, the kernel ends all
that runs on the host and takes the namespaces away. It ends with the program
that made it, also if that one is killed. Needs root, Linux's `unshare`,
`nsenter` and `setpriv` (util-linux), `ip` (iproute2), sshd and ssh.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["INTERFACE", "NAMES", "Host", "two_hosts", "what_is_missing"]

NAMES = ("hostA", "hostB")
INTERFACE = "eth0"
# Of networks that documents and tests may use (RFC 5737): in no other one.
_ADDRESSES = ("192.0.2.1", "192.0.2.2")
_PROGRAMS = {
    "ip": "iproute2",
    "sshd": "openssh-server",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
}
# Seconds that a host, or its sshd, may take to start.
_START_SECS = 30
_SSH_CONFIG = """\
Host *
  IdentityFile {folder}/key
  UserKnownHostsFile /dev/null
  StrictHostKeyChecking no
  ServerAliveInterval 5
  ServerAliveCountMax 3
"""
_SSHD_CONFIG = """\
ListenAddress {address}
HostKey {folder}/key
AuthorizedKeysFile {folder}/key.pub
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
PidFile none
ClientAliveInterval 5
ClientAliveCountMax 3
"""
# Within the host: a name, files of its own in place of the machine's, no disk
# touched, then the loopback interface and sshd.
_BOOT = """\
set -e
hostname "$1"
mount -t tmpfs tmpfs /run
mkdir /run/sshd
mount --bind "$2/hosts" /etc/hosts
mount --bind "$2/ssh_config" /etc/ssh/ssh_config
ip link set lo up
exec sleep infinity
"""


@functools.cache
def what_is_missing() -> str:
    """Why there can be no two hosts here; empty: there can."""
    if os.geteuid() != 0:
        return "two hosts on one machine need root"
    for program, package in _PROGRAMS.items():
        if shutil.which(program) is None:
            return f"{program} is missing: apt-get install {package}"
    tried = subprocess.run(
        ["unshare", "--net", "--uts", "--mount", "--pid", "--fork",
         "--mount-proc", "sh", "-c",
         "mount -t tmpfs tmpfs /run && ip link add eth0 type veth peer eth1"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if tried.returncode:
        return f"no namespaces can be made here: {tried.stderr.strip()}"
    return ""


class Host:
    """One of the hosts, while `two_hosts` lasts.

    Attributes:
      name: By which the hosts know each other.
      pid: Of its first process, as this machine counts.
    """

    def __init__(self, name: str, folder: Path) -> None:
        """Starts the host, without a network yet.

        Raises:
          RuntimeError: It did not start.
        """
        self.name = name
        log = folder / f"{name}.log"
        with log.open("w") as file:
            self._unshare = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "--uts",
                 "--mount", "--pid", "--fork", "--kill-child=KILL",
                 "--mount-proc", "sh", "-c", _BOOT, "sh", name, str(folder)],
                stderr=file,
            )  # fmt: skip
        try:
            self.pid = int(_soon(self._first_process, f"{name}: see {log}"))
            _soon(self._is_up, f"{name} did not start: see {log}")
        except Exception:
            self._unshare.kill()
            self._unshare.wait()
            raise

    def _first_process(self) -> str:
        pid = self._unshare.pid
        return Path(f"/proc/{pid}/task/{pid}/children").read_text()

    def _is_up(self) -> bool:
        return b"sleep" in Path(f"/proc/{self.pid}/cmdline").read_bytes()

    def command(self, arguments: Sequence[object]) -> list[str]:
        """The command that runs another one on this host."""
        # Which would begin in the root of the host's files.
        return ["nsenter", f"--target={self.pid}", "--all", "--", "env",
                f"--chdir={Path.cwd()}", *map(str, arguments)]  # fmt: skip

    def run(self, *arguments: object) -> None:
        """Runs a short command on this host.

        Raises:
          CalledProcessError: It failed.
        """
        subprocess.run(self.command(arguments), check=True)

    def start(
        self,
        arguments: Sequence[object],
        *,
        env: Mapping[str, str] | None,
        **options: Any,
    ) -> subprocess.Popen[str]:
        """Starts a command on this host, as `subprocess.Popen` does."""
        return subprocess.Popen(
            self.command(arguments), env=env, text=True, **options
        )

    def set_link(self, state: str) -> None:
        """Pulls the cable out (`down`), or puts it in again (`up`)."""
        self.run("ip", "link", "set", INTERFACE, state)

    def set_link_speed(self, gigabits: float, delay_ms: float) -> float:
        """Slows down what this host sends.

        Args:
          gigabits: Gbit/s, with the headers of packets.
          delay_ms: Milliseconds that each packet takes, beside that.

        Returns:
          The delay that was set: 0 where the kernel has no netem.
        """
        rate = f"{gigabits * 1000:.0f}mbit"
        queue = ["tc", "qdisc", "replace", "dev", INTERFACE, "root"]
        delayed = subprocess.run(
            self.command([*queue, "netem", "rate", rate, "delay",
                          f"{delay_ms}ms", "limit", "100000"]),
            capture_output=True, check=False,
        )  # fmt: skip
        if delayed.returncode == 0:
            return delay_ms
        self.run(
            *queue, "tbf", "rate", rate, "burst", "256kb", "latency", "100ms"
        )
        return 0.0

    def set_link_free(self) -> None:
        """Takes back what `set_link_speed` has set."""
        self.run("tc", "qdisc", "delete", "dev", INTERFACE, "root")

    def sent_bytes(self) -> int:
        """Bytes that this host has sent, with the headers of packets."""
        shown = subprocess.run(
            self.command(["ip", "-s", "-j", "link", "show", INTERFACE]),
            capture_output=True, check=True,
        )  # fmt: skip
        return json.loads(shown.stdout)[0]["stats64"]["tx"]["bytes"]

    def end(self) -> None:
        """Ends the host and all that runs on it."""
        # With its first process the kernel ends the others.
        os.kill(self.pid, signal.SIGKILL)
        self._unshare.wait()


@contextlib.contextmanager
def two_hosts(folder: Path) -> Iterator[tuple[Host, Host]]:
    """Makes `hostA` and `hostB`, and takes them away again.

    Args:
      folder: Where keys and files of the hosts are put; exists.
    """
    _write_files(folder)
    with contextlib.ExitStack() as stack:
        hosts = []
        for name in NAMES:
            hosts.append(Host(name, folder))
            stack.callback(hosts[-1].end)
        first, second = hosts
        subprocess.run(
            ["ip", "link", "add", INTERFACE, "netns", str(first.pid), "type",
             "veth", "peer", "name", INTERFACE, "netns", str(second.pid)],
            check=True,
        )  # fmt: skip
        for host, address in zip(hosts, _ADDRESSES, strict=True):
            host.run("ip", "address", "add", f"{address}/24", "dev", INTERFACE)
            host.set_link("up")
            host.run(shutil.which("sshd"), "-f", folder / f"sshd-{host.name}")
        for host, name in zip(hosts, reversed(NAMES), strict=True):
            _soon(
                lambda host=host, name=name: _reaches(host, name),
                f"{host.name} cannot reach {name} by ssh",
            )
        yield first, second


def _write_files(folder: Path) -> None:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "two hosts",
         "-f", str(folder / "key")],
        check=True,
    )  # fmt: skip
    lines = [
        "127.0.0.1 localhost",
        *map(" ".join, zip(_ADDRESSES, NAMES, strict=True)),
    ]
    (folder / "hosts").write_text("\n".join(lines) + "\n")
    (folder / "ssh_config").write_text(_SSH_CONFIG.format(folder=folder))
    for name, address in zip(NAMES, _ADDRESSES, strict=True):
        (folder / f"sshd-{name}").write_text(
            _SSHD_CONFIG.format(folder=folder, address=address)
        )


def _reaches(host: Host, name: str) -> bool:
    command = host.command(["ssh", name, "true"])
    return subprocess.run(command, check=False).returncode == 0


def _soon(condition: Any, otherwise: str) -> Any:
    """Waits until a function returns something true, and returns that."""
    end = time.monotonic() + _START_SECS
    while not (value := condition()):
        if time.monotonic() > end:
            raise RuntimeError(otherwise)
        time.sleep(0.05)
    return value
