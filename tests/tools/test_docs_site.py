"""The documentation site, and what would be wrong with it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT

# Of the environment beside the one of the tests, see `make docs`.
MKDOCS = f"{sys.prefix}-docs/bin/mkdocs"

pytestmark = pytest.mark.docs

_PARTS = ("docs", "segnet", "tools", "configs")
_FILES = (
    "mkdocs.yml", "README.md", "BUILD.md", "CONTRIBUTING.md", "SECURITY.md",
    "CHANGELOG.md", "LICENSE",
)  # fmt: skip


@pytest.fixture
def source(tmp_path):
    """What the site is built from."""
    ignored = shutil.ignore_patterns("__pycache__")
    for name in _PARTS:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    for name in _FILES:
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def _build(source):
    """Exit status, and the warnings."""
    done = subprocess.run(
        [MKDOCS, "build", "--strict"],
        cwd=source,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return done.returncode, re.findall(r"WARNING.*", done.stderr)


def test_the_site_is_whole_and_fetches_nothing(source):
    assert _build(source) == (0, [])
    pages = {path.name: path for path in (source / "site").glob("*.html")}
    expected = {path.stem for path in (source / "docs").glob("*.md")}
    expected |= {"index", "BUILD", "CONTRIBUTING", "SECURITY", "CHANGELOG"}
    assert {f"{name}.html" for name in expected} <= pages.keys()
    for page in pages.values():
        tags = re.findall(r"<(?:script|img|link)[^>]*>", page.read_text())
        assert [tag for tag in tags if "://" in tag] == []
    # The reference has the arguments, and what an error is.
    reference = pages["reference.html"].read_text()
    for word in ("num_folds", "max_pixels", "TrainResult", "DataError"):
        assert word in reference


@pytest.mark.parametrize(
    ("page", "link", "said"),
    [
        ("docs/data.md", "[a](gone.md)", "gone.md"),
        ("docs/data.md", "[a](training.md#gone)", "#gone"),
        ("docs/data.md", "[a](../BUILD.md#gone)", "#gone"),
        ("README.md", "[a](docs/gone.md)", "gone.md"),
        ("README.md", "![a](docs/images/gone.png)", "images/gone.png"),
    ],
)
def test_a_dead_link_ends_the_build(source, page, link, said):
    with (source / page).open("a") as file:
        file.write(f"\n{link}\n")
    status, warnings = _build(source)
    assert status == 1
    assert len(warnings) == 1
    assert said in warnings[0]


def test_a_page_that_is_not_listed_ends_the_build(source):
    (source / "docs" / "new.md").write_text("# New\n")
    status, warnings = _build(source)
    assert status == 1
    assert warnings
