"""Manifests and config.json, changed at will: right, or refused in one line."""

from __future__ import annotations

import importlib
import json
import os

import picture_files as files
import pytest
from hostile_inputs import (
    change_json,
    counted,
    few,
    mutated,
    result_or_line,
    run_program,
    seeds,
)
from hypothesis import given
from hypothesis import strategies as st

import main
from segnet.config import Config, config_file
from segnet.records.manifest import Manifest
from segnet.records.splits import read_manifest

convert = importlib.import_module("tools.convert_to_tfrecord")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = files.write_folders(tmp_path_factory.mktemp("changed"), 3)
    assert convert.main(files.flags(root, "--num_shards=2")) == 0
    return root / "out"


@pytest.fixture(scope="module")
def good(folder):
    return (folder / "train.json").read_bytes()


def _text(good: bytes, seed: int, inside: bool) -> bytes:
    if not inside:
        return mutated(good, seed)
    content = change_json(json.loads(good), seed)
    return json.dumps(content).encode("utf-8", "surrogatepass")


@few(80)
@given(seeds, st.booleans())
def test_any_manifest(folder, good, seed, inside):
    """What is accepted describes the files that are there."""
    path = folder / "train.json"
    path.write_bytes(_text(good, seed, inside))
    manifest, line = result_or_line(read_manifest, folder, "train")
    path.write_bytes(good)
    if line:
        assert line.startswith(str(folder))
        return
    assert Manifest.from_json(manifest.to_json(), "x") == manifest
    for shard in manifest.shards:
        assert os.sep not in shard.file
        assert (folder / shard.file).stat().st_size == shard.bytes
    assert manifest.num_records == 3


@few(80)
@given(seeds, st.booleans())
def test_any_config(tmp_path_factory, seed, inside):
    workdir = tmp_path_factory.getbasetemp() / "any-config"
    config = Config(data_dir="/data", workdir=str(workdir))
    if not workdir.exists():
        config_file.save_config(str(workdir), config)
        (workdir / "good.json").write_bytes(
            (workdir / "config.json").read_bytes()
        )
    good = (workdir / "good.json").read_bytes()
    (workdir / "config.json").write_bytes(_text(good, seed, inside))
    found, line = result_or_line(config_file.load_config, str(workdir))
    if line:
        assert str(workdir) in line
        return
    # What is accepted can be written and read again.
    config_file.save_config(str(workdir), found)
    assert config_file.load_config(str(workdir)) == found


@few(4)
@given(seeds, st.booleans())
def test_the_program_says_it_in_one_line(tmp_path_factory, seed, inside):
    """A config that is accepted is of a run that has no checkpoint."""
    counted()
    workdir = tmp_path_factory.getbasetemp() / "a-config"
    config_file.save_config(
        str(workdir), Config(data_dir="/data", workdir=str(workdir))
    )
    path = workdir / "config.json"
    path.write_bytes(_text(path.read_bytes(), seed, inside))
    outcome = run_program(
        "segnet",
        main.main,
        ["main.py", "--mode=evaluate", f"--workdir={workdir}", "--device=cpu"],
    )
    outcome.check("segnet", (1, 2))
    assert outcome.err.count("\n") == 1
