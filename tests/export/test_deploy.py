"""The programs of docs/deploy.md do what they say.

With a run of the tests and, after `make demo`, with that of the demo.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import main
import segnet

pytestmark = pytest.mark.export

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "demo"
NODE = Path(__file__).parent / "node"


def programs(language: str) -> list[str]:
    """The blocks of code of the page."""
    text = (ROOT / "docs" / "deploy.md").read_text()
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture(scope="module", params=["tests", "demo"])
def folder(request, tmp_path_factory):
    """A folder with RUN and a picture of the network's input size."""
    pytest.importorskip("tf2onnx", reason="make test-export installs it")
    folder = tmp_path_factory.mktemp("deploy")
    if request.param == "tests":
        run = request.getfixturevalue("trained")
        rng = np.random.default_rng(3)
        image = Image.fromarray(rng.integers(0, 256, (32, 48, 3), np.uint8))
    else:
        run = DEMO / "run"
        if not (run / "report").exists():
            pytest.skip(f"{run} is not there: make demo")
        image = Image.open(min((DEMO / "data" / "val" / "images").iterdir()))
        image = image.convert("RGB").resize((256, 128))
    shutil.copytree(run, folder / "RUN")
    argv = ["main.py", "export", f"--workdir={folder / 'RUN'}"]
    if request.param == "demo":
        argv.append(f"--data_dir={DEMO / 'records'}")
    assert (
        main.main(
            [*argv, "--export_format=saved_model,tflite,onnx", "--export_force"]
        )
        == 0
    )
    # A PNG by content: its pixels are what is compared.
    image.save(folder / "picture.jpg", "PNG")
    return folder


@pytest.fixture(scope="module")
def expected(folder):
    return segnet.load(folder / "RUN", precision="float32").predict(
        folder / "picture.jpg"
    )


@pytest.mark.parametrize("number", range(3))
def test_python(folder, expected, number):
    code = programs("python")[number] + (
        "\nimport numpy as np\n"
        "labels = np.asarray(labels)\n"
        "np.save('found.npy', labels[0] if labels.ndim == 3 else labels)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True)
    found = np.load(folder / "found.npy")
    assert found.dtype == np.uint8 and found.shape == expected.shape
    assert np.mean(found == expected) >= 0.999


def test_every_python_program_is_run():
    assert len(programs("python")) == 3


@pytest.mark.skipif(
    not (NODE / "node_modules").exists() or not shutil.which("node"),
    reason="make test-export installs onnxruntime-web, where there is npm",
)
def test_javascript(folder, expected, tmp_path):
    (code,) = programs("javascript")
    height, width = expected.shape
    pixels = np.asarray(Image.open(folder / "picture.jpg").convert("RGBA"))
    (tmp_path / "pixels").write_bytes(pixels.tobytes())
    model = json.dumps(str(folder / "RUN" / "export" / "model.onnx"))
    source = json.dumps(str(tmp_path / "pixels"))
    target = json.dumps(str(tmp_path / "labels"))
    code = (
        'import { readFileSync, writeFileSync } from "node:fs";\n'
        f"const model = readFileSync({model});\n{code}\n"
        f"const pixels = readFileSync({source});\n"
        f"const found = await label(pixels, {height}, {width});\n"
        f"writeFileSync({target}, found);\n"
    )
    program = NODE / "node_modules" / "program.mjs"
    program.write_text(code)
    try:
        subprocess.run(["node", program], check=True, timeout=120)
    finally:
        program.unlink()
    found = np.frombuffer((tmp_path / "labels").read_bytes(), np.uint8)
    assert np.mean(found.reshape(expected.shape) == expected) >= 0.999
