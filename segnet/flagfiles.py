"""Flagfiles: their lines, in place of the `--flagfile` that names them.

absl would read them itself, but not those that were saved on Windows.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from segnet.errors import ConfigError, DataError
from segnet.files import read_text
from segnet.installation import find_recipe, list_recipes
from segnet.progress import say

__all__ = ["expand_flagfiles", "explain_flag_error"]

# What absl says of `--flag=maybe`.
_NOT_BOOLEAN = re.compile(r"\('Non-boolean argument to boolean flag', .*\)")
_NAMES = ("--flagfile", "-flagfile")
# Of a second flag behind a value.
_SECOND = re.compile(r"\s--[A-Za-z_]")


def expand_flagfiles(arguments: Sequence[str]) -> list[str]:
    """Puts the flags of flagfiles into a command line.

    A flagfile has one flag a line; empty lines and those that begin with `#`
    or `//` say nothing. It may name other flagfiles. A recipe, `configs/NAME`,
    that is not in the working directory is the one that came with the project,
    which is said.

    Args:
      arguments: Command line, the program's name first.

    Returns:
      The same without `--flagfile`.

    Raises:
      ConfigError: A flagfile cannot be read, or leads back to itself.
    """
    return _expand(list(arguments), ())


def explain_flag_error(error: Exception) -> str:
    """What `absl.flags.Error` says of a command line, in one line."""
    text = " ".join(str(error).split()).removeprefix("ERROR:: ")
    return _NOT_BOOLEAN.sub("is neither true nor false", text)


def _expand(arguments: list[str], within: tuple[str, ...]) -> list[str]:
    """`within`: the flagfiles that the arguments come from."""
    expanded: list[str] = []
    while arguments:
        argument = arguments.pop(0)
        name, is_value, path = argument.partition("=")
        if argument == "--":
            return [*expanded, argument, *arguments]
        if name not in _NAMES:
            expanded.append(argument)
            continue
        if not is_value:
            path = arguments.pop(0) if arguments else ""
        if not path:
            raise ConfigError("--flagfile needs the name of a file")
        expanded += _read(os.path.expanduser(path), within)
    return expanded


def _read(path: str, within: tuple[str, ...]) -> list[str]:
    """The flags of a file."""
    if path in within:
        raise ConfigError(f"--flagfile={path} leads back to itself")
    recipe = None if os.path.lexists(path) else find_recipe(path)
    if recipe:
        say(f"--flagfile={path}: the recipe {recipe}")
    try:
        text = read_text(recipe or path)
    except DataError as error:
        more = ""
        if not os.path.lexists(path):
            more = f"; recipes that are there: {', '.join(list_recipes())}"
        raise ConfigError(f"--flagfile={error}{more}") from None
    flags = []
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        if not line or line.startswith(("#", "//")):
            continue
        if wrong := _misread(line):
            raise ConfigError(f"--flagfile={path}: line {number}: {wrong}")
        flags.append(line)
    return _expand(flags, (*within, path))


def _misread(line: str) -> str:
    """What is wrong with a line that is written as for a shell, or nothing.

    A flagfile has no quotes and no comments behind flags: they would become
    part of the value, and a folder or a class be called so.
    """
    name, _, value = line.partition("=")
    value = value.strip()
    is_flag = name.startswith("-")
    if (is_flag and len(name.split()) > 1) or _SECOND.search(value):
        return f"'{line[:60]}' is not one flag, --name=value; give each a line"
    if re.search(r"\s#", value):
        return f"'{line[:60]}' has a #; a comment needs a line of its own"
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        return (
            f"the quotes of {value[:60]} are not taken off here; leave them out"
        )
    return ""
