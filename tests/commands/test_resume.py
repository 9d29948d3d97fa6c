"""main.py in a workdir that holds a run, or what is left of one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from conftest import ROOT, lines, run_flags

import main
from segnet import locks
from segnet.config.workdir import lock_path
from segnet.training import checkpoint


@pytest.fixture
def workdir(trained, tmp_path):
    """A copy of a run of two epochs of five steps."""
    return Path(shutil.copytree(trained, tmp_path / "the run"))


def train(workdir, *flags: str) -> int:
    command = ["main.py", f"--workdir={workdir}", "--noreport", *flags]
    return main.main(command)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "tfevents" not in path.name
    }


def test_a_second_run_is_refused_and_changes_nothing(workdir, capsys):
    before = contents(workdir)
    with locks.held(lock_path(str(workdir)), "here"):
        assert train(workdir, "--epochs=9") == 1
    error = capsys.readouterr().err
    assert error.startswith(f"segnet: {workdir}: another run is training here")
    assert "use another --workdir" in error and error.count("\n") == 1
    assert contents(workdir) == before


def test_a_second_run_is_refused_before_tensorflow_is_imported(tmp_path):
    code = (
        "import sys, main\n"
        "from segnet import locks\n"
        "with locks.held(sys.argv[1] + '/run.lock', 'here'):\n"
        "    status = main.main(['main.py', 'train', '--device=cpu',"
        "        '--data_dir=x', '--workdir=' + sys.argv[1]])\n"
        "print(status, 'tensorflow' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "run")],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert result.stdout.split() == ["1", "False"]
    assert "another run is training here" in result.stderr
    assert not (tmp_path / "run").exists()


def test_ranks_but_the_first_leave_the_lock_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("HOROVOD_RANK", "1")
    monkeypatch.setenv("HOROVOD_SIZE", "2")
    seen = []

    def fail(self, wait_seconds=0.0):
        seen.append(wait_seconds)

    monkeypatch.setattr(locks.Lock, "acquire", fail)
    from segnet.commands import train

    monkeypatch.setattr(train, "run", lambda command, after_step, lock: 0)
    flags = ["main.py", f"--workdir={tmp_path}", "--data_dir=x"]
    assert main.main(flags) == 0
    assert seen == []
    monkeypatch.setenv("HOROVOD_RANK", "0")
    assert main.main(flags) == 0
    assert seen == [0.0]


@pytest.mark.slow
def test_an_end_is_changed_there_and_back(workdir, capsys):
    before = contents(workdir)
    assert train(workdir, "--epochs=1") == 2
    error = capsys.readouterr().err
    assert f"--epochs=1 ends at step 5, but {workdir} is at step 10" in error
    assert error.count("\n") == 1
    assert contents(workdir) == before
    # Into the third epoch.
    assert train(workdir, "--epochs=4", "--max_steps=12") == 0
    assert "goes on to step 12: --max_steps=12" in capsys.readouterr().out
    before = contents(workdir)
    assert train(workdir, "--epochs=2") == 2
    assert "--epochs=2 ends at step 10" in capsys.readouterr().err
    assert train(workdir) == 0
    out = capsys.readouterr().out
    assert "--max_steps=12" in out.partition("vgg_segnet")[0]
    assert "nothing left to do: --max_steps=12 ended it at step 12" in out
    assert f"'--workdir={workdir}'" in out
    assert contents(workdir) == before
    assert train(workdir, "--max_steps=0", "--epochs=3") == 0
    assert lines(workdir)[-1]["step"] == 15
    assert json.loads((workdir / "config.json").read_text())["epochs"] == 3


def test_with_only_the_best_left_it_goes_on_from_that(workdir, capsys):
    (best,) = (workdir / "checkpoints" / "best").glob("*.index")
    step = int(best.stem.removeprefix("ckpt-"))
    for path in (workdir / "checkpoints").glob("c*"):
        path.unlink()
    first = (workdir / "metrics.jsonl").read_text().splitlines()[0]
    assert train(workdir, "--epochs=3") == 0
    assert f"resumed from {best.with_suffix('')}" in capsys.readouterr().out
    assert (workdir / "metrics.jsonl").read_text().splitlines()[0] == first
    steps = [line["step"] for line in lines(workdir)]
    assert steps == sorted(steps) and steps[-1] == 15
    assert step in steps


@pytest.mark.parametrize("config", ["whole", "gone"])
def test_with_only_the_log_left_nothing_begins_anew(
    workdir, data_dir, config, capsys
):
    shutil.rmtree(workdir / "checkpoints")
    if config == "gone":
        (workdir / "config.json").unlink()
    before = contents(workdir)
    assert main.main(run_flags(data_dir, workdir, "--epochs=1")) == 1
    error = capsys.readouterr().err
    assert "a run came to step 10 here" in error and error.count("\n") == 1
    assert contents(workdir) == before


def test_a_run_killed_before_its_first_checkpoint_begins_anew(
    data_dir, tmp_path, capsys
):
    """Its log is left aside."""
    workdir = tmp_path / "run"
    workdir.mkdir()
    (workdir / "metrics.jsonl").write_text('{"step": 2, "epoch": 0}\n')
    flags = run_flags(data_dir, workdir, "--max_steps=1")
    assert main.main(flags) == 0
    assert "random weights" in capsys.readouterr().out
    aside = workdir / "metrics-before-1.jsonl"
    assert aside.read_text() == '{"step": 2, "epoch": 0}\n'
    assert {line["step"] for line in lines(workdir)} == {1}


@pytest.mark.slow
def test_data_named_by_a_relative_path_is_found_from_elsewhere(
    data_dir, tmp_path, monkeypatch
):
    workdir = tmp_path / "run"
    monkeypatch.chdir(data_dir.parent)
    flags = run_flags(data_dir.name, workdir, "--max_steps=1")
    assert main.main(flags) == 0
    monkeypatch.chdir(tmp_path)
    assert main.main(["main.py", "--workdir=run", "--max_steps=2"]) == 0
    assert lines(workdir)[-1]["step"] == 2


def test_the_lock_of_an_elastic_run_goes_with_rank_0(tmp_path, monkeypatch):
    """The one before may need a moment to die."""
    from segnet.training import start

    path = str(tmp_path / "run.lock")
    before, after = (locks.Lock(path, "RUN: taken", "wait") for _ in "ab")
    monkeypatch.setattr(start, "_PASS_ON_SECONDS", 30.0)
    monkeypatch.setattr(start.distributed, "is_chief", lambda: True)
    start._pass_on(before)
    timer = threading.Timer(0.3, before.release)
    timer.start()
    start._pass_on(after)
    start._pass_on(after)
    timer.join()
    monkeypatch.setattr(start.distributed, "is_chief", lambda: False)
    start._pass_on(after)
    assert not (tmp_path / "run.lock").exists()


def test_checkpoints_without_config_are_told_of_and_get_it_again(
    workdir, data_dir, capsys
):
    """Evaluation says what is missing; training writes it, be it finished."""
    (workdir / "config.json").unlink()
    assert train(workdir, "--mode=evaluate") == 2
    error = capsys.readouterr().err
    assert "has checkpoints but no config.json" in error
    assert "train first" not in error and error.count("\n") == 1
    assert main.main(run_flags(data_dir, workdir, "--epochs=2")) == 0
    assert "nothing left to do" in capsys.readouterr().out
    assert train(workdir, "--mode=evaluate") == 0


def test_where_nothing_is_taken_it_is_said_so(workdir, data_dir, capsys):
    rest = (
        "--epochs=2 --lr_schedule=cosine --class_weights=median_frequency "
        "--augment=basic --cache=memory"
    )
    assert main.main(run_flags(data_dir, workdir, *rest.split())) == 0
    first = capsys.readouterr().out.splitlines()[0]
    assert first == f"from {workdir}/config.json: all flags are as given now"


def test_evaluation_takes_the_checkpoint_that_training_put_in_place_of_another(
    workdir, monkeypatch, capsys
):
    """The one that was found goes before it is read."""
    best = workdir / "checkpoints" / "best"
    (before,) = {path.stem for path in best.glob("ckpt-*.index")}
    restore = checkpoint.restore_weights

    def after_a_better_score(network, path):
        for file in best.glob(f"{before}.*"):
            file.rename(best / file.name.replace(before, "ckpt-99"))
        restore(network, path)

    monkeypatch.setattr(checkpoint, "restore_weights", after_a_better_score)
    assert train(workdir, "--mode=evaluate") == 0
    assert f"weights: {best}/ckpt-99, step 99" in capsys.readouterr().out
