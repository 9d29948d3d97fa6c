"""The project as an installed package: what is in it, and that it works."""

from __future__ import annotations

import email
import json
import re
import shutil
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT

from segnet.installation import list_recipes

COMMANDS = {
    "segnet": "main.py",
    "segnet-convert": "tools/convert_to_tfrecord.py",
    "segnet-data-service": "tools/data_service.py",
    "segnet-import": "tools/import_annotations.py",
    "segnet-summarize-folds": "tools/summarize_folds.py",
}
EXTRAS = {
    "beam", "export", "gpu", "horovod", "mlflow", "report", "video", "wandb",
}  # fmt: skip


def _run(*command, cwd, **options) -> subprocess.CompletedProcess:
    # From a terminal of its own: no path of the tests leads to the clone.
    return subprocess.run(
        [str(word) for word in command], cwd=cwd, capture_output=True,
        text=True, check=False, timeout=1200, env={"PATH": "/usr/bin:/bin"},
        **options,
    )  # fmt: skip


def _source(folder: Path) -> Path:
    """What is made a package of, without what a build would leave there."""
    for name in ("segnet", "configs", "requirements"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in (
        "pyproject.toml", "setup.py", "MANIFEST.in", "requirements.txt",
        "README.md", "LICENSE", "CHANGELOG.md",
    ):  # fmt: skip
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    built = _run(
        sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-index",
        "--no-build-isolation", "-w", folder, _source(folder / "source"),
        cwd=folder,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    return next(folder.glob("segnet-*-py3-none-any.whl"))


@pytest.fixture(scope="module")
def bin_dir(wheel, tmp_path_factory) -> Path:
    """Programs of an environment that has the wheel and, lent, the rest."""
    folder = tmp_path_factory.mktemp("installed") / "env"
    venv.create(folder)
    packages = next(folder.glob("lib/python3.*/site-packages"))
    (packages / "lent.pth").write_text("\n".join(site.getsitepackages()))
    installed = _run(
        sys.executable, "-m", "pip", "--python", folder / "bin" / "python",
        "install", "--no-deps", "--no-index", wheel, cwd=folder,
    )  # fmt: skip
    assert installed.returncode == 0, installed.stderr
    return folder / "bin"


def test_a_wheel_has_every_file_of_the_package_and_the_recipes(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = {x for x in archive.namelist() if ".dist-info/" not in x}
    source = wheel.parent / "source"
    wanted = {
        str(path.relative_to(source))
        for path in (source / "segnet").rglob("*")
        if path.is_file()
    }
    recipes = {f"segnet/{name}" for name in list_recipes()}
    assert names == wanted | recipes
    assert "segnet/py.typed" in names and "segnet/configs/own.flags" in names


def test_pins_are_those_of_the_requirements(wheel):
    with zipfile.ZipFile(wheel) as archive:
        name = next(x for x in archive.namelist() if x.endswith("/METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
    assert metadata["Requires-Python"] == "<3.12,>=3.10"
    assert set(metadata.get_all("Provides-Extra")) == EXTRAS
    found: dict[str, set[str]] = {}
    for line in metadata.get_all("Requires-Dist"):
        pin, _, extra = line.partition("; extra == ")
        found.setdefault(extra.strip('"'), set()).add(pin)
    files = {"": "requirements.txt"}
    files |= {extra: f"requirements/{extra}.txt" for extra in EXTRAS}
    for extra, file in files.items():
        lines = (ROOT / file).read_text().splitlines()
        pins = {line for line in lines if line and not line.startswith("#")}
        assert found.get(extra, set()) == pins
        assert all("==" in pin for pin in pins)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_call_themselves_by_their_names(bin_dir, tmp_path, command):
    shown = _run(bin_dir / command, "--help", cwd=tmp_path)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert command in shown.stdout
    assert not any(program in shown.stdout for program in COMMANDS.values())


def test_every_program_of_the_clone_is_a_command():
    for program in COMMANDS.values():
        lines = (ROOT / program).read_text().splitlines()
        assert len(lines) < 40
        assert "from segnet import cli" in lines


@pytest.mark.slow
def test_commands_work_in_any_folder(bin_dir, folders, tmp_path):
    """And name each other, and the recipes, as they are called there."""
    both = _run(
        bin_dir / "segnet-convert", "--split=train,val", "--val_fraction=0.3",
        f"--images_dir={folders / 'train' / 'images'}",
        f"--annotations_dir={folders / 'train' / 'annotations'}",
        "--output_dir=records", "--num_classes=3", "--void_labels=3",
        cwd=tmp_path,
    )  # fmt: skip
    assert both.returncode == 0, both.stderr
    following = both.stdout.splitlines()[-1].removeprefix("next: segnet ")
    assert following == (
        "--flagfile=configs/own.flags --data_dir=records --workdir=runs/first"
    )
    trained = _run(
        bin_dir / "segnet", *following.split(), "--max_steps=1",
        "--width_multiplier=0.1", cwd=tmp_path,
    )  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    first, *_, report = trained.stdout.splitlines()
    assert first.startswith("--flagfile=configs/own.flags: the recipe ")
    assert first.endswith("site-packages/segnet/configs/own.flags")
    following = "next: segnet --mode=evaluate --workdir=runs/first\n"
    assert following in trained.stdout
    assert report == "report: runs/first/report/index.html"
    missing = _run(bin_dir / "segnet", "--flagfile=configs/x", cwd=tmp_path)
    assert missing.returncode == 2
    assert "recipes that are there: configs/camvid.flags, " in missing.stderr


def _python_of(page: str, options: str) -> str:
    """The first Python code of a page; its training gets some options."""
    text = (ROOT / page).read_text()
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
    shortened, count = re.subn(r'(workdir="[\w/]+")', rf"\1, {options}", code)
    assert count == 1
    return shortened


def _draw(folder: Path) -> None:
    drawn = _run(
        sys.executable, ROOT / "tools" / "make_sample_dataset.py", "--simple",
        "--output_dir=data/mine", "--num_train=8", "--num_val=0", cwd=folder,
    )  # fmt: skip
    assert drawn.returncode == 0, drawn.stderr
    pictures = (folder / "data" / "mine" / "train" / "images").iterdir()
    shutil.copy(min(pictures), folder / "picture.jpg")


def _run_code(python: Path, folder: Path, code: str) -> None:
    """Runs Python on a few scenes, with the installed package."""
    _draw(folder)
    (folder / "lines.py").write_text(
        f"{code}\nprint(segnet.evaluate('runs/wide')['mean_iou'])"
        "\nprint(segnet.__file__, model.predict('picture.jpg').shape)\n"
    )
    done = _run(python, "lines.py", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    *_, score, last = done.stdout.splitlines()
    assert 0 <= float(score) <= 1
    assert last.startswith(f"{python.parents[1]}/lib/")
    assert last.endswith("/segnet/__init__.py (128, 256)")


@pytest.mark.slow
def test_the_python_of_the_page(bin_dir, tmp_path):
    code = _python_of("docs/python.md", "max_steps=2")
    _run_code(bin_dir / "python", tmp_path, code)


@pytest.mark.slow
def test_the_python_of_readme_in_an_empty_environment(wheel, tmp_path):
    """Needs the packages of requirements.txt from a registry, or its cache.

    And those of the extra `export`, with which all files are written.
    """
    folder = tmp_path / "env"
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    installed = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", f"{wheel}[export]"],
        capture_output=True, text=True, check=False, timeout=1800,
    )  # fmt: skip
    assert installed.returncode == 0, installed.stderr
    checked = _run(python, "-m", "pip", "check", cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout
    options = "max_steps=8, silence='all'"
    pages = ("docs/python.md", "README.md")
    code = "\n".join(_python_of(page, options) for page in pages)
    # Eight steps leave int8 little to agree with.
    exported = (
        "segnet.export('runs/py', formats=['tflite', 'onnx'], force=True)"
    )
    _run_code(python, tmp_path, f"{code}\n{exported}")
    content = tmp_path / "runs" / "py" / "export" / "export.json"
    rows = json.loads(content.read_text())["formats"]
    assert len(rows) == 5
    for row in rows.values():
        assert row["precision"] == "int8" or row["agreement"] >= 0.999
