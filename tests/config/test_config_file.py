from __future__ import annotations

import dataclasses
import json

import pytest

from segnet.config import Config, config_file
from segnet.config.validate import (
    CHANGEABLE_AFTER_TRAINING,
    CHANGEABLE_ON_RESUME,
)
from segnet.errors import ConfigError


def test_round_trip(tmp_path):
    workdir = str(tmp_path / "run")
    assert config_file.load_config(workdir) is None
    assert not config_file.has_config(workdir)
    config = Config(epochs=2, class_names=("a", "b"), max_steps=7)
    config_file.save_config(workdir, config)
    assert config_file.has_config(workdir)
    assert config_file.load_config(workdir) == config
    (tmp_path / "run" / "config.json").write_text("{]")
    with pytest.raises(ConfigError, match=r"config\.json is not a config"):
        config_file.load_config(workdir)


def test_a_remote_workdir_that_cannot_be_reached_is_one_line(monkeypatch):
    class Unreachable:
        def exists(self, path):
            raise OSError("no network")

    monkeypatch.setattr(config_file, "gfile", lambda path: Unreachable())
    with pytest.raises(ConfigError, match="cannot be read .no network."):
        config_file.load_config("gs://bucket/run")


def test_a_config_of_today_without_newer_fields_is_read():
    values = dataclasses.asdict(Config(epochs=3))
    del values["eval_batch_size"]
    config = config_file.from_json(json.dumps(values), "x")
    assert config == Config(epochs=3)


@pytest.mark.parametrize("text", ["", "[]", '{"epoch": 3}', "{"])
def test_damaged_json_is_one_clear_line(text):
    with pytest.raises(ConfigError, match=r"some/config\.json is not a config"):
        config_file.from_json(text, "some/config.json")


def test_fields_that_are_not_known_are_named():
    values = {**dataclasses.asdict(Config()), "newer": 1, "an\x1b": 2}
    with pytest.raises(ConfigError) as caught:
        config_file.from_json(json.dumps(values), "run/config.json")
    assert str(caught.value).startswith(
        "run/config.json is not a config of this version of segnet ('an\\x1b', "
        "'newer' are not known); use the version"
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("data_dir", None),
        ("batch_size", 2.5),
        ("batch_size", True),
        ("learning_rate", "0.1"),
        ("deterministic", 1),
        ("max_steps", "9"),
        ("class_names", [1, 2]),
        ("class_names", 3),
    ],
)
def test_a_value_of_another_type_is_one_clear_line(field, value):
    text = json.dumps({**dataclasses.asdict(Config()), field: value})
    with pytest.raises(ConfigError, match=r"^w/config.json is not") as caught:
        config_file.from_json(text, "w/config.json")
    assert "\n" not in str(caught.value)


def test_whole_numbers_may_stand_for_fractions():
    values = {"learning_rate": 1, "warmup_epochs": 2, "max_steps": None}
    config = config_file.from_json(json.dumps(values), "config.json")
    assert (config.learning_rate, config.warmup_epochs) == (1, 2)


def _merge(saved, changeable=CHANGEABLE_ON_RESUME, **given):
    return config_file.merge(saved, given, workdir="now", changeable=changeable)


def test_what_may_change_is_taken_and_the_rest_is_refused():
    saved = Config(epochs=5, learning_rate=0.1, workdir="before")
    merged = _merge(saved, epochs=9, seed=0)
    assert merged == dataclasses.replace(saved, epochs=9, workdir="now")
    with pytest.raises(
        ConfigError, match=r"--learning_rate=0\.2 \(it has 0\.1"
    ):
        _merge(saved, epochs=9, learning_rate=0.2)
    assert (
        _merge(saved, CHANGEABLE_AFTER_TRAINING, batch_size=1).batch_size == 1
    )
    with pytest.raises(ConfigError, match="--batch_size=1"):
        _merge(saved, batch_size=1)


@pytest.mark.parametrize(
    ("saved", "given"),
    [
        # Each is refused on top of the defaults.
        (
            {"input_height": 512, "input_width": 1024, "train_crop": "480x960"},
            {"train_crop": "480x960"},
        ),
        (
            {"epochs": 200, "resolution_schedule": "96x128:150"},
            {"resolution_schedule": "96x128:150"},
        ),
        ({"evaluate_every_epochs": 2}, {"early_stopping_epochs": 4}),
    ],
)
def test_flags_are_checked_together_with_those_of_the_run(saved, given):
    merged = _merge(Config(**saved), **given)
    assert merged == dataclasses.replace(
        Config(**saved), **given, workdir="now"
    )


def test_paths_are_compared_as_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old").mkdir()
    (tmp_path / "link").symlink_to("old")
    saved = Config(init_from=f"{tmp_path}/old", class_weights="w.txt")
    for name in ("old", "./old/", "link"):
        assert _merge(saved, init_from=name).init_from == name
    assert _merge(saved, class_weights=f"{tmp_path}/w.txt")
    with pytest.raises(ConfigError, match="--init_from="):
        _merge(saved, init_from="older")
    with pytest.raises(ConfigError, match="--init_from="):
        _merge(saved, init_from="")
    # Not a path, though it is a string.
    (tmp_path / "segnet").symlink_to("vgg_segnet")
    with pytest.raises(ConfigError, match="--architecture=segnet"):
        _merge(saved, architecture="segnet")


def test_a_relative_path_of_a_former_version_is_kept_whole(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "records").mkdir()
    saved = Config(data_dir="records", encoder_weights="gone.h5")
    merged = _merge(saved, epochs=2)
    assert merged.data_dir == f"{tmp_path}/records"
    assert merged.encoder_weights == "gone.h5"
    assert merged.class_weights == "none"


def test_what_is_taken_is_told_as_it_is_typed():
    config = Config(
        data_dir="/my data", workdir="run", epochs=9, max_steps=4,
        optimizer="adamw", weight_decay=0.01, batch_norm_in_encoder=True,
        scale_learning_rate=False, deterministic=True, log_every_steps=3,
        learning_rate=0.1, class_names=("a",),
    )  # fmt: skip
    assert config_file.taken_flags(config, {"learning_rate": 0.1}) == [
        "--data_dir=/my data", "--epochs=9", "--max_steps=4",
        "--optimizer=adamw", "--noscale_learning_rate", "--deterministic",
    ]  # fmt: skip
    given = {"epochs": 125, "max_steps": 4}
    config = Config(batch_norm_in_encoder=False, max_steps=4)
    assert config_file.taken_flags(config, given) == [
        "--data_dir=",
        "--nobatch_norm_in_encoder",
    ]


def test_a_result_that_cannot_run_is_refused():
    saved = Config(epochs=20, resolution_schedule="96x128:15")
    with pytest.raises(ConfigError, match=r"leaves no epoch of --epochs=10"):
        _merge(saved, epochs=10)
