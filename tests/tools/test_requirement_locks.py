"""The files by whose hashes packages are installed, against what they lock."""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "requirements"
SOURCES = {"run": ROOT / "requirements.txt"} | {
    path.stem: path for path in FOLDER.glob("*.txt")
}
# Of these uv has found what they need, besides what they name.
RESOLVED = {"hpu", "hpu-test"}


def pins(path: pathlib.Path) -> set[str]:
    """What a file pins, and those that it includes: name==version."""
    found = set()
    for line in path.read_text().splitlines():
        if line.startswith("-r "):
            found |= pins(path.parent / line[3:])
        elif line and line[0] not in "#-":
            found.add(line.partition(" ;")[0].replace(" ", "").lower())
    return found


def locked(path: pathlib.Path) -> dict[str, int]:
    """The hashes of each package of a lock file."""
    found: dict[str, int] = {}
    package = ""
    for line in path.read_text().splitlines():
        if line.startswith("    --hash=sha256:"):
            assert re.fullmatch(r" {4}--hash=sha256:[0-9a-f]{64}( \\)?", line)
            found[package] += 1
        elif not line.startswith("#"):
            package = re.split(r"[ ;\\]", line)[0]
            assert re.fullmatch(r"[a-z0-9-]+==[\w.]+", package), line
            found[package] = 0
    return found


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_a_lock_has_what_its_file_pins_with_hashes(name):
    there = locked(FOLDER / f"{name}.lock")
    wanted = pins(SOURCES[name])
    remedy = "run `make lock`"
    assert wanted <= there.keys(), remedy
    if name not in RESOLVED:
        assert wanted == there.keys(), remedy
    assert all(there.values())


def test_a_file_of_another_hash_is_refused(tmp_path):
    """By pip, and in the way that the set-up calls it."""
    setup = (ROOT / "tools" / "setup_env.sh").read_text()
    assert setup.count("--require-hashes") == setup.count("pip install --")
    (tmp_path / "segnet_hash_test-1.0-py3-none-any.whl").write_bytes(b"other")
    lock = tmp_path / "x.lock"
    lock.write_text(f"segnet-hash-test==1.0 --hash=sha256:{'0' * 64}\n")
    result = subprocess.run(
        [sys.executable, "-m", "pip", "--isolated", "install", "--no-index",
         "--no-deps", "--require-hashes", f"--find-links={tmp_path}",
         f"--target={tmp_path / 'target'}", "-r", lock],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 1
    assert "DO NOT MATCH THE HASHES" in result.stderr
    assert not (tmp_path / "target").exists()
