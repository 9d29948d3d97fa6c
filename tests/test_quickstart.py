"""docs/quickstart.ipynb runs from its first cell to its last."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from conftest import ROOT

NOTEBOOK = ROOT / "docs" / "quickstart.ipynb"


def _text(cell):
    """What running a cell has printed."""
    return "".join(
        "".join(output.get("text", "")) for output in cell.get("outputs", [])
    )


def test_it_is_small_and_whole():
    notebook = json.loads(NOTEBOOK.read_text())
    assert NOTEBOOK.stat().st_size < 100_000
    outputs = [o for x in notebook["cells"] for o in x.get("outputs", [])]
    assert not [o for o in outputs if o["output_type"] == "error"]
    pictures = [o for o in outputs if "image/jpeg" in o.get("data", {})]
    assert len(pictures) == 2
    assert "mean IoU 0.9" in "".join(map(_text, notebook["cells"]))


@pytest.mark.docs
def test_it_runs(tmp_path):
    import nbclient
    import nbformat

    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("segnet", "tools", "configs", "docs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    shutil.copy(ROOT / "main.py", tmp_path)
    notebook = nbformat.read(NOTEBOOK, 4)
    client = nbclient.NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path / "docs")}},
    )
    client.execute()
    printed = "".join(map(_text, notebook.cells))
    score = re.search(r"mean IoU ([\d.]+) \(95 % interval", printed)
    assert score and float(score[1]) > 0.85
    assert (tmp_path / "runs/quickstart/report/index.html").exists()
