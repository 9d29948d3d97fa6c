"""The documentation: what it names exists, and what it quotes is printed."""

from __future__ import annotations

import ast
import contextlib
import functools
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from absl import flags
from conftest import ROOT

from segnet.annotations.importing import settings
from segnet.config.flags import define_flags
from segnet.convert.flags import help_text
from segnet.data import service_program
from tools import make_sample_dataset

PAGES = [
    *(ROOT / name for name in ("README.md", "BUILD.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
FOLDERS = "configs|docs|tools|segnet|tests|requirements|benchmarks"
# Stands for the reader's own recipe.
PLACEHOLDERS = {"configs/NAME.flags"}

# Flags of programs that are not part of the project.
ABSL = "flagfile help"
HOROVODRUN = """
    blacklist-cooldown-range check-build cycle-time-ms fusion-threshold-mb
    gloo-timeout-seconds
    host-discovery-script log-level max-np min-np network-interfaces
    no-stall-check stall-check-shutdown-time-seconds
    stall-check-warning-time-seconds start-timeout timeline-filename
"""
MPIRUN = "allow-run-as-root bind-to map-by mca"
OTHERS = """
    force-reinstall no-build-isolation no-cache-dir no-deps require-hashes
    build-arg entrypoint gpus rm runtime user
    logdir
    parse
"""  # pip; docker; tensorboard; lscpu


def _links(text: str) -> list[str]:
    """Targets of the links that do not lead out of the repository."""
    found = re.findall(r"\]\(([^)\s]+)\)", text)
    return [target for target in found if "://" not in target]


def _broken_link(page: Path, target: str) -> bool:
    path, _, anchor = target.partition("#")
    file = page.parent / path if path else page
    if not file.exists():
        return True
    return bool(anchor) and anchor not in _anchors(file.read_text())


def _anchors(text: str) -> set[str]:
    """What GitHub calls the headings."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    kept = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.replace(" ", "-") for heading in kept}


def _code(text: str) -> Iterator[str]:
    """Code blocks and code spans, continued lines joined."""
    text = text.replace("\\\n", " ")
    blocks = r"^```.*?\n(.*?)^```"
    yield from re.findall(blocks, text, re.MULTILINE | re.DOTALL)
    rest = re.sub(blocks, "", text, flags=re.MULTILINE | re.DOTALL)
    yield from re.findall(r"`([^`]+)`", rest)


def _without_other_projects(text: str) -> str:
    """Leaves out the columns of flags and commands of other projects."""
    lines, foreign = [], False
    for line in text.splitlines():
        foreign = line.startswith("| there ") or (foreign and line[:1] == "|")
        lines.append(line.partition(" | ")[2] if foreign else line)
    return "\n".join(lines)


def _flags(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--([A-Za-z][\w-]*)", text))


@functools.cache
def _main_flags() -> set[str]:
    values = flags.FlagValues()
    define_flags(values)
    return _with_negations(values)


def _with_negations(values: flags.FlagValues) -> set[str]:
    switches = {name for name in values if values[name].boolean}
    return {*values, *(f"no{name}" for name in switches), *ABSL.split()}


@functools.cache
def _converter_flags() -> set[str]:
    return _flags(help_text()) | {*ABSL.split()}


@functools.cache
def _sample_flags() -> set[str]:
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        make_sample_dataset.main(["make_sample_dataset", "--help"])
    return _flags(printed.getvalue().replace("--[no]", "--"))


@functools.cache
def _importer_flags() -> set[str]:
    return _flags(settings.create_parser().format_help())


@functools.cache
def _service_flags() -> set[str]:
    return _flags(service_program.create_parser().format_usage())


@functools.cache
def _benchmark_flags() -> set[str]:
    """Those of the benchmarks and of the fuzzers."""
    files = [*ROOT.glob("benchmarks/**/*.py"), *ROOT.glob("fuzz/*.py")]
    sources = [path.read_text() for path in files]
    return set(re.findall(r'add_argument\(\s*"--(\w+)"', "\n".join(sources)))


@functools.cache
def _printed() -> str:
    """All texts of the programs; a character 0 stands for each value."""
    python = [*(ROOT / "segnet").rglob("*.py"), *ROOT.glob("tools/*.py")]
    texts = [text for path in python for text in _texts(path.read_text())]
    for path in (ROOT / "tools").glob("*.sh"):
        joined = re.sub(r'"\s*\\\n\s*"', " ", path.read_text())
        texts.append(re.sub(r"\$\{?\w+\}?", "\0", joined))
    return "\n".join(" ".join(text.split()) for text in texts)


def _texts(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                part.value if isinstance(part, ast.Constant) else "\0"
                for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 240


@each_page
def test_links_lead_somewhere(page):
    targets = _links(page.read_text())
    assert [target for target in targets if _broken_link(page, target)] == []


def test_a_broken_link_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# One: two\n[a](b.md) [c](#one-two) [d](page.md#three)\n")
    targets = _links(page.read_text())
    broken = [target for target in targets if _broken_link(page, target)]
    assert broken == ["b.md", "page.md#three"]


@each_page
def test_paths_exist(page):
    text = page.read_text()
    named = re.findall(rf"(?<![\w./-])((?:{FOLDERS})/[\w./-]*)", text)
    paths = {path.rstrip(".") for path in named} - PLACEHOLDERS
    assert [path for path in paths if not (ROOT / path).exists()] == []


@each_page
def test_benchmarks_exist(page):
    names = re.findall(r"python -m\s+benchmarks\.(\w+)", page.read_text())
    benchmarks = {path.stem for path in (ROOT / "benchmarks").glob("*.py")}
    assert set(names) <= benchmarks


@each_page
def test_flags_exist(page):
    known = _main_flags() | _converter_flags() | _sample_flags()
    known |= _benchmark_flags() | _importer_flags() | _service_flags()
    known.update(f"{HOROVODRUN} {MPIRUN} {OTHERS}".split())
    text = _without_other_projects(page.read_text())
    assert _flags(text) - known == set()


@each_page
def test_commands_have_flags_of_their_own(page):
    """A flag of the converter in a command of main.py is a mistake, too."""
    text = _without_other_projects(page.read_text())
    for program, known in (
        (r"main\.py", _main_flags()),
        (r"convert_to_tfrecord\.py", _converter_flags()),
        (r"import_annotations\.py", _importer_flags()),
        (r"make_sample_dataset\.py", _sample_flags()),
        (r"data_service\.py", _service_flags()),
    ):
        for code in _code(text):
            for arguments in re.findall(rf"{program}([^\n#;|]*)", code):
                assert _flags(arguments) - known == set()


@each_page
def test_make_targets_exist(page):
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^([a-z-]+):", makefile, re.MULTILINE)
    for code in _code(page.read_text()):
        named = re.findall(r"^(?:\w+=\S+ )*make ([a-z-]+)", code, re.MULTILINE)
        assert set(named) <= set(targets)


def test_messages_are_printed():
    """Those that BUILD.md explains, between values and punctuation."""
    table = (ROOT / "BUILD.md").read_text().partition("## Troubleshooting")[2]
    programs = r"segnet|setup|test|error|checkpoint|convert_to_tfrecord"
    messages = re.findall(rf"`((?:{programs}):? [^`]*)`", table)
    assert len(messages) > 40
    parts = [
        part.strip()
        for message in messages
        for part in re.split(r"\.\.\.|: |[;()]", message)
    ]
    long_enough = [part for part in parts if len(part) >= 8]
    assert [part for part in long_enough if part not in _printed()] == []


def test_environment_variables_are_explained():
    variable = re.compile(r"\bSEGNET_[A-Z0-9_]+")
    sources = [*(ROOT / "segnet").rglob("*.py"), *ROOT.glob("tools/*.*")]
    used = {
        name for path in sources for name in variable.findall(path.read_text())
    }
    assert set(variable.findall((ROOT / "BUILD.md").read_text())) == used
