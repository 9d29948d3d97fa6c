"""A worker is killed and comes back; the job goes on. Two names, one host."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT, lines, run_flags
from test_distributed_training import HOROVODRUN, needs_horovod

from segnet import elastic
from segnet.errors import ConfigError

EPOCHS = 12


def test_elastic_needs_an_elastic_launcher():
    with pytest.raises(ConfigError, match="--host-discovery-script"):
        elastic.run_elastic(lambda commit: None, [])


@pytest.mark.dist
@pytest.mark.slow
@needs_horovod
def test_a_killed_worker_does_not_end_the_job(data_dir, tmp_path):
    hosts = tmp_path / "hosts.txt"
    hosts.write_text("localhost:1\n127.0.0.1:1\n")
    workdir = tmp_path / "run"
    process = subprocess.Popen(
        [
            str(HOROVODRUN), "-np", "2", "--min-np", "1", "--max-np", "2",
            "--network-interfaces", "lo",
            "--host-discovery-script", str(ROOT / "tools/discover_hosts.sh"),
            sys.executable, str(ROOT / "main.py"),
            *run_flags(data_dir, workdir, f"--epochs={EPOCHS}")[1:],
            "--elastic",
        ],
        env={**os.environ, "SEGNET_HOSTS": str(hosts)},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip
    printed, killed = [], False
    try:
        for line in process.stdout:
            printed.append(line)
            if not killed and re.search(r"step [78]/", line):
                _kill_worker(process.pid)
                killed = True
        process.wait(timeout=300)
    finally:
        process.kill()
        process.communicate()
    text = "".join(printed)
    assert killed, text
    assert process.returncode == 0, text
    assert "2 worker(s)" in text
    assert "1 worker(s)" in text
    scored = [line for line in lines(workdir) if "val_mean_iou" in line]
    epochs = [line["epoch"] for line in scored]
    assert epochs == list(range(1, EPOCHS + 1)), text


def _kill_worker(launcher: int) -> None:
    """Sends SIGKILL to the worker with rank 1 of a launcher."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for pid in _descendants(launcher):
            try:
                environment = Path(f"/proc/{pid}/environ").read_bytes()
                command = Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:
                continue
            if (
                b"HOROVOD_HOSTNAME=127.0.0.1\0" in environment
                and command.startswith(sys.executable.encode())
                and b"main.py" in command
            ):
                os.kill(pid, signal.SIGKILL)
                return
        time.sleep(0.1)
    pytest.fail("the worker of 127.0.0.1 was not found")


def _descendants(pid: int) -> list[int]:
    """Processes started by a process, and by those, and so on."""
    listed = subprocess.run(
        ["ps", "-e", "-o", "pid=,ppid="],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    children: dict[int, list[int]] = {}
    for child, parent in zip(listed[::2], listed[1::2], strict=True):
        children.setdefault(int(parent), []).append(int(child))
    found, waiting = [], [pid]
    while waiting:
        new = children.get(waiting.pop(), [])
        found += new
        waiting += new
    return found
