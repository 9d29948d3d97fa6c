"""The map of the code and the rules of the house, read from the files."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# A module of segnet/ imports only from rows above its own. The numbers are
# those of CONTRIBUTING.md; some rows have an order within.
ROWS = (
    # 0: names, rules, configuration; no TensorFlow.
    {"constants", "errors"},
    {"hardware", "launcher", "manifest", "signals", "values"},
    {"options"},
    {"config"},
    {"config_file"},
    {"schedule"},
    # 1: one subject each; first the parts of an owner that is split.
    {"files", "png", "processes", "schema", "tfrecord"},
    {"adam", "averages", "parallel", "picture_files", "resizing",
     "shard_files", "splits"},
    {
        "augment", "boundary", "checkpoint", "class_weights", "convert_flags",
        "distributed", "flags", "images", "inference", "losses", "metrics",
        "models", "optim", "overlay", "records", "runtime", "summaries",
        "sync_batch_norm",
    },
    # 2: what joins a few of them.
    {"elastic", "pairs", "predict", "recalibration", "reporting", "shards",
     "sources", "steps"},
    {"build", "data", "health"},
    {"conversion"},
    {"parts"},
    # 3, 4: one exact pass, the outer loop. Last, what the modes do.
    {"evaluate"},
    {"scoring"},
    {"trainer"},
    {"train"},
    {"commands"},
)  # fmt: skip
ROW_OF = {name: number for number, row in enumerate(ROWS) for name in row}

# The only modules that import a package: all others stay free of it.
ONLY_IMPORTERS = {
    "absl": {"convert_flags", "flags"},
    "habana_frameworks": {"runtime"},
    "horovod": {"distributed", "elastic"},
    "pickle": set(),
}
STDLIB_ONLY = {"config", "constants", "errors", "options", "schedule"}

REQUIREMENTS = sorted([
    ROOT / "requirements.txt", *(ROOT / "requirements").glob("*.txt")
])  # fmt: skip
PROGRAM_FILES = sorted([
    ROOT / "main.py", *(ROOT / "segnet").rglob("*.py"),
    *(ROOT / "tools").rglob("*.py"),
])  # fmt: skip


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _module_files() -> Iterator[tuple[str, Path]]:
    """(top-level name within segnet, file) of all of its modules."""
    for path in sorted((ROOT / "segnet").rglob("*.py")):
        if path != ROOT / "segnet" / "__init__.py":
            yield (
                path.relative_to(ROOT / "segnet").parts[0].removesuffix(".py"),
                path,
            )


def _imports(source: str) -> set[str]:
    """Dotted names that code imports, wherever in it; `.x` is segnet's x."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                module = f"segnet.{module}".rstrip(".")
            if module == "segnet":
                names |= {f"segnet.{alias.name}" for alias in node.names}
            else:
                names.add(module)
    return names


def _violations(importer: str, source: str) -> list[str]:
    """What `importer` imports from its own row or from rows below."""
    used = {
        name.split(".")[1]
        for name in _imports(source)
        if name.startswith("segnet.")
    }
    return sorted(
        name
        for name in used - {importer}
        if ROW_OF.get(name, len(ROWS)) >= ROW_OF[importer]
    )


def test_every_module_has_one_row():
    modules = {name for name, _ in _module_files()}
    assert modules <= set(ROW_OF), "give new modules a row in ROWS"
    assert sum(len(row) for row in ROWS) == len(ROW_OF)


@pytest.mark.parametrize(
    "source",
    [
        "from segnet import train",
        "from segnet.train import train_and_evaluate",
        "import segnet.train as t",
        "from . import train",
        "from .train import x",
        "def f():\n    from segnet import losses, train",
        "from segnet.unheard_of import x",
    ],
)
def test_an_import_from_below_is_seen(source):
    assert _violations("steps", source) in (["train"], ["unheard_of"])
    assert _violations("steps", "from segnet import losses, errors") == []


@pytest.mark.parametrize(
    ("importer", "path"),
    [pytest.param(*item, id=_name(item[1])) for item in _module_files()],
)
def test_imports_come_from_rows_above(importer, path):
    source = path.read_text()
    assert _violations(importer, source) == []
    packages = {name.split(".")[0] for name in _imports(source)}
    for package, importers in ONLY_IMPORTERS.items():
        assert package not in packages or importer in importers
    if importer in STDLIB_ONLY:
        assert packages <= {*sys.stdlib_module_names, "segnet"}


def test_sizes():
    too_long = {
        _name(path): lines
        for path in [*PROGRAM_FILES, *(ROOT / "tests").rglob("*.py")]
        if (lines := len(path.read_text().splitlines())) > 300
    }
    assert too_long == {}
    assert len((ROOT / "main.py").read_text().splitlines()) < 80


@pytest.mark.parametrize("path", PROGRAM_FILES, ids=_name)
def test_public_names_are_listed_and_exist(path):
    tree = ast.parse(path.read_text())
    defined, listed = set(), None
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            defined |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            defined.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = getattr(node, "targets", None) or [node.target]
            for name in ast.walk(ast.Module(targets, [])):
                if isinstance(name, ast.Name):
                    defined.add(name.id)
            if any(
                getattr(target, "id", "") == "__all__" for target in targets
            ):
                listed = ast.literal_eval(node.value)
    if listed is None:
        assert path.name in ("__init__.py", "main.py")
    else:
        assert set(listed) <= defined


def _requirements(path: Path) -> dict[str, str]:
    """The requirement of each package that a file names, `-r` followed."""
    found = {}
    for line in path.read_text().splitlines():
        line = line.split("#")[0].strip()
        if line.startswith("-r "):
            found |= _requirements(path.parent / line[3:])
        elif line and not line.startswith("-c "):
            found[re.split(r"[=<>~! ;\[]", line)[0].lower()] = line
    return found


@pytest.mark.parametrize("path", REQUIREMENTS, ids=_name)
def test_every_requirement_is_pinned(path):
    requirements = _requirements(path)
    assert requirements
    for requirement in requirements.values():
        assert re.fullmatch(
            r"[a-z0-9-]+==[0-9][0-9a-z.]*( ; python_version < \"3\.11\")?",
            requirement,
        )


def test_what_requirements_need_is_pinned_too():
    packaging = pytest.importorskip("packaging.requirements")
    pinned = _requirements(ROOT / "requirements" / "dev.txt")
    for name, requirement in pinned.items():
        marker = packaging.Requirement(requirement).marker
        if marker is not None and not marker.evaluate():
            continue
        for text in importlib.metadata.requires(name) or ():
            need = packaging.Requirement(text)
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                key = re.sub(r"[-_.]+", "-", need.name).lower()
                assert key in pinned, f"{name} needs {text}"


def test_versions_agree_between_files():
    run = _requirements(ROOT / "requirements.txt")
    hpu = _requirements(ROOT / "requirements" / "hpu.txt")
    assert {name: hpu[name] for name in run.keys() & hpu.keys()} == {
        name: run[name] for name in run.keys() & hpu.keys()
    }
    version = run["tensorflow"].split("==")[1]
    assert hpu["tensorflow-cpu"] == f"tensorflow-cpu=={version}"
    assert "tensorflow" not in hpu


def test_scripts_can_be_run():
    scripts = [ROOT / ".ci" / "run", *(ROOT / "tools").glob("*.sh")]
    assert len(scripts) > 1
    for path in scripts:
        assert os.access(path, os.X_OK), f"chmod +x {_name(path)}"
        assert path.read_text().startswith("#!/usr/bin/env bash\n")


def test_make_help_lists_every_target():
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.M)[1].split()
    assert sorted(phony) == sorted(
        re.findall(r"^([a-z-]+):[^\n]*## \S", makefile, re.M)
    )
