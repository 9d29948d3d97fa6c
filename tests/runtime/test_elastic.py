"""Workers are killed and come back; the run goes on. Two names, one host."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import types

import elastic_worker
import pytest
import tensorflow as tf
from conftest import ROOT, lines, run_flags
from horovod_launcher import HOROVODRUN, needs_horovod

from segnet.errors import ConfigError
from segnet.runtime import distributed, elastic
from segnet.training import checkpoint

EPOCHS = 30


_LOST = {
    "shut down": "Horovod has been shut down. This was caused by an exception",
    "eager": "{{function_node __wrapped__HorovodAllreduce_device_/CPU:0}} "
    "[gloo/transport/tcp/pair.cc:589] Read error [127.0.0.1]:2449: Connection "
    "reset by peer [Op:HorovodAllreduce] name: Horovod_confusion",
    "traced": "Graph execution error:\n\n[gloo/transport/tcp/pair.cc:598] "
    "Connection closed by peer [127.0.0.1]:2449\n\t "
    "[[{{node Horovod_gradient_3}}]] [Op:__inference_train_step_382]",
    "broadcast": "Graph execution error:\n\n[gloo/transport/tcp/pair.cc:589] "
    "Read error\n\t [[{{node HorovodBroadcast_Variable_0_12}}]] "
    "[Op:__inference_broadcast_group_242]",
}


class _HorovodInternalError(RuntimeError):
    pass


class _HostsUpdatedInterrupt(RuntimeError):
    def __init__(self, skip_sync):
        super().__init__()
        self.skip_sync = skip_sync


class _State:
    """Horovod's, without the launcher."""

    def __init__(self, bcast_object, get_rank):
        pass

    def commit(self):
        self.save()

    def on_reset(self):
        self.reset()


def _run_fn(function, reset):
    """Horovod's loop, as it says that it does."""

    def loop(state):
        skip_sync = False
        while True:
            try:
                if not skip_sync:
                    state.sync()
                return function(state)
            except _HorovodInternalError:
                state.restore()
                skip_sync = False
            except _HostsUpdatedInterrupt as interrupt:
                skip_sync = interrupt.skip_sync
            reset()
            state.on_reset()

    return loop


class _Horovod:
    """Of a job in which this worker has other ranks as time goes by."""

    def __init__(self):
        self.ranks = [0]
        self.calls = []
        self.broadcast_errors = []

    def init(self):
        self.calls.append("init")

    def shutdown(self):
        self.calls.append("shutdown")
        self.ranks = self.ranks[1:] or [0]

    def rank(self):
        return self.ranks[0]

    def size(self):
        return 2

    def broadcast_variables(self, variables, root_rank):
        self.calls.append("sync")
        if self.broadcast_errors:
            raise self.broadcast_errors.pop()


@pytest.fixture
def horovod(monkeypatch):
    """A Horovod that has been started by an elastic launcher."""
    job = _Horovod()
    members = {
        "horovod": {},
        "horovod.tensorflow": {
            name: getattr(job, name)
            for name in ("init", "shutdown", "rank", "size")
        },
        "horovod.common": {},
        "horovod.common.elastic": {"State": _State, "run_fn": _run_fn},
        "horovod.common.exceptions": {
            "HorovodInternalError": _HorovodInternalError,
            "HostsUpdatedInterrupt": _HostsUpdatedInterrupt,
        },
    }
    members["horovod.tensorflow"]["broadcast_variables"] = (
        job.broadcast_variables
    )
    for name, contents in members.items():
        module = types.ModuleType(name)
        vars(module).update(contents)
        monkeypatch.setitem(sys.modules, name, module)
        package, _, child = name.rpartition(".")
        if package:
            setattr(sys.modules[package], child, module)
    for name, value in {
        "RANK": 0,
        "SIZE": 2,
        "ELASTIC": 1,
        "GLOO_TIMEOUT_SECONDS": 60,
    }.items():
        monkeypatch.setenv(f"HOROVOD_{name}", str(value))
    for name in ("CYCLE_TIME", "FUSION_THRESHOLD"):
        monkeypatch.delenv(f"HOROVOD_{name}", raising=False)
    monkeypatch.setattr(distributed, "_hvd", None)
    distributed.init()
    job.calls.clear()
    return job


def test_elastic_needs_an_elastic_launcher():
    with pytest.raises(ConfigError, match="--host-discovery-script"):
        elastic.run_elastic(lambda commit: None, [])


def test_returns_what_the_function_returns(horovod):
    assert elastic.run_elastic(lambda commit: 7, [tf.Variable(1.0)]) == 7
    assert horovod.calls == ["sync"]


@pytest.mark.parametrize("message", _LOST.values(), ids=_LOST.keys())
def test_a_lost_worker_takes_the_others_back_to_the_commit(horovod, message):
    variable = tf.Variable([1.0, 2.0])
    began_with = []

    def train(commit):
        began_with.append(variable.numpy().tolist())
        variable.assign_add([1.0, 1.0])
        if len(began_with) == 1:
            commit()
            variable.assign([9.0, 9.0])
            raise tf.errors.UnknownError(None, None, message)
        return "done"

    assert elastic.run_elastic(train, [variable]) == "done"
    assert began_with == [[1.0, 2.0], [2.0, 3.0]]
    assert horovod.calls == ["sync", "shutdown", "init", "sync"]


def test_a_worker_lost_before_the_run(horovod):
    lost = tf.errors.UnknownError(None, None, _LOST["broadcast"])
    horovod.broadcast_errors = [lost]
    assert elastic.run_elastic(lambda commit: 7, [tf.Variable(1.0)]) == 7
    assert horovod.calls == ["sync", "shutdown", "init", "sync"]


@pytest.mark.parametrize(
    "error",
    [
        tf.errors.UnknownError(None, None, "disk: input/output error"),
        tf.errors.FailedPreconditionError(
            None, None, "Mismatched allreduce shapes [Op:HorovodAllreduce]"
        ),
        RuntimeError("Horovod"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_other_errors_end_the_run(horovod, error):
    def train(commit):
        raise error

    with pytest.raises(type(error)) as info:
        elastic.run_elastic(train, [tf.Variable(1.0)])
    assert info.value is error
    assert "init" not in horovod.calls


def test_an_end_that_is_not_the_function_s_is_an_error(horovod, monkeypatch):
    # As Horovod 0.28 does with errors that it does not recognise.
    def run_fn(function, reset):
        def swallow(state):
            with contextlib.suppress(_HorovodInternalError):
                function(state)

        return swallow

    monkeypatch.setattr(sys.modules["horovod.common.elastic"], "run_fn", run_fn)

    def train(commit):
        raise tf.errors.UnknownError(None, None, _LOST["traced"])

    with pytest.raises(RuntimeError, match="before its time"):
        elastic.run_elastic(train, [tf.Variable(1.0)])


@pytest.mark.parametrize("skip_sync", [True, False])
def test_who_stays_meets_those_who_join(horovod, skip_sync):
    calls = []

    def train(commit):
        calls.append("train")
        if len(calls) == 1:
            raise _HostsUpdatedInterrupt(skip_sync)

    elastic.run_elastic(train, [tf.Variable(1.0)])
    assert horovod.calls == ["sync", "shutdown", "init", "sync"]


@pytest.mark.parametrize(
    ("ranks", "joined", "times"),
    [
        # Rank 0 from the beginning; later it has what others would begin with.
        ([0, 0], True, 1),
        # It became rank 0 with what the lost one had given it, or without.
        ([1, 0], True, 0),
        ([1, 0], False, 1),
    ],
)
def test_only_who_has_nothing_starts_anew(horovod, ranks, joined, times):
    lost = tf.errors.UnknownError(None, None, _LOST["broadcast"])
    horovod.ranks = ranks
    horovod.broadcast_errors = [] if joined else [lost]
    calls = []

    def train(commit):
        calls.append("train")
        if len(calls) == 1 and joined:
            raise lost

    elastic.run_elastic(
        train, [tf.Variable(1.0)], lambda: calls.append("initialise")
    )
    assert calls.count("initialise") == times


@pytest.mark.dist
@pytest.mark.slow
@needs_horovod
def test_no_image_is_lost_however_often_a_worker_is_killed(data_dir, tmp_path):
    elastic_worker.write_hosts(tmp_path, elastic_worker.HOSTS)
    workdir = tmp_path / "run"
    result = subprocess.run(
        [
            str(HOROVODRUN), "-np", "2", "--min-np", "1", "--max-np", "2",
            "--network-interfaces", "lo",
            "--host-discovery-script", str(ROOT / "tools/discover_hosts.sh"),
            "--blacklist-cooldown-range", "1", "2",
            sys.executable, elastic_worker.__file__, str(tmp_path),
            *run_flags(data_dir, workdir, f"--epochs={EPOCHS}")[1:],
            # Wide enough for kills amid the sums of gradients.
            "--batch_size=1", "--width_multiplier=0.5", "--elastic",
        ],
        env={**os.environ, "SEGNET_HOSTS": str(tmp_path / "hosts.txt")},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=1500,
    )  # fmt: skip
    printed = result.stdout + result.stderr
    assert result.returncode == 0, printed
    # None but those killed has died, such as by an abort that others survive;
    # the launcher ends what is still starting when the run is over.
    statuses = re.findall(r"exit with status code (\d+)", result.stdout)
    assert statuses.count("137") == len(elastic_worker.KILLS), printed
    assert set(statuses) <= {"137", "143"}, printed
    kills = list(tmp_path.glob("kill-*"))
    assert len(kills) == len(elastic_worker.KILLS), printed
    # By one and by two workers.
    evaluations = set((tmp_path / "evaluations.txt").read_text().splitlines())
    assert evaluations == {"1 5", "2 5"}, printed
    scored = [line for line in lines(workdir) if "val_mean_iou" in line]
    epochs = [line["epoch"] for line in scored]
    assert epochs == list(range(1, EPOCHS + 1)), printed
    logged = [line["step"] for line in lines(workdir) if "loss" in line]
    assert logged == sorted(set(logged)), printed
    assert f"done: {logged[-1]} steps" in result.stdout
    latest = checkpoint.saved_checkpoint(str(workdir), "latest")
    assert latest.endswith(f"ckpt-{logged[-1]}")
