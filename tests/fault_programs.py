"""What the tests of real faults share: programs in processes of their own."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

__all__ = [
    "PROGRAMS",
    "Programs",
    "Result",
    "finish",
    "mounted",
    "needs_mount",
    "start",
    "wait_for",
]

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = ("convert", "train", "evaluate", "predict")
LONGEST_SECONDS = 120


def _can_mount() -> bool:
    """Whether this process may mount file systems."""
    done = subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
        capture_output=True,
    )
    return os.geteuid() == 0 and done.returncode == 0


needs_mount = pytest.mark.skipif(
    not _can_mount(), reason="mounting a file system needs root"
)


@contextlib.contextmanager
def mounted(folder: Path, *options: str) -> Iterator[Callable[..., None]]:
    """A file system in a folder; yields what mounts it with other options."""

    def mount(*arguments: str) -> None:
        subprocess.run(["mount", *arguments, str(folder)], check=True)

    mount(*options)
    try:
        yield mount
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@dataclasses.dataclass(frozen=True)
class Result:
    """How a program ended."""

    status: int
    out: str
    err: str

    def refused(self, *words: str, status: int = 1) -> None:
        """It ended with one line that has the words."""
        assert self.status == status, (self.status, self.err)
        lines = self.err.splitlines()
        assert "Traceback" not in self.err, self.err
        assert len(lines) == 1, self.err
        assert lines[0].startswith(("segnet: ", "convert_to_tfrecord: "))
        for word in words:
            assert word in lines[0], lines[0]

    def done(self) -> None:
        """It did its work."""
        assert self.status == 0, self.err
        assert "Traceback" not in self.err, self.err


@dataclasses.dataclass(frozen=True)
class Programs:
    """The programs on a tiny data set."""

    folders: Path
    records: Path
    trained: Path

    def command(self, name: str, output: Path, *more: str) -> list[str]:
        """The command line of a program that writes to `output`."""
        return [sys.executable, *getattr(self, f"_{name}")(output), *more]

    def _convert(self, output: Path) -> list[str]:
        return [
            str(ROOT / "tools" / "convert_to_tfrecord.py"),
            f"--images_dir={self.folders / 'train' / 'images'}",
            f"--annotations_dir={self.folders / 'train' / 'annotations'}",
            f"--output_dir={output}",
            "--split=train",
            "--num_classes=3",
            "--void_labels=3",
            "--num_shards=2",
        ]

    def _train(self, output: Path) -> list[str]:
        return [
            str(ROOT / "main.py"),
            f"--data_dir={self.records}",
            f"--workdir={output}",
            "--input_height=32",
            "--input_width=48",
            "--width_multiplier=0.1",
            "--noreport",
            "--batch_size=2",
            "--device=cpu",
            "--precision=float32",
            "--epochs=2",
            "--checkpoint_every_steps=1",
            "--keep_checkpoints=2",
        ]

    def _evaluate(self, output: Path) -> list[str]:
        return [
            str(ROOT / "main.py"),
            "--mode=evaluate",
            f"--workdir={self.trained}",
            f"--output_dir={output}",
        ]

    def _predict(self, output: Path) -> list[str]:
        images = self.folders / "val" / "images"
        return [
            str(ROOT / "main.py"),
            "--mode=predict",
            f"--workdir={self.trained}",
            f"--output_dir={output}",
            f"--image_path={images}",
        ]

    def check(self, name: str, output: Path) -> None:
        """What a program that was done has written is whole."""
        if name == "convert":
            assert (output / "train.json").is_file()
        elif name == "train":
            assert (output / "checkpoints" / "ckpt-10.index").is_file()
        elif name == "evaluate":
            assert (output / "evaluation-val.json").stat().st_size > 100
        else:
            assert len(list(output.glob("*_labels.png"))) == 5
        # Nothing is left of what was not finished.
        assert not [path for path in output.rglob(".*") if path.is_file()]

    def run_again(self, name: str, output: Path, *more: str) -> None:
        """A plain run after a fault does the work."""
        if name == "convert":
            more = (*more, "--overwrite")
        finish(start(self.command(name, output, *more))).done()
        self.check(name, output)


def start(
    command: Sequence[str], shell: str = "", **options: object
) -> subprocess.Popen[str]:
    """Starts a program; `shell` is done before, in the same process."""
    if shell:
        command = ["bash", "-c", f'{shell}; exec "$@"', "bash", *command]
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    # Not what measures coverage, which writes where it is started.
    environment = {
        name: value
        for name, value in environment.items()
        if not name.startswith("COV")
    }
    pipe.setdefault("env", environment)
    return subprocess.Popen(
        command, text=True, errors="replace", cwd="/", **pipe
    )


def finish(process: subprocess.Popen[str]) -> Result:
    """Waits for the end of a program, which has to come."""
    try:
        out, err = process.communicate(timeout=LONGEST_SECONDS)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        process.kill()
        out, err = process.communicate()
        pytest.fail(f"never ends: {out[-500:]} {err[-500:]}")
    return Result(process.returncode, out or "", err or "")


def wait_for(
    process: subprocess.Popen[str], condition: Callable[[], object]
) -> None:
    """Waits until something is so, while a program runs."""
    end = time.monotonic() + LONGEST_SECONDS
    while not condition():
        assert process.poll() is None, finish(process)
        assert time.monotonic() < end
        time.sleep(0.005)


def copy(source: Path, target: Path) -> Path:
    """A copy of a folder."""
    return Path(shutil.copytree(source, target))
