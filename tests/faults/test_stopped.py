"""Programs that are stopped, killed, started twice; workers that die."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import picture_files as files
import pytest
from fault_programs import PROGRAMS, finish, start, wait_for

pytestmark = pytest.mark.faults

STATUS = {"INT": 130, "TERM": 143, "HUP": -1, "KILL": -9}
# Seconds after the start: in Python's own, in the imports, and in the work.
EARLY = (0.0, 0.01, 0.03, 0.06, 0.1, 0.15, 0.2)


def _send(process, name: str) -> None:
    process.send_signal(getattr(signal, f"SIG{name}"))


@pytest.mark.parametrize("after", EARLY)
@pytest.mark.parametrize("sent", ["INT", "TERM"])
@pytest.mark.parametrize("name", ["convert", "train"])
def test_stopped_at_the_start(programs, tmp_path, name, sent, after):
    """Before Python runs a line of the program it ends without one."""
    output = tmp_path / "out"
    process = start(programs.command(name, output))
    time.sleep(after)
    _send(process, sent)
    result = finish(process)
    number = getattr(signal, f"SIG{sent}")
    # Python's own answers, before all.
    if "init_import_site" in result.err or result.err == "KeyboardInterrupt\n":
        assert (result.status, sent) == (1, "INT"), result
        return
    assert result.status in (128 + number, -number), result
    if result.status > 0:  # The program's own answer.
        assert result.err.count("\n") == 1, result.err
    if name == "convert" and (output / "train.json").exists():
        programs.check(name, output)  # It was at its end.
    if after == EARLY[-1]:
        programs.run_again(name, output)


@pytest.mark.parametrize(
    ("sent", "after"), [("INT", 0.7), ("TERM", 2.4), ("HUP", 4.1), ("KILL", 5)]
)
@pytest.mark.parametrize("name", PROGRAMS)
def test_stopped_at_any_time(programs, tmp_path, name, sent, after):
    """Stopped in time or done: a plain run does the rest."""
    output = tmp_path / "out"
    process = start(programs.command(name, output))
    time.sleep(after)
    _send(process, sent)
    result = finish(process)
    assert result.status in (0, STATUS[sent]), result
    assert "Traceback" not in result.err, result.err
    programs.run_again(name, output)


@pytest.mark.parametrize("sent", ["INT", "TERM", "PIPE"])
def test_training_is_saved_when_it_is_stopped(programs, tmp_path, sent):
    """SIGPIPE stops nothing."""
    output = tmp_path / "out"
    flags = ["--epochs=900", "--checkpoint_every_steps=100000"]
    flags += ["--evaluate_every_epochs=0"]
    process = start(programs.command("train", output, *flags))
    wait_for(process, (output / "metrics.jsonl").exists)
    _send(process, sent)
    if sent == "PIPE":
        time.sleep(0.5)
        assert process.poll() is None
        _send(process, "TERM")
    result = finish(process)
    assert result.status == STATUS["TERM" if sent == "PIPE" else sent]
    assert list((output / "checkpoints").glob("ckpt-*.index"))


@pytest.mark.parametrize("sent", ["INT", "TERM"])
def test_twice_the_same_signal_leaves_at_once(programs, tmp_path, sent):
    """What was saved before stays."""
    output = tmp_path / "out"
    process = start(programs.command("train", output, "--epochs=900"))
    wait_for(process, (output / "checkpoints/ckpt-2.index").exists)
    _send(process, sent)
    _send(process, sent)
    result = finish(process)
    assert result.status == STATUS[sent]
    assert "Traceback" not in result.err
    found = (output / "checkpoints").glob("ckpt-*.index")
    step = max(int(path.stem.removeprefix("ckpt-")) for path in found)
    flags = ["--epochs=900", f"--max_steps={step + 1}"]
    finish(start(programs.command("train", output, *flags))).done()
    assert (output / f"checkpoints/ckpt-{step + 1}.index").exists()


def test_training_twice_in_a_workdir(programs, tmp_path):
    output = tmp_path / "out"
    first = start(programs.command("train", output))
    wait_for(first, (output / "metrics.jsonl").exists)
    second = finish(start(programs.command("train", output)))
    second.refused("another run is training here")
    finish(first).done()
    programs.check("train", output)


@pytest.mark.parametrize("name", ["evaluate", "predict"])
def test_twice_at_the_same_moment(programs, tmp_path, name):
    output = tmp_path / "out"
    both = [start(programs.command(name, output)) for _ in range(2)]
    for process in both:
        finish(process).done()
    programs.check(name, output)


@pytest.fixture(scope="module")
def many(tmp_path_factory) -> Path:
    """500 pairs, links to 5."""
    root = files.write_folders(tmp_path_factory.mktemp("many"), 5)
    for name, suffix in (("images", "jpg"), ("annotations", "png")):
        for number in range(5, 500):
            other = root / name / f"f{number % 5:02d}.{suffix}"
            os.link(other, root / name / f"f{number:03d}.{suffix}")
    return root


def _convert(programs, root: Path, output: Path, *more: str):
    command = programs.command("convert", output)
    return start(
        [
            *command,
            f"--images_dir={root / 'images'}",
            f"--annotations_dir={root / 'annotations'}",
            "--resize=600x800",
            "--num_workers=2",
            *more,
        ]
    )


def _children(process) -> list[int]:
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(number) for number in path.read_text().split()]


@pytest.mark.parametrize("which", [0, 1])
def test_killed_worker_of_the_converter(programs, many, tmp_path, which):
    """As the system kills one when memory runs out."""
    output = tmp_path / "out"
    process = _convert(programs, many, output)
    wait_for(process, lambda: len(_children(process)) > which)
    time.sleep(0.3)
    os.kill(_children(process)[which], signal.SIGKILL)
    finish(process).refused("a worker process died")
    assert not list(output.glob("*"))
    programs.run_again("convert", output)


def test_converting_twice_at_the_same_moment(programs, many, tmp_path):
    output = tmp_path / "out"
    first = _convert(programs, many, output)
    wait_for(first, lambda: output.is_dir() and list(output.iterdir()))
    second = finish(_convert(programs, many, output, "--overwrite"))
    assert second.status == 1 and "Traceback" not in second.err, second.err
    finish(first).done()
    programs.check("convert", output)


@pytest.mark.parametrize("after", [0.3, 0.8, 1.5])
@pytest.mark.parametrize("sent", ["INT", "TERM", "KILL"])
def test_converter_stopped_with_its_workers(
    programs, many, tmp_path, sent, after
):
    """No worker outlives it, no half split is left."""
    output = tmp_path / "out"
    process = _convert(programs, many, output)
    time.sleep(after)
    children = _children(process)
    _send(process, sent)
    result = finish(process)
    assert result.status == STATUS[sent], result
    assert "Traceback" not in result.err, result.err
    assert not (output / "train.json").exists()
    end = time.monotonic() + 5
    while any(Path(f"/proc/{pid}").exists() for pid in children):
        assert time.monotonic() < end
        time.sleep(0.01)
    programs.run_again("convert", output)
