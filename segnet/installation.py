"""How the project is there: as a clone, or as an installed package.

In a clone its programs are started by their paths; a package brings commands
for them, and the recipes of `configs/` inside it.
"""

from __future__ import annotations

import os

__all__ = [
    "PROJECT",
    "command_words",
    "find_recipe",
    "is_clone",
    "list_recipes",
    "named_as_here",
    "remedy_for_packages",
]

_PACKAGE = os.path.dirname(os.path.abspath(__file__))
# The folder of the clone.
PROJECT = os.path.dirname(_PACKAGE)
_RECIPES = "configs"
# The programs of a clone, and the commands that pyproject.toml makes of them.
_COMMANDS = {
    "main.py": "segnet",
    "tools/convert_to_tfrecord.py": "segnet-convert",
    "tools/data_service.py": "segnet-data-service",
    "tools/import_annotations.py": "segnet-import",
    "tools/summarize_folds.py": "segnet-summarize-folds",
}


def is_clone() -> bool:
    """Whether the programs lie beside the package."""
    return all(
        os.path.exists(os.path.join(PROJECT, name)) for name in _COMMANDS
    )


def command_words(program: str) -> list[str]:
    """How a program is started.

    Args:
      program: Its path in a clone, for example `main.py`.

    Returns:
      The first words of its command line; in a clone a path that holds in the
      working directory.
    """
    if not is_clone():
        return [_COMMANDS[program]]
    there = os.path.join(PROJECT, program)
    return ["python", program if os.path.exists(program) else there]


def named_as_here(text: str) -> str:
    """A text with the names that its programs have here.

    Args:
      text: Names programs as a clone does: `python main.py`, or `main.py`.
    """
    if not is_clone():
        for program, command in _COMMANDS.items():
            text = text.replace(f"python {program}", command)
            text = text.replace(program, command)
    return text


def find_recipe(path: str) -> str | None:
    """The flagfile that came with the project; None if there is no such one.

    Args:
      path: `configs/NAME`, as one would name it in a clone.
    """
    folder, name = os.path.split(os.path.normpath(path))
    if folder != _RECIPES:
        return None
    return next(
        (
            there
            for place in (_PACKAGE, PROJECT)
            if os.path.isfile(there := os.path.join(place, _RECIPES, name))
        ),
        None,
    )


def list_recipes() -> list[str]:
    """The flagfiles that came with the project: `configs/NAME`, sorted."""
    for place in (_PACKAGE, PROJECT):
        folder = os.path.join(place, _RECIPES)
        if os.path.isdir(folder):
            names = sorted(os.listdir(folder))
            found = [x for x in names if x.endswith(".flags")]
            return [f"{_RECIPES}/{name}" for name in found]
    return []


def remedy_for_packages() -> str:
    """What to do when a package is missing or damaged."""
    if is_clone():
        return "run 'make setup' and use .venv/bin/python"
    return "install segnet again: pip install --force-reinstall segnet"
