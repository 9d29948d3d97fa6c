"""Runs whose images are decoded by processes of a data service."""

from __future__ import annotations

import json
import signal
import sys

import dist_worker
import pytest
from conftest import ROOT, lines, run_flags
from fault_programs import finish, start, wait_for
from horovod_launcher import launch, needs_horovod

import main
from segnet.data import service

pytestmark = pytest.mark.slow


class Service:
    """Processes of `tools/data_service.py`."""

    def __init__(self):
        self.dispatcher, line = self._start("--role=dispatcher", "--port=0")
        assert line.startswith("dispatcher: on port "), line
        self.address = f"localhost:{line.split(':')[-1].strip()}"
        at = f"--dispatcher={self.address}"
        self.workers = []
        for _ in range(2):
            worker, line = self._start("--role=worker", at)
            assert line.startswith("worker: at 127.0.0.1:"), line
            self.workers.append(worker)
        self.flag = f"--data_service={self.address}"

    def _start(self, *flags):
        process = start(
            [sys.executable, str(ROOT / "tools/data_service.py"), *flags]
        )
        return process, process.stdout.readline()

    def close(self):
        for process in (self.dispatcher, *self.workers):
            process.kill()
            process.stdout.close()
            process.stderr.close()
            process.wait()


@pytest.fixture
def served():
    processes = Service()
    yield processes
    processes.close()


def _losses(workdir):
    return [line["loss"] for line in lines(workdir) if "loss" in line]


def test_a_worker_that_dies_changes_nothing(
    data_dir, tmp_path, served, monkeypatch, capsys
):
    monkeypatch.setattr(service, "_HELD_BATCHES", 16)
    flags = [
        "--epochs=10", "--augment=basic", "--evaluate_every_epochs=0",
        "--recalibrate_batch_norm", "--log_every_steps=1",
        "--learning_rate=1e-4",
    ]  # fmt: skip

    def after_step(step):
        if step == 10:
            served.workers[0].kill()

    alone, other = tmp_path / "alone", tmp_path / "served"
    assert main.main(run_flags(data_dir, alone, *flags)) == 0
    capsys.readouterr()
    command = run_flags(data_dir, other, *flags, served.flag)
    assert main.main(command, after_step=after_step) == 0
    assert "a batch did not come" in capsys.readouterr().out
    assert len(_losses(alone)) == 50
    assert _losses(other) == pytest.approx(_losses(alone), rel=1e-3)
    for process, sent, status in (
        (served.workers[1], signal.SIGTERM, 143),
        (served.dispatcher, signal.SIGINT, 130),
    ):
        process.send_signal(sent)
        result = finish(process)
        assert result.status == status, result
        assert result.err.startswith("data_service: "), result
        assert result.err.count("\n") == 1, result


def test_the_end_of_the_dispatcher_ends_the_run(data_dir, tmp_path, served):
    workdir = tmp_path / "run"
    command = run_flags(
        data_dir, workdir, "--epochs=5000", "--checkpoint_every_steps=1000000",
        "--evaluate_every_epochs=0", served.flag,
    )  # fmt: skip
    process = start([sys.executable, str(ROOT / "main.py"), *command[1:]])
    wait_for(process, (workdir / "metrics.jsonl").exists)
    served.dispatcher.kill()
    result = finish(process)
    assert result.status == 1, result
    # TensorFlow's client has lines of its own, which nothing can silence.
    ours = [
        line
        for line in result.err.splitlines()
        if not line.startswith(("W0000", "WARNING: All log messages"))
    ]
    assert len(ours) == 1, result
    assert ours[0].startswith(f"segnet: {served.flag}: no dispatcher answers")
    (newest,) = (workdir / "checkpoints").glob("ckpt-*.index")
    step = int(newest.stem.removeprefix("ckpt-"))
    assert f"stopped after step {step}, all is saved" in result.out
    # It goes on from there, without the service.
    more = [
        f"--workdir={workdir}",
        "--data_service=",
        f"--max_steps={step + 2}",
    ]
    assert main.main(["main.py", *more]) == 0
    assert lines(workdir)[-1]["step"] == step + 2


@pytest.mark.dist
@needs_horovod
def test_two_workers_of_a_run(data_dir, tmp_path, served):
    flags = [
        *run_flags(data_dir, "")[1:], "--epochs=2", "--augment=basic",
        "--log_every_steps=1", "--warmup_epochs=0", "--learning_rate=1e-4",
    ]  # fmt: skip
    flags = [flag for flag in flags if not flag.startswith("--workdir")]
    flags.remove("--noreport")
    runs = {"alone": flags, "served": [*flags, served.flag]}
    result = launch(2, dist_worker.__file__, [tmp_path, json.dumps(runs)])
    assert result.returncode == 0, result.stdout + result.stderr
    alone, other = (_losses(tmp_path / name) for name in runs)
    assert len(alone) == 4
    assert other == pytest.approx(alone, rel=1e-3)
