"""Tests of segnet/config/flags.py."""

from __future__ import annotations

import re

import pytest
from absl import flags as absl_flags
from conftest import ROOT

from segnet.config import Config, config_file, flags, foreign_flags
from segnet.config.help_text import GROUPS
from segnet.constants import VGG16_WEIGHTS
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
        ("--tta=maybe", "flag --tta=maybe: is neither true nor false; --help"),
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


def test_help_has_usage_first_and_every_flag_in_a_group():
    text = flags.parse_command(["main.py", "--help"])
    assert text.index("usage:") < text.index("examples") < text.index("--seed")
    values = absl_flags.FlagValues()
    flags.define_flags(values)
    grouped = [name for names in GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(set(values))
    shown = re.findall(r"^  --(?:\[no\])?(\w+)$", text, re.MULTILINE)
    assert shown == grouped
    assert "\n      Images a step, per worker. Default: 16.\n" in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_mode_may_stand_first():
    for mode in flags.MODES:
        command = flags.parse_command(["main.py", mode, "--workdir=x"])
        assert command.mode == mode
    command = flags.parse_command(["main.py", "train", "--mode=evaluate"])
    assert command.mode == "evaluate"
    with pytest.raises(ConfigError, match="'predict' is not a flag"):
        flags.parse_command(["main.py", "--workdir=x", "predict"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--n_classes=12"], ["--n_classes", "--num_classes", "--void_labels"]),
        (["--n_classes", "12"], ["--num_classes"]),
        (["--epochs=3", "--model_name", "segnet"], ["--architecture"]),
        (["train", "--train_images=a"], ["--images_dir", "--split=train"]),
        (["train", "--load_weights=a.h5", "--x=1"], ["--init_from=FILE.h5"]),
        (["--auto_resume_checkpoint"], ["--workdir always resumes"]),
        (["train", "--kubernetes_run=True"], ["mpirun"]),
        (["train", "--data_type=amp"], ["--precision", "float16"]),
        (["evaluate_model", "--checkpoints_path=a"], ["--mode=evaluate"]),
    ],
)
def test_what_others_have_is_explained(arguments, words):
    with pytest.raises(ConfigError) as caught:
        flags.parse_command(["main.py", *arguments])
    for word in [*words, "docs/migration.md"]:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_table_of_migration_is_what_is_said():
    """Of each of its flags that is none here: where to go."""
    values = absl_flags.FlagValues()
    flags.define_flags(values)
    text = (ROOT / "docs" / "migration.md").read_text()
    table = text.partition("## Flags")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`--.*?) \| (.*) \|$", table, re.MULTILINE)
    assert len(rows) > 15
    for there, here in rows:
        for name in re.findall(r"--(\w+)", there):
            if name in values:
                continue
            said = foreign_flags.explain([f"--{name}"], [])
            assert said, name
            wanted = re.findall(r"--\w+", here)
            assert not wanted or any(flag in said for flag in wanted), name


def test_a_tilde_is_the_home_folder_in_every_path(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "weights.txt").touch()
    names = ["data_dir", "workdir", "init_from", "encoder_weights"]
    command = flags.parse_command(
        ["main.py", "--image_path=~/a", "--output_dir=~/b", "--checkpoint=~/c"]
        + [f"--{name}=~/{name}" for name in names]
        + ["--class_weights=~/weights.txt"]
    )
    for name in names:
        assert getattr(command.config, name) == f"{tmp_path}/{name}"
    assert command.given["data_dir"] == f"{tmp_path}/data_dir"
    assert command.config.class_weights == f"{tmp_path}/weights.txt"
    assert command.image_path == f"{tmp_path}/a"
    assert command.output_dir == f"{tmp_path}/b"
    assert command.checkpoint == f"{tmp_path}/c"


def test_vgg16s_weights_are_taken_where_they_are(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def parse(*arguments):
        return flags.parse_command(
            ["main.py", "--encoder_weights=auto", *arguments]
        )

    assert parse().config.encoder_weights == ""
    weights = tmp_path / VGG16_WEIGHTS
    weights.parent.mkdir()
    weights.touch()
    assert parse().config.encoder_weights == str(weights)
    # A run that is resumed keeps what it had.
    assert "encoder_weights" not in parse().given
    # They fit neither a narrower network nor one that has weights.
    for other in ("--width_multiplier=0.5", "--init_from=runs/other"):
        assert parse(other).config.encoder_weights == ""


def test_what_is_read_again_later_is_kept_as_a_whole_path(
    monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    config = flags.parse_command(
        ["main.py", "--data_dir=records", "--init_from=../old",
         "--class_weights=weights.txt", "--workdir=runs/a"]
    ).config  # fmt: skip
    assert config.data_dir == f"{tmp_path}/records"
    assert config.init_from == f"{tmp_path.parent}/old"
    assert config.class_weights == f"{tmp_path}/weights.txt"
    assert config.workdir == "runs/a"
    for value in ("none", "median_frequency^0.75", "log_frequency"):
        flag = f"--class_weights={value}"
        config = flags.parse_command(["main.py", flag]).config
        assert config.class_weights == value
    remote = flags.parse_command(["main.py", "--data_dir=gs://a/b"]).config
    assert remote.data_dir == "gs://a/b"


@pytest.mark.parametrize(
    ("name", "words"),
    [("caf\udce9", r"caf\udce9: the name is not UTF-8"), ("a\nb", r"a\nb has")],
)
@pytest.mark.parametrize("flag", ["workdir", "data_dir", "checkpoint"])
def test_names_that_cannot_be_used_are_one_line(flag, name, words):
    line = ["main.py", "--workdir=x", f"--{flag}={name}"]
    with pytest.raises(ConfigError) as caught:
        flags.check_command(flags.parse_command(line))
    text = str(caught.value)
    assert words in text and text.isascii() and "\n" not in text
