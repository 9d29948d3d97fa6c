"""What the tests of tools/download_dataset.sh share: a site and its files."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import random
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from download_server import Answer, DownloadServer, serve

__all__ = [
    "QUOTA",
    "SCRIPT",
    "WEIGHTS",
    "WEIGHTS_FILE",
    "WEIGHTS_PART",
    "ZIP_PART",
    "Site",
    "archive",
    "assert_one_line",
    "create_site",
    "names",
]

SCRIPT = Path(__file__).parents[1] / "tools" / "download_dataset.sh"
WEIGHTS_FILE = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
WEIGHTS = b"\x89HDF\r\n\x1a\n" + random.Random(0).randbytes(200_000)
WEIGHTS_PART = f".{WEIGHTS_FILE}.part"
ZIP_PART = ".dataset1.zip.part"
QUOTA = b"""<html><head><title>Google Drive - Quota exceeded</title></head>
<body>Sorry, you can't view or download this file at this time.</body></html>"""


class Site:
    """The script in an environment whose every address is on loopback.

    Attributes:
      server: Where the addresses lead.
      environment: All the environment that the script gets.
      top: Its working directory.
      folder: Where downloads go; not there at first, with spaces in its name.
    """

    def __init__(self, server: DownloadServer, top: Path) -> None:
        self.server = server
        self.top = top
        self.folder = top / "data of mine"
        (top / "home").mkdir()
        self.environment = {
            # This very Python: a version manager's stand-in takes its time.
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(top / "home"),
            "NO_PROXY": "127.0.0.1",
            "SEGNET_DATASET1_URL": server.url + "/dataset1",
            "SEGNET_VGG16_URL": server.url + "/vgg16",
            "SEGNET_VGG16_MD5": hashlib.md5(WEIGHTS).hexdigest(),
            "SEGNET_VGG16_BYTES": str(len(WEIGHTS)),
        }

    def run(
        self, *arguments: object, **changes: str
    ) -> subprocess.CompletedProcess:
        """Runs the script; `changes` are made to its environment."""
        return subprocess.run(
            ["bash", SCRIPT, *map(str, arguments)],
            env=self.environment | changes,
            cwd=self.top,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def fetch(self, what: str, **changes: str) -> subprocess.CompletedProcess:
        """Runs the script for `what` into `folder`."""
        return self.run(what, self.folder, **changes)

    def put(self, name: str, content: bytes) -> Path:
        """Writes a file into `folder` before the script runs."""
        self.folder.mkdir(exist_ok=True)
        path = self.folder / name
        path.write_bytes(content)
        return path


@contextlib.contextmanager
def create_site(top: Path) -> Iterator[Site]:
    """Serves good weights and a good archive for the length of a block."""
    with serve() as server:
        server.answers["/vgg16"] = Answer(WEIGHTS)
        server.answers["/dataset1"] = Answer(archive())
        yield Site(server, top)


def archive(
    extra: dict[str | zipfile.ZipInfo, bytes] | None = None,
    leave_out: str = "nothing",
) -> bytes:
    """A zip laid out like dataset1: three pairs to train, one to test."""
    random_bytes = random.Random(1).randbytes
    members = {"dataset1/": b"", "dataset1/readme.txt": b"about"}
    for split, count in (("train", 3), ("test", 1)):
        for kind in ("images", "annotations"):
            place = f"dataset1/{kind}_prepped_{split}"
            members[place + "/"] = b""
            for index in range(count):
                members[f"{place}/{index:04d}.png"] = random_bytes(20_000)
    members["__MACOSX/dataset1/images_prepped_train/._0000.png"] = b"mac"
    members["dataset1/images_prepped_train/.DS_Store"] = b"mac"
    members = {k: v for k, v in members.items() if leave_out not in k}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as opened:
        for name, content in (members | (extra or {})).items():
            # A ZipInfo has a fixed date, a name would get today's: the same
            # bytes each time.
            if isinstance(name, str):
                name = zipfile.ZipInfo(name)
            opened.writestr(name, content)
    return file.getvalue()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def assert_one_line(
    done: subprocess.CompletedProcess, *parts: str, status: int = 1
) -> None:
    """One line on stderr with every part, that status, no result on stdout."""
    assert done.returncode == status, done
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("download_dataset.sh: error: ")
    for part in parts:
        assert part in done.stderr
    assert "done:" not in done.stdout
