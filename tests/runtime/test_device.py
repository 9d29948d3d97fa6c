from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from segnet.errors import ConfigError
from segnet.runtime import hardware
from segnet.runtime.device import (
    Runtime,
    prepare_environment,
    resolve_device,
    resolve_precision,
    setup_runtime,
)

_ROOT = Path(__file__).resolve().parents[2]
_QUIET = """
from segnet.runtime import device
device.quiet_tensorflow()
import tensorflow as tf
tf.constant(1) + 1
import tensorflow_addons
"""


@pytest.fixture(autouse=True)
def _restored(monkeypatch):
    """No Gaudi, no GPU, no settings of the user; the policy is put back."""
    for name in (
        "SEGNET_HPU_DEVICE_GLOB",
        "TF_BF16_CONVERSION",
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
        "OMPI_MCA_orte_bound_at_launch",
    ):
        monkeypatch.delenv(name, raising=False)
    # So that what the code sets is taken back.
    for name in ("TF_DISABLE_MKL", "TF_ALLOW_CONTROL_EDGES_IN_HABANA_OPS"):
        monkeypatch.setenv(name, "0")
        monkeypatch.delenv(name)
    monkeypatch.setattr(hardware, "HPU_DEVICE_GLOBS", ("/nowhere/hl*",))
    yield
    tf.keras.mixed_precision.set_global_policy("float32")


class _Gpus:
    """TensorFlow's view of some GPUs, and what was asked of it."""

    def __init__(self, monkeypatch, capabilities):
        self.growing, self.visible = [], None
        names = [f"gpu{index}" for index in range(len(capabilities))]
        capability = dict(zip(names, capabilities, strict=True))
        config = tf.config

        def details(name):
            found = capability[name]
            return {"compute_capability": found} if found else {}

        def show(devices, kind):
            self.visible = (devices, kind)

        monkeypatch.setattr(config, "list_physical_devices", lambda _: names)
        monkeypatch.setattr(config, "get_visible_devices", lambda _: names)
        monkeypatch.setattr(config, "set_visible_devices", show)
        monkeypatch.setattr(config.experimental, "get_device_details", details)
        monkeypatch.setattr(
            config.experimental,
            "set_memory_growth",
            lambda name, on: self.growing.append((name, on)),
        )


def _python(code, **variables):
    env = {**os.environ, "PYTHONPATH": str(_ROOT), **variables}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={name: value for name, value in env.items() if value is not None},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )


def test_quiet_unless_asked_for():
    quiet = _python(_QUIET, TF_CPP_MIN_LOG_LEVEL=None)
    assert (quiet.stdout, quiet.stderr) == ("", "")
    # What the user sets wins.
    loud = _python(_QUIET, TF_CPP_MIN_LOG_LEVEL="0", PYTHONWARNINGS="default")
    assert "cpu_feature_guard" in loud.stderr
    assert "TensorFlow Addons" in loud.stderr


_KERAS = """
from segnet.runtime import device
device.prepare_environment("cpu")
from segnet import models
import tensorflow as tf
model = models.create_model("segnet", 2, width_multiplier=0.1)
print(model.output_shape, model.compute_dtype, tf.keras.backend.epsilon())
"""


@pytest.mark.parametrize(
    ("variable", "folder", "settings"),
    [
        ("HOME", ".keras", '{"image_data_format": "channels_first"}'),
        ("KERAS_HOME", "", '{"floatx": 1}'),
    ],
)
def test_keras_is_as_it_is_whatever_is_set_outside(
    tmp_path, variable, folder, settings
):
    path = tmp_path / folder / "keras.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(settings)
    variables = {"KERAS_HOME": None, variable: str(tmp_path)}
    found = _python(
        _KERAS,
        TF_USE_LEGACY_KERAS="1",
        KERAS_BACKEND="jax",
        PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION="rust",
        **variables,
    )
    assert found.stdout == "(None, None, None, 2) float32 1e-07\n"
    assert found.stderr == ""
    assert path.read_text() == settings


def test_setup_undoes_what_keras_has_read_before():
    backend = tf.keras.backend
    backend.set_image_data_format("channels_first")
    backend.set_floatx("float64")
    backend.set_epsilon(0.25)
    setup_runtime("cpu", "float32")
    assert backend.image_data_format() == "channels_last"
    assert (backend.floatx(), backend.epsilon()) == ("float32", 1e-7)


def test_auto_falls_back_to_the_cpu():
    warnings = []
    assert resolve_device("auto", warnings.append) == "cpu"
    assert warnings == []


def test_auto_prefers_a_gpu_to_the_cpu(monkeypatch):
    _Gpus(monkeypatch, [(7, 5)])
    assert resolve_device("auto") == "gpu"
    assert resolve_device("cpu") == "cpu"


def test_auto_prefers_an_hpu_to_a_gpu(monkeypatch):
    _Gpus(monkeypatch, [(7, 5)])
    monkeypatch.setattr(hardware, "hpu_problem", lambda: None)
    assert resolve_device("auto") == "hpu"


def test_auto_warns_of_an_hpu_that_cannot_be_used(
    tmp_path, monkeypatch, capsys
):
    (tmp_path / "hl0").touch()
    monkeypatch.setenv("SEGNET_HPU_DEVICE_GLOB", str(tmp_path / "hl*"))
    assert resolve_device("auto") == "cpu"
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("segnet: --device=auto goes on without the HPU")
    assert "requirements/hpu.txt" in lines[0]


def test_hpu_without_hardware_is_one_line():
    with pytest.raises(
        ConfigError, match="--device=hpu: no Gaudi here"
    ) as info:
        setup_runtime("hpu")
    assert "\n" not in str(info.value)
    assert info.value.exit_status == 2
    assert "habana_frameworks" not in sys.modules


def test_gpu_without_gpu_is_one_line(monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: [])
    with pytest.raises(ConfigError, match="TensorFlow sees no GPU") as info:
        setup_runtime("gpu")
    assert "\n" not in str(info.value)


@pytest.mark.parametrize(
    ("device", "usable", "expected"),
    [("hpu", False, "1"), ("auto", True, "1"), ("auto", False, None),
     ("cpu", True, None)],
)  # fmt: skip
def test_environment_of_the_bridge(monkeypatch, device, usable, expected):
    problem = None if usable else "no Gaudi"
    monkeypatch.setattr(hardware, "hpu_problem", lambda: problem)
    prepare_environment(device)
    assert os.environ.get("TF_DISABLE_MKL") == expected


def test_environment_of_the_user_wins(monkeypatch):
    monkeypatch.setenv("TF_ALLOW_CONTROL_EDGES_IN_HABANA_OPS", "0")
    prepare_environment("hpu")
    assert os.environ["TF_ALLOW_CONTROL_EDGES_IN_HABANA_OPS"] == "0"


@pytest.mark.parametrize(
    ("precision", "device", "native", "expected"),
    [
        ("auto", "cpu", True, "bfloat16"),
        ("auto", "cpu", False, "float32"),
        ("float32", "cpu", True, "float32"),
        ("bfloat16", "cpu", False, "bfloat16"),
        ("auto", "hpu", False, "bfloat16"),
        ("float32", "hpu", False, "float32"),
    ],
)
def test_precision(monkeypatch, precision, device, native, expected):
    monkeypatch.setattr(hardware, "cpu_has_bfloat16", lambda: native)
    assert resolve_precision(precision, device) == expected


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ([(8, 0)], "bfloat16"),
        ([(9, 0), (7, 5)], "float32"),
        ([None], "bfloat16"),
    ],
)
def test_precision_of_gpus(monkeypatch, capabilities, expected):
    _Gpus(monkeypatch, capabilities)
    assert resolve_precision("auto", "gpu") == expected
    assert resolve_precision("float16", "gpu") == "float16"
    assert resolve_precision("float32", "gpu") == "float32"


def test_bfloat16_on_an_old_gpu(monkeypatch):
    _Gpus(monkeypatch, [(7, 0)])
    with pytest.raises(ConfigError, match="use --precision=float16"):
        resolve_precision("bfloat16", "gpu")


@pytest.mark.parametrize("device", ["cpu", "hpu"])
def test_float16_is_for_gpus(device):
    with pytest.raises(ConfigError, match="use --precision=bfloat16"):
        resolve_precision("float16", device)


def test_policy_and_conversion_by_the_bridge_exclude_each_other(monkeypatch):
    monkeypatch.setenv("TF_BF16_CONVERSION", "full")
    assert resolve_precision("auto", "hpu") == "float32"
    assert resolve_precision("float32", "hpu") == "float32"
    with pytest.raises(ConfigError, match="TF_BF16_CONVERSION=full"):
        resolve_precision("bfloat16", "hpu")
    monkeypatch.setenv("TF_BF16_CONVERSION", "0")
    assert resolve_precision("bfloat16", "hpu") == "bfloat16"


def test_setup_sets_policy_and_seeds():
    runtime = setup_runtime("cpu", "bfloat16", seed=7)
    assert runtime == Runtime(
        device="cpu",
        device_name="/device:CPU:0",
        precision="bfloat16",
    )
    assert tf.keras.mixed_precision.global_policy().name == "mixed_bfloat16"
    drawn = [np.random.rand(), float(tf.random.uniform([]))]
    # In one process, again.
    setup_runtime("cpu", "float32", seed=7)
    assert tf.keras.mixed_precision.global_policy().name == "float32"
    assert drawn == [np.random.rand(), float(tf.random.uniform([]))]


@pytest.mark.parametrize("deterministic", [True, False])
def test_determinism(monkeypatch, deterministic):
    calls = []
    monkeypatch.setattr(
        tf.config.experimental,
        "enable_op_determinism",
        lambda: calls.append("on"),
    )
    setup_runtime("cpu", deterministic=deterministic)
    assert calls == (["on"] if deterministic else [])


def test_one_gpu_for_each_local_rank(monkeypatch):
    gpus = _Gpus(monkeypatch, [(7, 0), (7, 0)])
    place = setup_runtime("auto", "float16", local_rank=1, local_size=2)
    assert place.device_name == "/device:GPU:0"
    assert tf.keras.mixed_precision.global_policy().name == "mixed_float16"
    assert gpus.growing == [("gpu1", True)]
    assert gpus.visible == ("gpu1", "GPU")
    with pytest.raises(ConfigError, match="process 3 of this host finds 2"):
        setup_runtime("gpu", local_rank=2, local_size=3)


def test_cpu_leaves_gpus_alone(monkeypatch):
    gpus = _Gpus(monkeypatch, [(8, 0)])
    setup_runtime("cpu", "float32")
    assert gpus.visible == ([], "GPU")
    assert gpus.growing == []


def test_a_process_stays_with_its_device(monkeypatch):
    """TensorFlow takes no change of devices once it has computed."""
    _Gpus(monkeypatch, [(8, 0)])

    def refuse(*arguments):
        raise RuntimeError("Physical devices cannot be modified")

    monkeypatch.setattr(tf.config, "set_visible_devices", refuse)
    for device in ("cpu", "gpu"):
        with pytest.raises(ConfigError, match="computes on another device"):
            setup_runtime(device, "float32")


def test_local_ranks_share_the_cores(monkeypatch):
    monkeypatch.setattr(
        os, "sched_getaffinity", lambda pid: set(range(12)), raising=False
    )
    chosen = {}
    for kind in ("intra", "inter"):
        monkeypatch.setattr(
            tf.config.threading,
            f"set_{kind}_op_parallelism_threads",
            lambda number, kind=kind: chosen.update({kind: number}),
        )
    setup_runtime("cpu", local_size=3)
    assert chosen == {"intra": 4, "inter": 4}
    chosen.clear()
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "1")
    setup_runtime("cpu", local_size=3)
    assert chosen == {}


def test_threads_stay_once_operations_have_run():
    tf.constant(1) + 1
    before = tf.config.threading.get_intra_op_parallelism_threads()
    setup_runtime("cpu", local_size=997)
    assert tf.config.threading.get_intra_op_parallelism_threads() == before
