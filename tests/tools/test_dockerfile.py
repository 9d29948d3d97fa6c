"""The steps of the Dockerfile, with a pip that notes what it is asked for.

No container can be run here. The steps are run in a folder that stands for its
root, with a Python that is a shell script.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT

# A Python of a version, whose environments have a copy of it.
PYTHON = """\
#!/bin/bash
case "$*" in
  -c*ensurepip*) ;;
  -c*version_info*) echo {version} ;;
  -VV) echo Python {version} ;;
  "-m pip --version") ;;
  "-m venv"*) mkdir -p "${{@: -1}}/bin" && cp "$0" "${{@: -1}}/bin/python" &&
    touch "${{@: -1}}/pyvenv.cfg" ;;
  "-m pip install"*) echo "${{@:4}}" >>{log} ;;
  *) echo "unexpected: $*" >&2; exit 1 ;;
esac
"""
LOCKED = "--quiet --no-deps --require-hashes --only-binary=:all: -r"


def _steps() -> list[tuple[str, str]]:
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", "")
    lines = [x for x in text.splitlines() if x and not x.startswith("#")]
    return [tuple(line.split(" ", 1)) for line in lines]


class _Container:
    """A folder in the place of the root of a container."""

    def __init__(self, root: Path, device: str, version: str) -> None:
        self.root, self.log = root, root / "pip.log"
        self.folder = root
        self.variables = {"DEVICE": device, "PATH": f"{root}/bin:/usr/bin:/bin"}
        for name in {"python3", f"python{version}"}:
            path = root / "bin" / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(PYTHON.format(version=version, log=self.log))
            path.chmod(0o755)

    def _value(self, text: str) -> str:
        """What variables stand for, and paths of the container."""
        found = re.sub(r"\$\{(\w+)\}", lambda m: self.variables[m[1]], text)
        return found.replace("/opt/", f"{self.root}/opt/")

    def run(self, kind: str, rest: str) -> None:
        if kind == "ENV":
            name, value = rest.split("=", 1)
            self.variables[name] = self._value(value)
        elif kind == "WORKDIR":
            self.folder = Path(self._value(rest))
            if self.folder.is_relative_to(self.root):
                self.folder.mkdir(parents=True, exist_ok=True)
        elif kind == "COPY":
            *sources, target = rest.split()
            for source in sources:
                self._copy(ROOT / source, self.folder / target)
        elif kind == "RUN":
            subprocess.run(
                ["bash", "-c", rest], cwd=self.folder, env=self.variables,
                check=True, timeout=60,
            )  # fmt: skip
        else:
            assert kind in ("ARG", "FROM", "ENTRYPOINT", "CMD")

    def _copy(self, source: Path, target: Path) -> None:
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, target, ignore=ignored)
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)


@pytest.mark.parametrize(
    ("device", "version", "locks"),
    [
        ("cpu", "3.11", ["run"]),
        ("gpu", "3.11", ["run", "gpu"]),
        ("hpu", "3.10", ["hpu"]),
    ],
)
def test_an_image_has_what_make_setup_installs(
    tmp_path, device, version, locks
):
    container = _Container(tmp_path, device, version)
    for kind, rest in _steps():
        container.run(kind, rest)
    *installed, last = container.log.read_text().splitlines()
    assert installed == [f"{LOCKED} requirements/{name}.lock" for name in locks]
    # segnet alone, of the files that are there, with what is installed.
    assert last == "--no-cache-dir --no-deps --no-index --no-build-isolation ."
    program = tmp_path / "opt" / "segnet" / "segnet" / "cli.py"
    assert program.exists()
    assert container.variables["PATH"].startswith(f"{tmp_path}/opt/venv/bin:")


def test_make_setup_is_the_same_script():
    makefile = (ROOT / "Makefile").read_text()
    assert "\t@tools/setup_env.sh dev\n" in makefile
    script = (ROOT / "tools" / "setup_env.sh").read_text()
    assert re.search(r"\ninstall_locked run\n.*gpu \| dev ", script, re.DOTALL)


def test_a_container_begins_with_segnet():
    steps = dict(_steps())
    assert steps["FROM"] == "${BASE}"
    assert steps["ENTRYPOINT"] == '["segnet"]'
    allowed = (ROOT / ".dockerignore").read_text().splitlines()
    copied = [
        source
        for kind, rest in _steps() if kind == "COPY"
        for source in rest.split()[:-1]
    ]  # fmt: skip
    assert [f"!{name}" for name in copied] == [
        line for line in allowed if line.startswith("!")
    ]
    assert all(os.path.exists(ROOT / name) for name in copied)
