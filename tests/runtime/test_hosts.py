"""Two hosts on one machine: training, a cable that is pulled out, `mpirun`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT, lines
from horovod_launcher import HOROVODRUN, needs_horovod

from benchmarks.harness.two_hosts import (
    INTERFACE,
    NAMES,
    two_hosts,
    what_is_missing,
)
from segnet.training import checkpoint

pytestmark = [pytest.mark.hosts, needs_horovod]

# How long a job may go on without its other host.
LIMIT_SECS = 60
# Where `make setup-mpi` puts a Horovod that has MPI, too.
MPI_PYTHON = Path(f"{sys.prefix}-mpi", "bin", "python")
MPI_OPTIONS = (
    "--allow-run-as-root", "--bind-to", "none", "--map-by", "slot",
    "--mca", "btl_tcp_if_include", INTERFACE,
    "--mca", "oob_tcp_if_include", INTERFACE,
    # Both hosts share the cores; who waits is to leave them to the other.
    "--mca", "mpi_yield_when_idle", "1",
)  # fmt: skip
EACH_ONE = ",".join(f"{name}:1" for name in NAMES)


@pytest.fixture(scope="module")
def hosts(tmp_path_factory):
    """The two hosts, joined."""
    if what_is_missing():
        pytest.skip(what_is_missing())
    with two_hosts(tmp_path_factory.mktemp("hosts")) as both:
        yield both
    assert not any(Path(f"/proc/{host.pid}").exists() for host in both)


def demo(data_dir, workdir, *extra):
    """main.py with the demo's flags, on tiny pictures."""
    return [
        "main.py", "--flagfile=configs/demo.flags", f"--data_dir={data_dir}",
        f"--workdir={workdir}", "--input_height=32", "--input_width=48",
        "--resolution_schedule=", "--width_multiplier=0.1", "--batch_size=2",
        "--precision=float32", "--deterministic", "--log_every_steps=1",
        "--noreport", *extra,
    ]  # fmt: skip


def horovodrun(*extra, at=EACH_ONE, network=INTERFACE):
    return [
        HOROVODRUN, "-np", "2", *(("-H", at) if at else ()),
        "--network-interfaces", network, *extra, sys.executable,
    ]  # fmt: skip


def environment(tmp_path, **more):
    """Hosts that have, like the workers of one machine, a core each."""
    return {
        **os.environ,
        # horovodrun notes there which hosts it has reached.
        "HOME": str(tmp_path),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_NUM_INTRAOP_THREADS": "1",
        "TF_NUM_INTEROP_THREADS": "1",
        **more,
    }


def finish(process, seconds=300):
    """What a job printed."""
    try:
        printed, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return printed


def start(host, command, env):
    return host.start(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def weights(workdir):
    reader = tf.train.load_checkpoint(
        checkpoint.saved_checkpoint(str(workdir), "latest")
    )
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if "OBJECT_GRAPH" not in name
    }


def assert_equal_runs(first, second):
    """Bit for bit: two sums do not depend on who adds them."""
    for key in ("loss", "val_mean_iou"):
        values = [
            [line[key] for line in lines(workdir) if key in line]
            for workdir in (first, second)
        ]
        assert values[0] == values[1]
        assert values[0]
    ours, theirs = weights(first), weights(second)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        np.testing.assert_array_equal(value, theirs[name], name)


@pytest.fixture(scope="module")
def local(data_dir, tmp_path_factory):
    """Workdir of two workers of one host, eight steps."""
    folder = tmp_path_factory.mktemp("local")
    command = [
        *horovodrun(at="localhost:2", network="lo"),
        *demo(data_dir, folder / "run", "--epochs=4"),
    ]
    result = subprocess.run(
        list(map(str, command)), env=environment(folder), cwd=ROOT, text=True,
        capture_output=True, check=False, timeout=300,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    return folder / "run"


def test_two_hosts_train_like_two_workers_of_one(
    hosts, local, data_dir, tmp_path
):
    job = start(
        hosts[0],
        [*horovodrun(), *demo(data_dir, tmp_path / "run", "--epochs=4")],
        environment(tmp_path),
    )
    printed = finish(job)
    assert job.returncode == 0, printed
    assert "2 worker(s)" in printed
    assert_equal_runs(tmp_path / "run", local)


def test_mpirun_trains_like_horovodrun(hosts, local, data_dir, tmp_path):
    for program, remedy in {
        "mpirun": "apt-get install openmpi-bin",
        str(MPI_PYTHON): "make setup-mpi",
    }.items():
        if shutil.which(program) is None:
            pytest.skip(f"{program} is missing: {remedy}")
    env = environment(tmp_path)
    passed = [
        part
        for name in ("HOME", "PATH", *env)
        if name.startswith(("TF_", "HOME", "PATH"))
        for part in ("-x", name)
    ]
    job = start(
        hosts[0],
        ["mpirun", "-np", "2", "-H", EACH_ONE, *MPI_OPTIONS, *passed,
         MPI_PYTHON, *demo(data_dir, tmp_path / "run", "--epochs=4")],
        env,
    )  # fmt: skip
    printed = finish(job)
    assert job.returncode == 0, printed
    assert "2 worker(s)" in printed
    assert_equal_runs(tmp_path / "run", local)


def pull_out_at(step, job, host, workdir):
    """Takes a host from the network once the job has logged a step."""
    end = time.monotonic() + 200
    while not (
        (workdir / "metrics.jsonl").exists()
        and lines(workdir)[-1]["step"] >= step
    ):
        assert job.poll() is None, job.stdout.read()
        assert time.monotonic() < end
        time.sleep(0.1)
    host.set_link("down")
    return time.monotonic()


@pytest.fixture
def far_host(hosts):
    """The one that the job is not started from; in the network afterwards."""
    yield hosts[1]
    hosts[1].set_link("up")


def test_a_host_that_is_cut_off_ends_the_job(
    hosts, far_host, data_dir, tmp_path
):
    workdir = tmp_path / "run"
    flags = ("--epochs=10000", "--checkpoint_every_steps=10")
    command = [*horovodrun(), *demo(data_dir, workdir, *flags)]
    job = start(hosts[0], command, environment(tmp_path))
    pulled = pull_out_at(25, job, far_host, workdir)
    printed = finish(job)
    seconds = time.monotonic() - pulled
    print(f"the job ended {seconds:.0f} s after its second host was cut off")
    assert job.returncode != 0
    assert seconds < LIMIT_SECS
    # By ssh, which notices first where it asks.
    assert "server hostb not responding" in printed.lower(), printed
    last = lines(workdir)[-1]["step"]
    far_host.set_link("up")
    epochs = last // 2 + 6
    job = start(
        hosts[0], [*command, f"--epochs={epochs}"], environment(tmp_path)
    )
    printed = finish(job)
    assert job.returncode == 0, printed
    assert f"done: {2 * epochs} steps" in printed
    steps = [line["step"] for line in lines(workdir) if "loss" in line]
    assert steps == list(range(1, 2 * epochs + 1))


def test_an_elastic_job_goes_on_without_a_host(
    hosts, far_host, data_dir, tmp_path
):
    workdir = tmp_path / "run"
    (tmp_path / "hosts.txt").write_text(EACH_ONE.replace(",", "\n"))
    command = [
        *horovodrun(
            "--min-np", "1", "--max-np", "2", "--host-discovery-script",
            ROOT / "tools/discover_hosts.sh", "--gloo-timeout-seconds", "30",
            at="",
        ),
        *demo(data_dir, workdir, "--epochs=40", "--elastic"),
    ]  # fmt: skip
    env = environment(tmp_path, SEGNET_HOSTS=str(tmp_path / "hosts.txt"))
    job = start(hosts[0], command, env)
    pulled = pull_out_at(25, job, far_host, workdir)
    while lines(workdir)[-1].get("epoch", 0) < 30:
        assert job.poll() is None, job.stdout.read()
        assert time.monotonic() - pulled < 2 * LIMIT_SECS
        time.sleep(0.1)
    seconds = time.monotonic() - pulled
    print(f"{seconds:.0f} s after a host was cut off the job was far ahead")
    printed = finish(job)
    assert job.returncode == 0, printed
    assert "2 worker(s)" in printed
    assert "1 worker(s)" in printed
    logged = [line for line in lines(workdir) if "loss" in line]
    steps = [line["step"] for line in logged]
    assert steps == list(range(1, len(steps) + 1))
    assert logged[-1]["epoch"] == 40
