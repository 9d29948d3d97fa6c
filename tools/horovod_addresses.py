"""Addresses of elastic workers, signed: a module that is put into Horovod.

Horovod 0.28.1's elastic driver unpickles the addresses that are sent to it, of
whoever can reach its port, and then connects to them with the key that came
along (CVE-2024-10190). `tools/patch_horovod.py` puts this file there as
`horovod/runner/elastic/addresses.py`, in place of what pickled: addresses are
JSON, signed with a key that the driver gives to its workers by their
environment. What has no such signature is left aside with a line.

It also says where servers listen: on the interface that is named by
`--network-interfaces`, not on all of them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import secrets
import socket
import sys
import urllib.request

import psutil

__all__ = ["dumps", "listen_address", "loads", "put_data_into_kvstore"]

_VARIABLE = "HOROVOD_ELASTIC_KEY"
_SECONDS = 60
_DIGEST_BYTES = 64
# Hosts and ports by interface, and the key that the worker is spoken to with.
_Registration = tuple[dict[str, list[tuple[str, int]]], bytes]
# The driver imports this before it copies its environment for the workers;
# these then find the key there.
os.environ.setdefault(_VARIABLE, secrets.token_hex(32))


def _digest(body: bytes) -> bytes:
    key = bytes.fromhex(os.environ[_VARIABLE])
    return hmac.new(key, body, hashlib.sha256).hexdigest().encode()


def dumps(value: _Registration) -> bytes:
    """A worker's addresses, and its key, as JSON behind its signature."""
    addresses, key = value
    text = json.dumps([addresses, base64.b64encode(key).decode()])
    return _digest(text.encode()) + text.encode()


def loads(data: bytes) -> _Registration | None:
    """What `dumps` took; None, and a line, if no worker of this job sent it."""
    digest, body = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
    if not hmac.compare_digest(digest, _digest(body)):
        print(
            "horovodrun: refused addresses that no worker of this job sent",
            file=sys.stderr,
        )
        return None
    addresses, key = json.loads(body)
    pairs = {
        name: [(host, port) for host, port in each]
        for name, each in addresses.items()
    }
    return pairs, base64.b64decode(key)


def put_data_into_kvstore(
    addr: str, port: int, scope: str, key: str, value: _Registration
) -> None:
    """Sends a worker's addresses to the driver.

    Raises:
      RuntimeError: They did not arrive.
    """
    url = f"http://{addr}:{port}/{scope}/{key}"
    request = urllib.request.Request(url, data=dumps(value), method="PUT")
    # Not by a proxy of the environment: the driver is in the same network.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(request, timeout=_SECONDS).close()
    except OSError as error:
        raise RuntimeError(f"cannot reach the driver: {error}") from error


def listen_address() -> str:
    """The IPv4 address to listen on; empty for those of all interfaces.

    It is that of the one interface which the launcher was given, in a worker
    that of Gloo.
    """
    name = os.environ.get("HOROVOD_GLOO_IFACE") or _given_interface(sys.argv)
    for address in psutil.net_if_addrs().get(name, ()):
        if address.family == socket.AF_INET:
            return address.address
    return ""


def _given_interface(argv: list[str]) -> str:
    """The value of `--network-interfaces`."""
    for flag in ("--network-interfaces", "--network-interface"):
        for position, argument in enumerate(argv):
            name, equals, value = argument.partition("=")
            if name == flag:
                return value if equals else (argv[position + 1 :] or [""])[0]
    return ""
