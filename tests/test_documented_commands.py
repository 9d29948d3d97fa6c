"""The commands of README and of the tutorial pages do what is said.

They are run as they stand, one after the other, in a folder that has what a
clone has, on scenes that are drawn by the command that README gives for that.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT
from PIL import Image

PAGES = (
    "README.md",
    *(
        f"docs/{name}.md"
        for name in (
            "data", "training", "evaluation", "report", "prediction", "python",
            "deploy", "workers", "migration",
        )
    ),
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Block:
    """A block of code: page, heading that it stands under, language, code."""

    page: str
    heading: str
    language: str
    code: str

    @property
    def place(self):
        return f"{self.page}: {self.heading}"


def _blocks(page: str) -> Iterator[Block]:
    """The shell and Python code of a page."""
    heading, language, lines = "", None, []
    for line in (ROOT / page).read_text().splitlines():
        if line.startswith("```") and language is None:
            language, lines = line[3:], []
        elif line.startswith("```"):
            if language in ("shell", "python"):
                yield Block(page, heading, language, "\n".join(lines))
            language = None
        elif language is not None:
            lines.append(line)
        elif line.startswith("#"):
            heading = line.strip("# ")


# Words of the pages that stand for the reader's own, in the order of running.
RUN = {"RUN": "runs/first"}
TRAINED_SHORT = {' workdir="runs': ' max_steps=8, workdir="runs'}
RUNS = {
    "README.md: Your own data": {},
    "README.md: From Python": TRAINED_SHORT,
    "README.md: Evaluate, predict, TensorBoard, the workdir": {
        **RUN,
        "a.jpg": "picture.jpg",
        # A server, which would not end.
        "tensorboard --logdir=": "test -d ",
    },
    "docs/data.md: Converting": {"=11": "=4", "data/records": "data/r2"},
    "docs/data.md: Look at the data": {"=11": "=4", "data/records": "data/r4"},
    "docs/data.md: Drawn scenes": {"data/mine": "data/drawn"},
    "docs/evaluation.md: Evaluate": {**RUN, "OTHER": "data/records"},
    "docs/report.md: The report, and what the network does not know": {
        **RUN, "OTHER_RUN": "runs/py", "data/unlabelled": "data/pictures",
        " --mc_samples=20": "",  # The run has no dropout.
    },
    "docs/prediction.md: Prediction": {
        **RUN, "_dir=out": "_dir=out --probabilities", "photo_": "picture_",
    },
    "docs/prediction.md: Correct predictions in a labelling tool": {
        **RUN, "image_path=new": "image_path=data/pictures",
        "images_dir=new": "images_dir=data/pictures",
    },
    "docs/data.md: I have ..., what do I type?": {
        "FOLDER": "labelled --images_dir=data/pictures",
        "data/mine": "data/imported",
    },
    "docs/python.md: From Python": {
        **TRAINED_SHORT, '"data/records"': '"data/r3"',
    },
    "docs/workers.md: Data beyond one disk": {"DATA": "data/records"},
}  # fmt: skip
# What needs more than this machine has, or is run by other tests.
NOT_RUN = {
    "README.md: segnet": "make; CI",
    "README.md: CamVid and VGG16 weights": "tests/tools/",
    "README.md: Several devices": "tests/runtime/",
    "docs/data.md: Dividing one pair of folders": "flags without a program",
    "docs/data.md: Cross-validation": "tests/commands/",
    "docs/data.md: CamVid": "a data set from outside",
    "docs/data.md: More pictures than one machine converts": "tests/convert/",
    "docs/evaluation.md: The workdir": "installs a package",
    "docs/prediction.md: Films": "installs a package",
    "docs/deploy.md: Deployment": "tests/export/",
    "docs/deploy.md: SavedModel": "tests/export/",
    "docs/deploy.md: TensorFlow Serving": "a container",
    "docs/deploy.md: ONNX Runtime": "tests/export/",
    "docs/deploy.md: TFLite": "tests/export/",
    "docs/workers.md: Decoding on other hosts": "tests/data/",
    "docs/workers.md: Elastic: workers that come and go": "tests/runtime/",
}


def test_every_block_is_run_or_said_not_to_be():
    places = {block.place for page in PAGES for block in _blocks(page)}
    assert places == RUNS.keys() | NOT_RUN.keys()


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A folder with what the commands are run in."""
    folder = tmp_path_factory.mktemp("clone")
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("segnet", "tools", "configs"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copy(ROOT / "main.py", folder)
    return folder


def _run(language: str, code: str, folder: Path) -> None:
    command = {"shell": ["bash", "-ec"], "python": [sys.executable, "-c"]}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [*command[language], code],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, (code, done.stdout, done.stderr)


def _prepare(clone: Path) -> None:
    """What the reader of the pages has: pictures, and the run's classes."""
    pictures = clone / "data" / "pictures"
    pictures.mkdir()
    images = sorted((clone / "data/mine/train/images").iterdir())
    for name, image in zip(("picture.jpg", "other.jpg"), images, strict=False):
        Image.open(image).convert("RGB").save(pictures / name)
    shutil.copy(pictures / "picture.jpg", clone)
    names = (clone / "data/mine/class_names.txt").read_text()
    (clone / "classes.txt").write_text(f"{names}void: background\n")


def _code(block: Block) -> str:
    code = block.code
    for word, own in RUNS[block.place].items():
        # RUN is no part of OTHER_RUN.
        whole = rf"\b{word}\b" if word.isupper() else re.escape(word)
        code = re.sub(whole, own, code)
    return code


@pytest.mark.slow
def test_commands_run_as_they_stand(clone):
    blocks = [block for page in PAGES for block in _blocks(page)]
    first = "README.md: Your own data"
    (own_data,) = (block for block in blocks if block.place == first)
    setup, drawing, *commands = own_data.code.split("\n")
    assert setup.startswith("make setup")
    _run("shell", drawing.partition(": ")[2], clone)
    _prepare(clone)
    _run("shell", "\n".join(commands), clone)
    # Later ones may need what earlier ones write.
    for place in [place for place in RUNS if place != first]:
        for block in blocks:
            if block.place == place:
                _run(block.language, _code(block), clone)
