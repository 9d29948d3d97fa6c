"""Conversion on Apache Beam: the same as the local one, whatever happens.

`make test-beam` runs this in the environment that has Beam and no TensorFlow.
"""

from __future__ import annotations

import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np
import picture_files as files
import pytest

from benchmarks import beam_conversion
from tools import convert_to_tfrecord as convert

pytestmark = pytest.mark.beam
RUNNER = "--runner=DirectRunner"
# Of one worker, a thread of this process's child; of three, processes.
WORKERS = (1, 3)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> pathlib.Path:
    return files.write_folders(tmp_path_factory.mktemp("folders"), 11)


@pytest.fixture(scope="module")
def slow_root(tmp_path_factory) -> pathlib.Path:
    """Pictures that take a while: 24 of 1500x2000 pixels of noise."""
    folder = tmp_path_factory.mktemp("slow")
    for name in ("images", "annotations"):
        (folder / name).mkdir()
    rng = np.random.default_rng(0)
    noise = files.saved(rng.integers(0, 256, (1500, 2000, 3), np.uint8), "PNG")
    label = files.saved(files.labels(height=1500, width=2000), "PNG")
    for index in range(24):
        (folder / "images" / f"f{index:02d}.png").write_bytes(noise)
        (folder / "annotations" / f"f{index:02d}.png").write_bytes(label)
    return folder


def contents(folder: pathlib.Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def flags(root: pathlib.Path, output: pathlib.Path, *more: str) -> list[str]:
    return [*files.flags(root), f"--output_dir={output}", *more]


def start(argv: list[str], folder: pathlib.Path) -> subprocess.Popen:
    """Starts the converter as a program."""
    return subprocess.Popen(
        [sys.executable, "tools/convert_to_tfrecord.py", *argv[1:]],
        cwd=files.ROOT,
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def beam_workers(folder: pathlib.Path) -> Iterator[int]:
    """The processes of Beam's workers whose temporary folder is this one."""
    for entry in pathlib.Path("/proc").iterdir():
        try:
            line = (entry / "cmdline").read_bytes()
            environment = (entry / "environ").read_bytes()
            if entry.name.isdigit() and line.startswith(os.fsencode(
                sys.executable
            )) and b"sdk_worker_main" in line and (
                b"TMPDIR=" + os.fsencode(folder) in environment
            ):  # fmt: skip
                yield int(entry.name)
        except OSError:
            continue


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("num_workers", WORKERS)
@pytest.mark.parametrize("num_shards", [1, 4])
def test_bytes_and_manifest_are_those_of_the_local_converter(
    root, tmp_path, num_workers, num_shards, capsys
):
    shards = f"--num_shards={num_shards}"
    local, beam = tmp_path / "local", tmp_path / "beam"
    assert convert.main(flags(root, local, shards)) == 0
    said = capsys.readouterr().out.splitlines()
    more = (shards, RUNNER, f"--num_workers={num_workers}")
    assert convert.main(flags(root, beam, *more)) == 0
    assert contents(beam) == contents(local)
    assert len(contents(beam)) == num_shards + 1
    # The table, too.
    assert capsys.readouterr().out.splitlines()[:5] == said[:5]


def test_several_splits_void_labels_and_a_label_map(root, tmp_path):
    (tmp_path / "map.txt").write_text("a: 0, 1\nb: 2\n")
    more = [
        "--split=train,val",
        "--val_fraction=0.4",
        "--num_classes=2",
        f"--label_map={tmp_path / 'map.txt'}",
        "--resize=16x20",
    ]
    local, beam = tmp_path / "local", tmp_path / "beam"
    assert convert.main(flags(root, local, *more)) == 0
    assert convert.main(flags(root, beam, *more, RUNNER)) == 0
    assert contents(beam) == contents(local)
    assert {"train.json", "val.json"} <= contents(beam).keys()


@pytest.mark.parametrize("num_workers", WORKERS)
@pytest.mark.parametrize("more", [(), ("--skip_invalid",)])
def test_errors_of_all_workers_are_those_of_the_local_converter(
    tmp_path, capsys, num_workers, more
):
    root = files.write_folders(tmp_path, 9)
    for name in ("images/f07.jpg", "annotations/f02.png", "images/f00.jpg"):
        (root / name).write_bytes(b"")
    (root / "images/lonely.jpg").write_bytes(
        (root / "images/f01.jpg").read_bytes()
    )
    outputs = []
    for folder, flag in (("local", ""), ("beam", RUNNER)):
        argv = flags(root, root / folder, f"--num_workers={num_workers}", *more)
        status = convert.main([*argv, *filter(None, [flag])])
        there = contents(root / folder) if (root / folder).exists() else {}
        outputs.append((status, capsys.readouterr().err, there))
    assert outputs[1] == outputs[0]
    status, error, there = outputs[1]
    assert (status, bool(there)) == ((0, True) if more else (1, False))
    named = [x.split(": ")[1][-7:] for x in error.splitlines()[:4]]
    assert named == ["ely.jpg", "f02.png", "f00.jpg", "f07.jpg"]


def test_names_that_are_not_utf_8(tmp_path):
    root = files.write_folders(tmp_path, 3)
    for folder, suffix in (("images", b".jpg"), ("annotations", b".png")):
        parent = os.fsencode(root / folder)
        os.rename(parent + b"/f01" + suffix, parent + b"/caf\xe9" + suffix)
    local, beam = tmp_path / "local", tmp_path / "beam"
    assert convert.main(flags(root, local)) == 0
    assert convert.main(flags(root, beam, RUNNER)) == 0
    assert contents(beam) == contents(local)


def test_a_worker_that_is_killed_in_the_middle(slow_root, tmp_path):
    local, beam = tmp_path / "local", tmp_path / "beam"
    assert convert.main(flags(slow_root, local, "--num_workers=2")) == 0
    argv = flags(slow_root, beam, RUNNER, "--num_workers=3")
    process = start(argv, tmp_path)
    aside = beam / ".train.tmp"
    wait_for(lambda: list(aside.glob("*.json")))
    first, *others = beam_workers(tmp_path)
    assert len(others) == 2
    os.kill(first, signal.SIGKILL)
    output, error = process.communicate(timeout=120)
    assert (process.returncode, error) == (0, "")
    assert "a worker was lost" in output
    assert contents(beam) == contents(local)
    wait_for(lambda: not list(beam_workers(tmp_path)))
    assert not list(tmp_path.glob("segnet-beam-*"))


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
@pytest.mark.parametrize("num_workers", WORKERS)
def test_a_signal_leaves_nothing(
    slow_root, tmp_path, number, status, num_workers
):
    output = tmp_path / "out"
    argv = flags(slow_root, output, RUNNER, f"--num_workers={num_workers}")
    process = start(argv, tmp_path)
    wait_for(lambda: list((output / ".train.tmp").glob("*.json")))
    process.send_signal(number)
    _, error = process.communicate(timeout=20)
    assert process.returncode == status
    assert "nothing kept but what was complete" in error.splitlines()[-1]
    assert not output.exists()
    wait_for(lambda: not list(beam_workers(tmp_path)))
    assert not list(tmp_path.glob("segnet-beam-*"))


def test_workers_end_with_a_converter_that_is_killed(slow_root, tmp_path):
    output = tmp_path / "out"
    argv = flags(slow_root, output, RUNNER, "--num_workers=3")
    process = start(argv, tmp_path)
    wait_for(lambda: list((output / ".train.tmp").glob("*.json")))
    process.kill()
    process.communicate(timeout=20)
    wait_for(lambda: not list(beam_workers(tmp_path)), 20)
    assert not (output / "train.json").exists()
    # What it left is in nobody's way.
    assert convert.main(flags(slow_root, output, "--num_workers=2")) == 0
    assert not list(output.glob(".*"))


def test_a_part_that_kills_its_worker_is_given_up(
    root, tmp_path, capsys, monkeypatch
):
    """As one does whose picture needs more memory than there is."""
    site = tmp_path / "site"
    site.mkdir()
    # Python imports it when it starts; a worker then dies at the image f05.
    (site / "sitecustomize.py").write_text(
        "import os, sys\n"
        "def hook(event, arguments):\n"
        "    if event == 'open' and str(arguments[0]).endswith('f05.jpg'):\n"
        "        os.kill(os.getpid(), 9)\n"
        "if 'sdk_worker_main' in ' '.join(sys.orig_argv):\n"
        "    sys.addaudithook(hook)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(site))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    argv = flags(root, tmp_path / "out", RUNNER, "--num_workers=3")
    assert convert.main(argv) == 1
    (line,) = capsys.readouterr().err.splitlines()
    (log,) = tmp_path.glob("segnet-beam-*.log")
    assert line == (
        "convert_to_tfrecord: --runner=DirectRunner: a worker process died at "
        "the same part again, most likely because memory ran out; Beam's "
        f"messages are in {log}"
    )
    assert not (tmp_path / "out").exists()


def test_a_full_disk_is_one_line(root, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    output = tmp_path / "out"
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "import os, sys\n"
        "def hook(event, arguments):\n"
        "    if event == 'open' and '/part-00002-' in str(arguments[0]):\n"
        "        raise OSError(28, os.strerror(28))\n"
        "if 'sdk_worker_main' in ' '.join(sys.orig_argv):\n"
        "    sys.addaudithook(hook)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(site))
    argv = flags(root, output, RUNNER, "--num_workers=3", "--num_shards=4")
    assert convert.main(argv) == 1
    output_lines, errors = capsys.readouterr()
    (line,) = errors.splitlines()
    assert "No space left on device" in line and "part-00002" in line
    assert "a worker was lost" not in output_lines
    assert not output.exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--beam_options=--nonsense=1"], "has no option --nonsense=1"),
        (["--beam_options=--direct_num_workers=x"], "invalid int value"),
        (["--beam_options=--a='"], "No closing quotation"),
        (["--beam_options=stray"], "'stray' is no option"),
        (["--beam_options=--runner=X"], "a flag of the converter's own"),
        (["--runner=NoRunner"], "--runner=NoRunner: Unexpected pipeline"),
        (["--runner=no.such.Runner"], "No module named 'no'"),
    ],
)
def test_bad_options_are_one_line_before_any_work(
    root, tmp_path, options, words
):
    argv = flags(root, tmp_path / "out", RUNNER, *options)
    process = start(argv, tmp_path)
    output, error = process.communicate(timeout=60)
    assert (process.returncode, output) == (2, "")
    (line,) = error.splitlines()
    assert words in line
    assert not (tmp_path / "out").exists()


def test_a_runner_that_fails_is_one_line(root, tmp_path):
    """Dataflow's needs packages of Google's, which are not there."""
    argv = flags(root, tmp_path / "out", "--runner=DataflowRunner")
    process = start(argv, tmp_path)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 1
    (line,) = error.splitlines()
    assert "--runner=DataflowRunner: " in line
    assert "Beam's messages are in" in line
    assert not (tmp_path / "out").exists()


def test_beams_messages_stay_in_its_log(root, tmp_path):
    argv = flags(root, tmp_path / "out", RUNNER, "--num_workers=3")
    process = start(argv, tmp_path)
    output, error = process.communicate(timeout=60)
    assert process.returncode == 0
    assert error == ""
    assert output.splitlines()[-2].startswith("train: 11 images in 8 shards")
    assert not list(tmp_path.glob("segnet-beam-*"))


def test_the_benchmark_compares_all_bytes(tmp_path, capsys):
    files.write_folders(tmp_path / "train", 3)
    argv = [f"--camvid={tmp_path}", f"--beam_python={sys.executable}"]
    assert beam_conversion.main([*argv, "--copies=3", "--rounds=1"]) == 0
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first.endswith("6 pairs beyond the start")
    assert last == "local and Beam, with 1 worker and with 3: the same bytes"
