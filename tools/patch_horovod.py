"""Makes the Horovod of this environment refuse what strangers send.

`python tools/patch_horovod.py`; see `horovod_addresses.py` for what it mends.
Done again it changes nothing. Exits with 1, and a line, where Horovod is not
the version that it knows.
"""

from __future__ import annotations

import importlib.util
import pathlib
import sys

__all__ = ["main", "patch"]

_MODULE = pathlib.Path(__file__).with_name("horovod_addresses.py")
_IMPORT = "from horovod.runner.elastic import addresses"
# Of each file, what is there and what is to be.
_CHANGES = (
    (
        "elastic/rendezvous.py",
        "from horovod.runner.common.util import codec\n",
        f"{_IMPORT} as signed\n",
    ),
    (
        "elastic/rendezvous.py",
        "                addresses, secret_key = codec.loads_base64(value)\n",
        "                found = signed.loads(value)\n"
        "                if found is None:\n"
        "                    return\n"
        "                addresses, secret_key = found\n",
    ),
    (
        "elastic/worker.py",
        "from horovod.runner.http.http_client import put_data_into_kvstore\n",
        f"{_IMPORT}\nput_data_into_kvstore = addresses.put_data_into_kvstore\n",
    ),
    (
        "util/network.py",
        "            addr = ('', port)\n",
        f"            {_IMPORT}\n"
        "            addr = (addresses.listen_address(), port)\n",
    ),
)


def patch(runner: pathlib.Path) -> None:
    """Changes the folder `horovod/runner` of an installation.

    Raises:
      ValueError: A file does not have what is to be replaced.
    """
    changed: dict[pathlib.Path, str] = {}
    for name, before, after in _CHANGES:
        path = runner / name
        text = changed.get(path) or path.read_text()
        if after not in text:
            if text.count(before) != 1:
                raise ValueError(f"{path}: is not that of Horovod 0.28.1")
            changed[path] = text.replace(before, after)
    target = runner / "elastic" / "addresses.py"
    target.write_bytes(_MODULE.read_bytes())
    for path, text in changed.items():
        path.write_text(text)


def main() -> int:
    """Runs the program; returns the exit status."""
    found = importlib.util.find_spec("horovod")
    if found is None or found.origin is None:
        print("patch_horovod: Horovod is not installed", file=sys.stderr)
        return 1
    try:
        patch(pathlib.Path(found.origin).parent / "runner")
    except (OSError, ValueError) as error:
        print(f"patch_horovod: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
