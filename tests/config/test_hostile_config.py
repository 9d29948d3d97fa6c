"""A config.json that somebody changed, and names that are no names."""

from __future__ import annotations

import dataclasses
import json
import os

import pytest

import main
from segnet.config import Config, config_file
from segnet.config.flags import check_command, parse_command
from segnet.errors import ConfigError

GOOD = dataclasses.asdict(Config(data_dir="/d", class_names=("a", "b")))


def changed(**values) -> bytes:
    return json.dumps({**GOOD, **values}).encode()


CONTENTS = {
    "empty": b"",
    "null byte": b"\0",
    "not UTF-8": b"\xff",
    "half a character": changed(data_dir="\udcff"),
    "half a character in a class": changed(class_names=["\ud800", "b"]),
    "deep": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "long number": b'{"seed": 1' + b"0" * 5000 + b"}",
    "1e400": b'{"learning_rate": 1e400}',
    "10^400": b'{"learning_rate": 1' + b"0" * 400 + b"}",
    "NaN": b'{"learning_rate": NaN}',
    "twice": b'{"seed": 1, "seed": 2}',
    "list": b"[]",
    "text": b'"config"',
    "unknown": b'{"x": 1}',
    "null byte in a path": changed(data_dir="/a\0b"),
    "line break in a path": changed(init_from="/a\nb"),
    "classes are a text": changed(class_names="ab"),
    "classes are a number": changed(class_names=3),
    "classes are lists": changed(class_names=[["a"], ["b"]]),
    "classes are an object": changed(class_names={"a": 1}),
    "a split elsewhere": changed(eval_split="../.."),
    "a split that is a path": changed(train_split="/etc/passwd"),
    "an unknown network": changed(architecture="resnet"),
    "a negative size": changed(input_height=-32),
    "a huge size": changed(input_height=2**40),
    "a huge batch": changed(batch_size=2**62),
    "a list": changed(batch_size=[1]),
    "an object": changed(resolution_schedule={}),
    "a schedule of digits": changed(resolution_schedule="9" * 5000 + "x1:1"),
    "steps of digits": changed(profile_steps="2," + "9" * 5000),
    "a crop of digits": changed(train_crop="9" * 5000 + "x1"),
    "an unknown warning": changed(silence="x"),
    "true": changed(epochs=True),
    "too large": b" " * (2**20 + 1),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_a_config_that_cannot_be_is_one_line(tmp_path, capsys, name):
    (tmp_path / "config.json").write_bytes(CONTENTS[name])
    with pytest.raises(ConfigError) as caught:
        config_file.load_config(str(tmp_path))
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}/config.json")
    assert "another --workdir" in message
    assert len(message) < len(str(tmp_path)) + 600
    argv = ["main.py", "--mode=evaluate", f"--workdir={tmp_path}"]
    assert main.main(argv) == 2
    assert capsys.readouterr().err == f"segnet: {message}\n"


@pytest.mark.parametrize(
    "value", [{}, [[]], 2**70, "\0", {"a": [1]}, "\udcff"], ids=ascii
)
def test_a_value_of_another_type_is_refused_in_each_field(value):
    for field in GOOD:
        text = json.dumps({**GOOD, field: value})
        with pytest.raises(ConfigError, match=r"^x/config.json is not"):
            config_file.from_json(text, "x/config.json")


@pytest.mark.parametrize("kind", ["fifo", "folder", "device"])
def test_what_is_no_file_is_refused_at_once(tmp_path, kind):
    path = tmp_path / "config.json"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(ConfigError, match=r"config.json: cannot be read"):
        config_file.load_config(str(tmp_path))


@pytest.mark.parametrize("flag", ["train_split", "eval_split"])
@pytest.mark.parametrize(
    "name",
    ["../..", "..", ".", "", "/etc/passwd", "a/b", "a\\b", "a\tb", "a\x1b[31m",
     "a\u202eb", "-a", ".a", "a b", "a,b", "*", "ä", "x" * 101, "val\n"],
    ids=ascii,
)  # fmt: skip
def test_a_split_of_no_name_is_a_bad_flag(tmp_path, capsys, flag, name):
    argv = [
        "main.py", f"--workdir={tmp_path / 'run'}", "--data_dir=d",
        f"--{flag}={name}",
    ]  # fmt: skip
    with pytest.raises(ConfigError, match=f"--{flag}="):
        check_command(parse_command(argv))
    assert main.main(argv) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["val", "train_2", "a.b-c", "9", "x" * 100])
def test_a_split_may_be_called_as_the_converter_does(tmp_path, name):
    argv = ["main.py", f"--workdir={tmp_path}", f"--eval_split={name}"]
    check_command(parse_command(argv))
