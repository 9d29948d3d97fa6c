"""What we rely on in the real habana-tensorflow, without a Gaudi.

`make test-habana` installs it (Python 3.10) and runs this file. The package
is looked at in processes of their own: its import patches Keras.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from test_hpu_runs import MISSING_ON_GAUDI

from segnet.runtime import device, hardware

VERSION = "1.14.0.493"


def _version():
    try:
        return importlib.metadata.version("habana-tensorflow")
    except importlib.metadata.PackageNotFoundError:
        return None


pytestmark = [
    pytest.mark.hpu,
    pytest.mark.skipif(
        _version() is None,
        reason="habana-tensorflow is not installed: make test-habana",
    ),
]
no_gaudi = pytest.mark.skipif(
    bool(hardware.find_hpu_hardware()), reason="there is a Gaudi here"
)


def _python(code):
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


@pytest.fixture(scope="module")
def bridge():
    """The bridge's library, as bytes; names in it are plain text."""
    files = importlib.metadata.files("habana-tensorflow")
    (library,) = [f for f in files if f.name.startswith("habana_device.so")]
    return Path(library.locate()).read_bytes()


@pytest.fixture(scope="module")
def kernels(bridge):
    """Names of the classes of kernels, from the library's type names."""
    names = re.findall(rb"_ZTSN14tensorflow_hpu(\d+)(\w+)E\0", bridge)
    return {name[: int(length)].decode() for length, name in names}


def test_the_version_is_the_one_that_is_pinned():
    assert _version() == VERSION
    pinned = (ROOT / "requirements" / "hpu.txt").read_text()
    assert f"habana-tensorflow=={VERSION}\n" in pinned


def test_the_calls_that_are_made_exist():
    """The import needs no driver; only loading the bridge does."""
    result = _python(
        "import inspect, json\n"
        "import tensorflow as tf\n"
        "from habana_frameworks.tensorflow import load_habana_module\n"
        "from habana_frameworks.tensorflow import lib_utils\n"
        "print(json.dumps([tf.__version__, [str(p) for p in inspect."
        "signature(load_habana_module).parameters.values() "
        "if p.default is p.empty]]))"
    )
    assert result.returncode == 0, result.stderr
    version, required = json.loads(result.stdout.splitlines()[-1])
    assert version == device._HPU_TENSORFLOW
    assert required == []


def test_the_bridge_reads_the_variables_that_are_set(bridge):
    for name in (*device._HPU_ENVIRONMENT, device._BF16_VARIABLE):
        if name != "TF_DISABLE_MKL":  # TensorFlow reads that one.
            assert name.encode() in bridge, name


def test_the_bridge_has_no_kernel_for_what_the_step_avoids(kernels):
    """The list of the tests with the simulated Gaudi is right."""
    # The network's own operations are found by this way of looking.
    for name in ("Conv2D", "MaxPool", "MaxPoolGrad", "FusedBatchNorm",
                 "ResizeNearestNeighbor", "OneHot"):  # fmt: skip
        assert f"{name}Op" in kernels, name
    for name in MISSING_ON_GAUDI:
        assert f"{name}Op" not in kernels, name


@no_gaudi
def test_without_a_driver_the_first_device_query_ends_the_process():
    """Why the hardware is looked for before anything is loaded."""
    result = _python(
        "from habana_frameworks.tensorflow import load_habana_module\n"
        "try:\n"
        "    load_habana_module()\n"
        "except Exception as error:\n"
        "    print('caught', repr(error), flush=True)\n"
        "import tensorflow as tf\n"
        "tf.config.list_physical_devices()\n"
        "print('alive')\n"
    )
    assert "caught" in result.stdout
    assert result.returncode == -signal.SIGABRT
    assert "alive" not in result.stdout


@no_gaudi
def test_a_device_node_without_a_driver_is_one_line_too(data_dir, tmp_path):
    """As in a container; the bridge then raises an AttributeError."""
    (tmp_path / "hl0").touch()
    result = _train(
        "hpu", data_dir, tmp_path,
        {**os.environ, hardware.HPU_GLOB_VARIABLE: str(tmp_path / "hl*")},
    )  # fmt: skip
    assert result.returncode == 2, result.stderr
    # Before it the bridge logs a line of its own.
    line = result.stderr.splitlines()[-1]
    assert "segnet: --device=hpu: habana-tensorflow cannot be loaded" in line
    assert "Traceback" not in result.stderr


@no_gaudi
@pytest.mark.parametrize("device", ["hpu", "auto"])
def test_without_a_driver_there_is_one_line(device, data_dir, tmp_path):
    environment = dict(os.environ)
    environment.pop(hardware.HPU_GLOB_VARIABLE, None)
    result = _train(device, data_dir, tmp_path, environment)
    if device == "hpu":
        assert result.returncode == 2
        assert result.stderr.startswith("segnet: --device=hpu: no Gaudi here")
        assert result.stderr.count("\n") == 1
    else:
        assert result.returncode == 0, result.stderr
        assert result.stdout.splitlines()[1].startswith("cpu ")


def _train(device, data_dir, folder, environment):
    """One step of a tiny network."""
    return subprocess.run(
        [sys.executable, str(ROOT / "main.py"), f"--device={device}",
         f"--data_dir={data_dir}", f"--workdir={folder / 'run'}",
         "--input_height=32", "--input_width=48", "--width_multiplier=0.05",
         "--batch_size=2", "--max_steps=1"],
        env=environment, capture_output=True, text=True, check=False,
        timeout=300,
    )  # fmt: skip
