"""An import that is killed leaves nothing, and the next one everything."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import numpy as np
import picture_files as files
import pytest
from conftest import ROOT

_PICTURES = 400


def _command(folder, output):
    return [
        sys.executable, str(ROOT / "tools" / "import_annotations.py"),
        "--format=labelme", f"--input={folder}", f"--output_dir={output}",
        "--num_workers=2",
    ]  # fmt: skip


def _tree(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def source(tmp_path):
    """Pictures with a box each, as LabelMe writes them."""
    folder = tmp_path / "labelled"
    folder.mkdir()
    data = files.saved(np.zeros((24, 40, 3), np.uint8), "PNG")
    for number in range(_PICTURES):
        stem = f"p{number:03d}"
        (folder / f"{stem}.png").write_bytes(data)
        corner = [2 + number % 20, 3]
        box = {
            "label": "car", "shape_type": "rectangle",
            "points": [corner, [38, 20]],
        }  # fmt: skip
        (folder / f"{stem}.json").write_text(
            json.dumps({
                "imagePath": f"{stem}.png", "imageHeight": 24,
                "imageWidth": 40, "shapes": [box],
            })
        )  # fmt: skip
    return folder


def test_killed_and_run_again(source, tmp_path):
    whole, output = tmp_path / "whole", tmp_path / "out"
    subprocess.run(_command(source, whole), check=True, capture_output=True)
    with subprocess.Popen(
        _command(source, output),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        # As soon as a part of it is there.
        part = output / ".import.tmp" / "annotations"
        while process.poll() is None and not any(part.glob("*.png")):
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not (output / "import.json").exists()
    assert not (output / "annotations").exists()
    again = subprocess.run(
        _command(source, output), check=True, capture_output=True, text=True
    )
    assert "convert_to_tfrecord" in again.stdout
    assert _tree(output) == _tree(whole)
