"""Tests of segnet/config/flags.py."""

from __future__ import annotations

import pytest

from segnet.config import Config, flags
from segnet.errors import ConfigError


def test_defaults_are_those_of_the_config():
    command = flags.parse_command(["main.py"])
    assert command.config == Config()
    assert command.given == {}
    assert command.mode == "train"


def test_a_later_flag_wins_over_the_flagfile(tmp_path):
    file = tmp_path / "run.flags"
    file.write_text("# comment\n--epochs=3\n--nodeterministic\n--seed=4\n")
    command = flags.parse_command(
        ["main.py", f"--flagfile={file}", "--epochs=9", "--max_steps=2"]
    )
    assert command.config.epochs == 9
    assert command.given == {
        "epochs": 9,
        "seed": 4,
        "max_steps": 2,
        "deterministic": False,
    }


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("--epoch=3", "epochs"),
        ("--epochs=many", "--epochs=many"),
        ("--mode=exprot", "train|evaluate|predict"),
        ("--flagfile=/does/not/exist.flags", "exist.flags"),
        ("epochs=3", "flags start with --"),
    ],
)
def test_a_bad_command_line_is_one_line(argument, words):
    with pytest.raises(ConfigError) as caught:
        flags.parse_command(["main.py", argument])
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_check_command_wants_workdir_and_image_path():
    with pytest.raises(ConfigError, match="--workdir"):
        flags.check_command(flags.parse_command(["main.py"]))
    with pytest.raises(ConfigError, match="--image_path"):
        flags.check_command(
            flags.parse_command(["main.py", "--mode=predict", "--workdir=x"])
        )
    flags.check_command(flags.parse_command(["main.py", "--workdir=x"]))


def test_help_lists_every_flag():
    text = flags.parse_command(["main.py", "--help"])
    for name in ("mode", "image_path", "checkpoint", "learning_rate"):
        assert f"--{name}:" in text
    assert "class_names" not in text
