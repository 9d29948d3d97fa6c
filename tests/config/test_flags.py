"""Tests of segnet/config/flags.py."""

from __future__ import annotations

import pytest

from segnet.config import Config, config_file, flags
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


def test_flags_of_a_run_are_not_checked_against_the_defaults(tmp_path):
    """They go with the run's own flags, see `config_file.merge`."""
    line = ["main.py", f"--workdir={tmp_path}", "--train_crop=480x960"]
    command = flags.parse_command(line)
    with pytest.raises(ConfigError, match="larger than the input size 320x640"):
        flags.check_command(command)
    saved = Config(input_height=512, input_width=1024, train_crop="480x960")
    config_file.save_config(str(tmp_path), saved)
    flags.check_command(command)
    # A value that suits no run is refused all the same.
    for wrong in ("--epochs=0", "--train_crop=480", "--loss=hinge"):
        with pytest.raises(ConfigError, match=wrong):
            flags.check_command(flags.parse_command([*line, wrong]))


def test_help_lists_every_flag():
    text = flags.parse_command(["main.py", "--help"])
    for name in ("mode", "image_path", "checkpoint", "learning_rate"):
        assert f"--{name}:" in text
    assert "class_names" not in text
