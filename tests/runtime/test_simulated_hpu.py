from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import simulated_hpu
import tensorflow as tf

from segnet.errors import ConfigError
from segnet.runtime.device import setup_runtime

pytestmark = pytest.mark.hpu

_TINY_STEP = Path(simulated_hpu.__file__).with_name("tiny_step.py")

# Tries to set up the HPU when it is too late for that.
_LATE_LOADS = """
import tensorflow as tf
from segnet.runtime.device import setup_runtime
from segnet.errors import ConfigError

def try_it():
    try:
        setup_runtime("hpu")
    except ConfigError as error:
        print(error)

tf.config.list_physical_devices()
try_it()
tf.constant(1) + 1
try_it()
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return simulated_hpu.build_device(tmp_path_factory.mktemp("hpu_library"))


def _run(arguments, env):
    return subprocess.run(
        [sys.executable, *arguments],
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.fixture(scope="module")
def trained(library, tmp_path_factory):
    """What a program under a simulated Gaudi printed, and the calls it made."""
    folder = tmp_path_factory.mktemp("hpu_run")
    env = simulated_hpu.simulated_hpu_env(folder, library)
    env.pop("TF_CPP_MIN_LOG_LEVEL", None)
    result = _run([str(_TINY_STEP), "auto", "auto"], env)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return json.loads(result.stdout), simulated_hpu.read_calls(env)


def test_auto_takes_the_hpu_and_bfloat16(trained):
    printed, _ = trained
    assert printed["device_name"] == "/device:HPU:0"
    assert printed["precision"] == "bfloat16"
    assert printed["compute_dtype"] == "bfloat16"
    assert printed["variable_dtypes"] == ["float32"]


def test_variables_live_on_the_hpu_and_train(trained):
    printed, _ = trained
    assert len(printed["variables"]) == 1
    assert printed["variables"][0].endswith("/device:HPU:0")
    assert printed["losses"][-1] < 0.8 * printed["losses"][0]
    assert printed["traces"] == 1


def test_unpooling_by_max_pool_grad_keeps_the_largest(trained):
    printed, _ = trained
    # Windows (1 5 / 4 6) and (2 3 / 9 8).
    assert printed["unpooled"] == [0, 0, 0, 0, 0, 6, 9, 0]


def test_order_of_calls(trained):
    _, calls = trained
    names = [call["call"] for call in calls]
    assert names[:5] == [
        "import",
        "load_habana_module",
        "list_physical_devices",
        "set_global_policy",
        "set_random_seed",
    ]
    assert calls[2]["args"] == ["HPU"]
    assert calls[3]["args"] == ["mixed_bfloat16"]
    assert calls[4]["args"] == ["3"]
    assert "set_visible_devices" not in names


def test_environment_comes_before_the_import(trained):
    _, calls = trained
    environment = calls[0]["environment"]
    assert environment["TF_ALLOW_CONTROL_EDGES_IN_HABANA_OPS"] == "1"
    assert environment["TF_DISABLE_MKL"] == "1"
    # The policy decides about bfloat16, not the bridge as well.
    assert "TF_BF16_CONVERSION" not in environment


def test_step_is_traced_once_for_the_hpu(trained):
    _, calls = trained
    steps = [
        call
        for call in calls
        if call["call"] == "function" and "train_step" in call["name"]
    ]
    assert len(steps) == 1
    assert "Conv2D" in steps[0]["types"]
    assert "/device:HPU:0" in steps[0]["devices"]


def test_bridge_refuses_to_be_loaded_late(library, tmp_path):
    # Else the test of the order above could not fail.
    env = simulated_hpu.simulated_hpu_env(tmp_path, library)
    result = _run(["-c", _LATE_LOADS], env)
    assert result.returncode == 0, result.stderr
    first, second = result.stdout.splitlines()
    assert "(load_habana_module() after a device query)" in first
    assert "(load_habana_module() after the first operation)" in second
    assert "load_habana_module" not in {
        call["call"] for call in simulated_hpu.read_calls(env)
    }


def test_other_tensorflow_is_one_line(library, tmp_path, monkeypatch):
    env = simulated_hpu.simulated_hpu_env(tmp_path, library)
    monkeypatch.setenv("SEGNET_HPU_DEVICE_GLOB", env["SEGNET_HPU_DEVICE_GLOB"])
    monkeypatch.syspath_prepend(env["PYTHONPATH"].split(os.pathsep)[0])
    monkeypatch.setattr(tf, "__version__", "2.16.1")
    with pytest.raises(ConfigError, match=r"needs TensorFlow 2\.15\.0"):
        setup_runtime("hpu")
    assert "habana_frameworks.tensorflow" not in sys.modules


def test_bridge_that_does_not_load_is_one_line(tmp_path):
    env = simulated_hpu.simulated_hpu_env(tmp_path, tmp_path / "absent.so")
    result = _run(
        [
            "-c",
            "from segnet.runtime import device; device.setup_runtime('hpu')",
        ],
        env,
    )
    last = result.stderr.splitlines()[-1]
    assert last.startswith("segnet.errors.ConfigError: --device=hpu:")
    assert "cannot be loaded" in last
    assert "absent.so" in last
