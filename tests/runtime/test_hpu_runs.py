"""The four Gaudi run types, through main.py, on a simulated Gaudi."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest
import simulated_hpu
from conftest import ROOT, lines
from horovod_launcher import HOROVODRUN, needs_horovod

pytestmark = pytest.mark.hpu

# Operations that a Gaudi lacks: habana-tensorflow 1.14.0.493 has no kernel
# class of these names in habana_device.so (test_habana_package.py looks).
MISSING_ON_GAUDI = {
    "MaxPoolWithArgmax",
    "MaxPoolGradGrad",
    "MaxPoolGradGradV2",
    "MaxPoolGradWithArgmax",
    "PyFunc",
    "EagerPyFunc",
}
# Those it has, but whose results have shapes that depend on the data; the
# bridge compiles each shape anew (SynapseAI 1.14, "Dynamic Shapes"). int64
# and float64 would go to the host, but are no operations of their own.
DYNAMIC_SHAPES = {"Where", "Unique", "UniqueV2", "DynamicPartition"}


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return simulated_hpu.build_device(tmp_path_factory.mktemp("hpu_library"))


@pytest.fixture(scope="module")
def run(data_dir, tmp_path_factory, library):
    """Runs a flagfile on tiny pictures, once; see `_run`."""

    @functools.cache
    def run(name, workers):
        folder = tmp_path_factory.mktemp("hpu_run")
        return _run(name, workers, data_dir, folder, library)

    return run


def _run(name, workers, data_dir, folder, library):
    """Returns result, calls, workdir and environment."""
    env = simulated_hpu.simulated_hpu_env(folder, library)
    command = [
        sys.executable,
        str(ROOT / "main.py"),
        f"--flagfile={ROOT / 'configs' / name}",
        f"--data_dir={data_dir}",
        f"--workdir={folder / 'run'}",
        "--input_height=32",
        "--input_width=48",
        "--batch_size=2",
        "--epochs=1",
        # Which looks at the network as evaluation does.
        "--noreport",
        "--log_every_steps=1",
        # The width changes no operation; the full network takes twice as long.
        "--width_multiplier=0.05",
    ]
    if workers > 1:
        command = [
            str(HOROVODRUN), "-np", str(workers), "-H", f"localhost:{workers}",
            "--network-interfaces", "lo", *command,
        ]  # fmt: skip
    result = subprocess.run(
        command,
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result, simulated_hpu.read_calls(env), folder / "run", env


DIST = [pytest.mark.dist, needs_horovod]
RUNS = [
    ("hpu_fp32.flags", 1, "float32"),
    ("hpu_bf16.flags", 1, "mixed_bfloat16"),
    pytest.param(
        "hpu_fp32_dist.flags", 2, "float32", marks=[*DIST, pytest.mark.slow]
    ),
    pytest.param(
        "hpu_bf16_dist.flags",
        2,
        "mixed_bfloat16",
        marks=[*DIST, pytest.mark.slow],
    ),
]


@pytest.mark.parametrize(("name", "workers", "policy"), RUNS)
def test_run_type(name, workers, policy, run):
    result, calls, workdir, _ = run(name, workers)
    assert f"{workers} worker(s)" in result.stdout
    steps = [line["step"] for line in lines(workdir) if "loss" in line]
    assert steps == list(range(1, 10 // (2 * workers) + 1))
    for rank in range(workers):
        own = [call for call in calls if call["rank"] in (rank, None)]
        _check_calls(own, policy)


def _check_calls(calls, policy):
    """The order of things in one process, and what its step is made of."""
    names = [call["call"] for call in calls]
    assert names[0] == "import"
    environment = calls[0]["environment"]
    assert environment["TF_ALLOW_CONTROL_EDGES_IN_HABANA_OPS"] == "1"
    assert "TF_BF16_CONVERSION" not in environment
    for earlier, later in (
        ("import", "load_habana_module"),
        ("load_habana_module", "set_global_policy"),
        ("set_global_policy", "set_random_seed"),
        ("set_random_seed", "function"),
    ):
        assert names.index(earlier) < names.index(later)
    assert "set_visible_devices" not in names
    (policy_call,) = [c for c in calls if c["call"] == "set_global_policy"]
    assert policy_call["args"] == [policy]
    for kind in ("train_step", "eval_step"):
        traced = [
            call
            for call in calls
            if call["call"] == "function" and kind in call["name"]
        ]
        traced = [call for call in traced if "Conv2D" in call["types"]]
        assert len(traced) == 1, [call["name"] for call in traced]
        (step,) = traced
        assert not (MISSING_ON_GAUDI | DYNAMIC_SHAPES) & set(step["types"])
        assert "/device:HPU:0" in step["devices"]
        # Weights, optimizer and loss sums.
        (place,) = step["variables"]
        assert place.endswith("/device:HPU:0")


@pytest.mark.slow
def test_evaluate_and_predict_on_the_hpu(folders, run):
    _, _, workdir, env = run("hpu_fp32.flags", 1)
    for arguments in (
        ["--mode=evaluate"],
        ["--mode=predict", f"--image_path={folders / 'val' / 'images'}"],
    ):
        result = subprocess.run(
            [sys.executable, str(ROOT / "main.py"), f"--workdir={workdir}",
             *arguments],
            env=env, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
    assert len(list(Path(workdir, "predictions").glob("*.png"))) == 10


def test_auto_without_a_gaudi_is_not_hpu(data_dir, tmp_path):
    """The same programs where there is none: one line, exit 2, no abort."""
    result = subprocess.run(
        [sys.executable, str(ROOT / "main.py"), "--device=hpu",
         f"--data_dir={data_dir}", f"--workdir={tmp_path / 'run'}"],
        env={**os.environ, "SEGNET_HPU_DEVICE_GLOB": str(tmp_path / "none*")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "hpu" in result.stderr
    assert result.stdout == ""
