"""What the elastic launcher takes from whom: workers of its job, signed."""

from __future__ import annotations

import base64
import os
import pathlib
import pickle
import subprocess
import sys
import time
import urllib.request

import pytest
from conftest import ROOT
from horovod_launcher import HOROVODRUN, needs_horovod

from tools import horovod_addresses, patch_horovod

# Registers as a worker does, and waits to be told to stop.
_WORKER = """
import os, pathlib, sys, time
from horovod.runner.elastic.worker import WorkerNotificationManager
WorkerNotificationManager().init()
folder = pathlib.Path(sys.argv[1])
(folder / "part").write_text(os.environ["HOROVOD_GLOO_RENDEZVOUS_PORT"])
os.replace(folder / "part", folder / "port")
while not (folder / "stop").exists():
    time.sleep(0.05)
"""


class _Touch:
    """What runs code when it is unpickled."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path

    def __reduce__(self):
        return pathlib.Path.touch, (self.path,)


def _request(port: str, body: bytes | None, method: str) -> bytes:
    url = f"http://127.0.0.1:{port}/worker_addresses/localhost:0"
    request = urllib.request.Request(url, data=body, method=method)
    with urllib.request.urlopen(request, timeout=20) as response:
        return response.read()


def _listening(port: str) -> set[str]:
    """Hexadecimal IPv4 addresses on which something listens at a port."""
    rows = pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]
    ends = [row.split()[1].split(":") for row in rows if row.split()[3] == "0A"]
    return {address for address, end in ends if int(end, 16) == int(port)}


def _wait_for(path: pathlib.Path, process: subprocess.Popen) -> str:
    ends = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None and time.monotonic() < ends
        time.sleep(0.05)
    return path.read_text()


@pytest.mark.dist
@needs_horovod
def test_a_stranger_s_pickle_is_not_run_and_the_job_goes_on(tmp_path):
    (tmp_path / "hosts.txt").write_text("localhost:1\n")
    (tmp_path / "worker.py").write_text(_WORKER)
    process = subprocess.Popen(
        [str(HOROVODRUN), "-np", "1", "--min-np", "1", "--max-np", "1",
         "--network-interfaces", "lo",
         "--host-discovery-script", str(ROOT / "tools/discover_hosts.sh"),
         sys.executable, str(tmp_path / "worker.py"), str(tmp_path)],
        env={**os.environ, "SEGNET_HOSTS": str(tmp_path / "hosts.txt")},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        port = _wait_for(tmp_path / "port", process)
        # 127.0.0.1 alone, not 0.0.0.0.
        assert _listening(port) == {"0100007F"}
        registered = _request(port, None, "GET")
        evil = pickle.dumps((_Touch(tmp_path / "run"), b""))
        for body in (base64.b64encode(evil), evil, b"", b"0" * 64 + b"[]"):
            _request(port, body, "PUT")
        assert not (tmp_path / "run").exists()
        # The worker's own registration is what is there.
        assert _request(port, None, "GET") == registered
    finally:
        (tmp_path / "stop").touch()
        printed = process.communicate(timeout=60)[0]
    assert process.returncode == 0, printed
    assert printed.count("refused addresses that no worker") == 4
    assert "Traceback" not in printed


def test_addresses_come_back_as_they_were():
    value = ({"lo": [("127.0.0.1", 1234), ("127.0.0.2", 5)]}, b"\0key\xff")
    data = horovod_addresses.dumps(value)
    assert horovod_addresses.loads(data) == value
    digest, body = data[:64], data[64:]
    for other in (digest + body.replace(b"5", b"6"), body, digest, b""):
        assert horovod_addresses.loads(other) is None


@pytest.mark.parametrize(
    ("arguments", "address"),
    [
        (["--network-interfaces", "lo", "python"], "127.0.0.1"),
        (["--network-interfaces=lo"], "127.0.0.1"),
        (["-np", "2"], ""),
        (["--network-interfaces", "lo,eth7"], ""),
        (["--network-interfaces"], ""),
    ],
)
def test_servers_listen_on_the_interface_that_is_named(
    monkeypatch, arguments, address
):
    monkeypatch.delenv("HOROVOD_GLOO_IFACE", raising=False)
    monkeypatch.setattr(sys, "argv", ["horovodrun", *arguments])
    assert horovod_addresses.listen_address() == address


def test_another_horovod_is_not_patched(tmp_path):
    for name in ("elastic", "util"):
        (tmp_path / name).mkdir()
    for name, before, _ in patch_horovod._CHANGES:
        path = tmp_path / name
        path.write_text((path.read_text() if path.exists() else "") + before)
    patch_horovod.patch(tmp_path)
    once = {x: x.read_bytes() for x in tmp_path.rglob("*.py")}
    patch_horovod.patch(tmp_path)
    assert {x: x.read_bytes() for x in tmp_path.rglob("*.py")} == once
    (tmp_path / "util" / "network.py").write_text("another\n")
    with pytest.raises(ValueError, match=r"network\.py: is not that of"):
        patch_horovod.patch(tmp_path)
