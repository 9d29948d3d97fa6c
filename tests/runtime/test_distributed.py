"""`distributed` in a single process; see also test_collectives.py."""

from __future__ import annotations

import os
import sys
import types

import numpy as np
import pytest
import tensorflow as tf

from segnet.constants import COMPRESSIONS
from segnet.errors import ConfigError
from segnet.runtime import distributed


@pytest.fixture
def launch(monkeypatch):
    """Makes this process look like one that a launcher started."""
    monkeypatch.setattr(distributed, "_hvd", None)
    # So that what `init` sets for elastic jobs goes after the test.
    monkeypatch.setenv("HOROVOD_GLOO_TIMEOUT_SECONDS", "60")
    for name in ("HOROVOD_CYCLE_TIME", "HOROVOD_FUSION_THRESHOLD"):
        monkeypatch.delenv(name, raising=False)

    def set_variables(rank, size, **others):
        for name, value in {"RANK": rank, "SIZE": size, **others}.items():
            monkeypatch.setenv(f"HOROVOD_{name}", str(value))

    return set_variables


class _Horovod(types.ModuleType):
    """A Horovod that sees the given number of workers."""

    def __init__(self, size):
        super().__init__("horovod.tensorflow")
        self.calls = []
        self.size = lambda: size
        self.rank = lambda: 0
        self.init = lambda: self.calls.append("init")
        self.shutdown = lambda: self.calls.append("shutdown")


@pytest.fixture
def horovod(monkeypatch):
    def install(size):
        module = _Horovod(size)
        package = types.ModuleType("horovod")
        package.tensorflow = module
        monkeypatch.setitem(sys.modules, "horovod", package)
        monkeypatch.setitem(sys.modules, "horovod.tensorflow", module)
        return module

    return install


def test_alone_nothing_is_imported_or_changed(monkeypatch):
    # Importing it would fail.
    monkeypatch.setitem(sys.modules, "horovod", None)
    distributed.init()
    assert (distributed.rank(), distributed.size()) == (0, 1)
    assert distributed.is_chief()
    tensor, array = tf.constant([1.0, 2.0]), np.array([[3, 4]])
    assert distributed.allreduce_sum(tensor, "t") is tensor
    assert distributed.allreduce_array(array, "a") is array
    gradients = [tensor, None]
    for compression in COMPRESSIONS:
        summed = distributed.allreduce_gradients(gradients, compression)
        assert summed[0] is tensor
        assert summed[1] is None
    variable = tf.Variable(3.0)
    distributed.broadcast_variables([variable])
    assert float(variable) == 3.0
    distributed.shutdown()


@pytest.mark.parametrize("value", [{"a": [1, 2.5, None, "é"]}, [], "x", 0])
def test_json_alone(value):
    assert distributed.broadcast_json(value) == value
    assert distributed.allgather_json(value) == [value]


@pytest.mark.parametrize("flag", [True, False])
def test_any_rank_alone(flag):
    assert distributed.any_rank(flag) is flag


def test_one_process_under_a_launcher_needs_no_horovod(launch, monkeypatch):
    monkeypatch.setitem(sys.modules, "horovod", None)
    launch(0, 1)
    distributed.init()
    assert distributed.size() == 1


def test_missing_horovod_names_the_remedy(launch, monkeypatch):
    monkeypatch.setitem(sys.modules, "horovod", None)
    launch(0, 2)
    with pytest.raises(ConfigError, match="2 processes were started") as info:
        distributed.init()
    assert "make setup-horovod" in str(info.value)
    assert "\n" not in str(info.value)


def test_init_starts_horovod_once(launch, horovod):
    module = horovod(2)
    launch(0, 2)
    distributed.init()
    distributed.init()
    assert distributed.size() == 2
    distributed.shutdown()
    distributed.shutdown()
    assert module.calls == ["init", "shutdown"]
    assert distributed.size() == 1


@pytest.mark.parametrize(
    ("long_cycle", "given", "expected"),
    [(True, None, "10"), (True, "3", "3"), (False, None, None)],
)
def test_workers_on_a_cpu_look_less_often(
    long_cycle, given, expected, launch, horovod, monkeypatch
):
    module = horovod(2)
    launch(0, 2)
    monkeypatch.setenv("HOROVOD_CYCLE_TIME", given or "")
    if given is None:
        monkeypatch.delenv("HOROVOD_CYCLE_TIME")
    seen = []
    module.init = lambda: seen.append(os.environ.get("HOROVOD_CYCLE_TIME"))
    distributed.init(long_cycle=long_cycle)
    distributed.shutdown()
    assert seen == [expected]


@pytest.mark.parametrize(
    ("elastic", "given", "expected"),
    [(1, None, "120"), (1, "90", "90"), (0, None, None)],
)
def test_elastic_workers_wait_for_those_that_start(
    elastic, given, expected, launch, horovod, monkeypatch
):
    module = horovod(2)
    launch(0, 2, ELASTIC=elastic)
    monkeypatch.delenv("HOROVOD_GLOO_TIMEOUT_SECONDS")
    if given is not None:
        monkeypatch.setenv("HOROVOD_GLOO_TIMEOUT_SECONDS", given)
    seen = []
    module.init = lambda: seen.append(
        os.environ.get("HOROVOD_GLOO_TIMEOUT_SECONDS")
    )
    distributed.init()
    distributed.shutdown()
    assert seen == [expected]


def test_elastic_workers_keep_horovod_s_cycle(launch, horovod):
    # Horovod crashes where this is set and a worker joins.
    horovod(2)
    launch(0, 2, ELASTIC=1)
    distributed.init(long_cycle=True)
    distributed.shutdown()
    assert "HOROVOD_CYCLE_TIME" not in os.environ


@pytest.mark.parametrize(
    "name", ["HOROVOD_CYCLE_TIME", "HOROVOD_FUSION_THRESHOLD"]
)
def test_what_crashes_elastic_jobs_is_refused(
    name, launch, horovod, monkeypatch
):
    horovod(2)
    launch(0, 2, ELASTIC=1)
    monkeypatch.setenv(name, "1")
    with pytest.raises(ConfigError, match=f"{name} is set.*unset it"):
        distributed.init()


def test_elastic_job_of_one_may_grow(launch, horovod):
    module = horovod(1)
    launch(0, 1, ELASTIC=1)
    distributed.init()
    assert module.calls == ["init"]


def test_elastic_job_may_have_changed_since_the_launch(launch, horovod):
    module = horovod(1)
    launch(0, 2, ELASTIC=1)
    distributed.init()
    assert module.calls == ["init"]
    assert distributed.size() == 1


def test_horovod_without_mpi_under_mpirun(launch, horovod):
    # Else each process would train by itself and write over the others.
    module = horovod(1)
    launch(0, 2)
    with pytest.raises(ConfigError, match="Horovod sees 1") as info:
        distributed.init()
    assert "HOROVOD_WITH_MPI=1" in str(info.value)
    assert module.calls == ["init", "shutdown"]
    assert distributed.size() == 1


def test_errors_name_the_operation(launch, horovod):
    module = horovod(2)
    launch(0, 2)
    names = []

    def reduce(tensor, *, name, **options):
        names.append(name)
        return tensor

    module.allreduce = module.grouped_allreduce = module.alltoall = reduce
    module.allgather = lambda tensor, name: tf.tile(
        reduce(tensor, name=name), [2] + [1] * (len(tensor.shape) - 1)
    )
    module.Sum = "sum"
    module.Compression = types.SimpleNamespace(none=None, fp16=None)
    distributed.init()
    for compression in COMPRESSIONS:
        for grouped in (False, True):
            distributed.allreduce_gradients(
                [tf.constant([1.0, 2.0, 3.0])], compression, grouped=grouped
            )
    distributed.allreduce_array(np.array([1]), "images")
    distributed.broadcast_json({"a": 1})
    distributed.shutdown()
    assert len(names) == 11
    for name in names:
        # What the transport says need not.
        said = f"Connection reset by peer [[{{{{node {name}}}}}]]"
        lost = tf.errors.UnknownError(None, None, said)
        assert distributed.is_worker_lost(lost), name


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (
            tf.errors.UnknownError(None, None, "Horovod has been shut down"),
            True,
        ),
        (tf.errors.UnknownError(None, None, "Connection reset by peer"), False),
        # All workers are there, and do not agree.
        (
            tf.errors.FailedPreconditionError(
                None, None, "Mismatched shapes [Op:HorovodAllreduce]"
            ),
            False,
        ),
        (tf.errors.DataLossError(None, None, "corrupted record at 12"), False),
        (ValueError("Horovod"), False),
    ],
)
def test_worker_lost(error, lost):
    assert distributed.is_worker_lost(error) is lost
