"""How Apache Beam is to run a conversion: the flags for it, checked.

Beam is imported only when a runner is named: the converter of one machine
does without.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import shlex
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from segnet.errors import ConfigError, RunError

__all__ = ["Runner", "parse_runner"]

_VERSION = "2.77.0"
# They hand on what they do not know to a program that may know it.
_HAND_ON = ("portable", "flink", "spark", "prism")


@dataclasses.dataclass(frozen=True)
class Runner:
    """Who does the work.

    Attributes:
      name: As Beam has it, `DirectRunner` for example.
      options: Of Beam, each `--name=value` or `--name`.
      is_direct: Whether it is Beam's own on this machine.
    """

    name: str
    options: tuple[str, ...]
    is_direct: bool


def parse_runner(name: str, text: str, num_workers: int | None) -> Runner:
    """Checks the flags, before there is any work.

    Args:
      name: Value of `--runner`.
      text: Value of `--beam_options`: options as in a shell.
      num_workers: Value of its flag; the processes of the `DirectRunner`,
        unless the options say otherwise. None: one, which is this one's.

    Raises:
      ConfigError: The runner or an option is not one of Beam's.
      RunError: Beam is not installed.
    """
    options = _split(text)
    # What Beam logs while it is imported and options are parsed is said here,
    # in one line, if it matters.
    logging.getLogger().addHandler(logging.NullHandler())
    with _import_errors(name):
        from apache_beam.runners.runner import create_runner
    try:
        created = type(create_runner(name)).__name__
    except (ImportError, ValueError, AttributeError) as error:
        why = str(error).rstrip(".")
        raise ConfigError(f"--runner={name}: {why}") from None
    is_direct = "direct" in created.lower()
    said = any(option.startswith("--direct_") for option in options)
    if is_direct and not said and (num_workers or 1) > 1:
        options += [
            f"--direct_num_workers={num_workers}",
            "--direct_running_mode=multi_processing",
        ]
    hands_on = any(word in created.lower() for word in _HAND_ON)
    _check(options, text, hands_on)
    return Runner(name, tuple(options), is_direct)


@contextlib.contextmanager
def _import_errors(name: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        missing = (error.name or "apache_beam").partition(".")[0]
        raise RunError(
            f"--runner={name}: {missing} is not installed for "
            f"{sys.executable}; make an environment for Apache Beam with "
            "'make setup-beam' and start the converter with "
            ".venv-beam/bin/python, or 'pip install apache-beam=="
            f"{_VERSION}' into one without TensorFlow"
        ) from None


def _split(text: str) -> list[str]:
    """The options of a text."""
    try:
        options = shlex.split(text)
    except ValueError as error:
        raise ConfigError(f"--beam_options={text}: {error}") from None
    for option in options:
        if not option.startswith("--") or option == "--":
            raise ConfigError(
                f"--beam_options={text}: '{option}' is no option; write "
                "--name=value, and spaces between options alone"
            )
        if option.partition("=")[0] == "--runner":
            raise ConfigError(
                f"--beam_options={text}: the runner has a flag of the "
                "converter's own, --runner"
            )
    return options


def _check(options: Sequence[str], text: str, hands_on: bool) -> None:
    """Parses the options as Beam will.

    Raises:
      ConfigError: One is not known, or its value is none.
    """
    from apache_beam.options.pipeline_options import PipelineOptions

    unknown: list[str] = []

    def refuse(message: str) -> NoReturn:
        raise ConfigError(f"--beam_options={text}: {message}")

    def watch(parser: Any) -> None:
        parse = parser.parse_known_args

        def parse_and_note(arguments: Sequence[str]) -> tuple[Any, list[str]]:
            found, rest = parse(arguments)
            unknown.extend(rest)
            return found, rest

        parser.parse_known_args = parse_and_note
        parser.error = refuse

    PipelineOptions(list(options)).get_all_options(add_extra_args_fn=watch)
    if unknown and not hands_on:
        refuse(f"Apache Beam has no option {unknown[0]}")
