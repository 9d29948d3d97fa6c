"""tools/download_dataset.sh dataset1: laid out and checked; usage."""

from __future__ import annotations

import io
import shlex
import shutil
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from download_site import (
    QUOTA,
    SCRIPT,
    Site,
    archive,
    assert_one_line,
    create_site,
    names,
)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with create_site(tmp_path) as created:
        yield created


def test_data_set_is_laid_out_for_the_converter(site):
    done = site.fetch("dataset1")
    assert done.returncode == 0, done
    assert done.stderr == ""
    assert names(site.folder) == ["dataset1"]
    result = site.folder / "dataset1"
    assert names(result) == ["class_names.txt", "train", "val"]
    with zipfile.ZipFile(io.BytesIO(archive())) as source:
        for split, theirs, count in (("train", "train", 3), ("val", "test", 1)):
            for kind in ("images", "annotations"):
                found = names(result / split / kind)
                assert found == [f"{i:04d}.png" for i in range(count)]
                for name in found:
                    member = f"dataset1/{kind}_prepped_{theirs}/{name}"
                    content = (result / split / kind / name).read_bytes()
                    assert content == source.read(member)
    classes = (result / "class_names.txt").read_text().splitlines()
    assert len(classes) == 11
    assert (classes[0], classes[10]) == ("sky", "bicyclist")


def test_data_set_prints_counts_and_commands(site):
    done = site.fetch("dataset1")
    assert "train: 3 pairs" in done.stdout
    assert "val: 1 pairs" in done.stdout
    # The printed commands can be pasted: spaces in the folder are quoted.
    words = shlex.split(done.stdout.partition("convert with:")[2])
    assert words.count("python") == 2
    assert words.count(str(SCRIPT.parent / "convert_to_tfrecord.py")) == 2
    for split in ("train", "val"):
        images = f"--images_dir={site.folder}/dataset1/{split}/images"
        annotations = (
            f"--annotations_dir={site.folder}/dataset1/{split}/annotations"
        )
        assert {images, annotations, f"--split={split}"} <= set(words)
    assert words.count("--num_classes=11") == 2
    assert words.count("--void_labels=11") == 2


def test_data_set_already_there_is_left_alone(site):
    first = site.fetch("dataset1")
    site.server.requests.clear()
    again = site.fetch("dataset1")
    assert again.returncode == 0
    assert "already there" in again.stdout
    commands = first.stdout.partition("convert with:")[2]
    assert again.stdout.endswith(commands)
    assert "train: 3 pairs" in again.stdout
    assert site.server.requests == []


def test_other_folder_in_the_place_of_the_data_set_is_kept(site):
    (site.folder / "dataset1").mkdir(parents=True)
    assert_one_line(site.fetch("dataset1"), "no folder train/images", "remove")
    assert names(site.folder) == ["dataset1"]
    assert site.server.requests == []


def test_data_set_resumes(site):
    site.server.answers["/dataset1"].cut_at = 50_000
    assert site.fetch("dataset1").returncode == 0
    assert site.server.requests[1:] == [("/dataset1", "bytes=50000-")]


def test_archive_fetched_with_a_browser_is_used_and_kept(site):
    site.put("dataset1.zip", archive())
    assert site.fetch("dataset1").returncode == 0
    assert names(site.folder) == ["dataset1", "dataset1.zip"]
    assert site.server.requests == []


def test_bad_archive_fetched_with_a_browser_is_kept(site):
    site.put("dataset1.zip", QUOTA)
    done = site.fetch("dataset1")
    assert_one_line(done, "dataset1.zip is not a zip archive", "remove")
    assert names(site.folder) == ["dataset1.zip"]


def test_missing_partner_is_named(site):
    extra = {"dataset1/images_prepped_train/lone.png": b"x"}
    site.server.answers["/dataset1"].body = archive(extra)
    done = site.fetch("dataset1")
    assert done.returncode == 0
    assert "warning: train/images/lone has no partner" in done.stderr
    assert "train: 3 pairs" in done.stdout


def damaged() -> bytes:
    """A zip whose directory is whole while a member's content is not."""
    whole = bytearray(archive())
    whole[30_000] ^= 1
    return bytes(whole)


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


TRAIN = "dataset1/images_prepped_train/"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (damaged(), "is damaged at 'dataset1/"),
        (archive()[:-30], "is not a zip archive, or is cut short"),
        (b"PK\x03\x04 no more than a start", "is not a zip archive"),
        (archive({"../evil": b"x"}), "unsafe member, '../evil'"),
        (archive({TRAIN + "../../evil": b"x"}), "unsafe member"),
        (archive({"/tmp/evil": b"x"}), "unsafe member, '/tmp/evil'"),
        (archive({"C:/evil": b"x"}), "unsafe member"),
        (archive({"..\\evil": b"x"}), "unsafe member"),
        (archive({link(TRAIN + "a.png"): b"/etc/passwd"}), "unsafe member"),
        (archive({"annotations_prepped_test/0000.png": b"x"}), "two members"),
        (archive(leave_out="annotations_prepped_test"), "no pair of image and"),
    ],
)
def test_bad_archive_is_removed(site, body, reason):
    site.server.answers["/dataset1"].body = body
    before = names(site.top)
    assert_one_line(site.fetch("dataset1"), reason, site.server.url, "removed")
    assert names(site.folder) == []
    assert set(names(site.top)) == {*before, site.folder.name}


def test_bad_archive_is_fetched_anew(site):
    site.server.answers["/dataset1"].body = damaged()
    site.fetch("dataset1")
    site.server.answers["/dataset1"].body = archive()
    assert site.fetch("dataset1").returncode == 0


@pytest.mark.parametrize("arguments", [["-h"], ["--help"], ["vgg16", "--help"]])
def test_help(site, arguments):
    done = site.run(*arguments)
    assert done.returncode == 0
    assert done.stderr == ""
    for name in ("URL", "MD5", "BYTES"):
        assert f"SEGNET_VGG16_{name}" in done.stdout
    assert "SEGNET_DATASET1_URL" in done.stdout
    assert names(site.top) == ["home"]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([], "say what to fetch"),
        (["dataset2"], "dataset1 or vgg16"),
        (["vgg16", "--quick"], "--quick"),
        (["vgg16", "a", "b"], "too many arguments: b"),
    ],
)
def test_wrong_usage(site, arguments, part):
    assert_one_line(site.run(*arguments), part, "--help", status=2)
    assert site.server.requests == []
    assert names(site.top) == ["home"]


@pytest.mark.parametrize(
    "change",
    [
        {"SEGNET_VGG16_BYTES": "many"},
        {"SEGNET_VGG16_BYTES": "0"},
        {"SEGNET_VGG16_MD5": "abc"},
    ],
)
def test_wrong_environment(site, change):
    ((name, value),) = change.items()
    done = site.fetch("vgg16", **change)
    assert_one_line(done, f"{name}={value}", status=2)
    assert not site.folder.exists()


@pytest.mark.parametrize("missing", ["curl", "python3"])
def test_missing_program_is_named(site, missing):
    programs = site.top / "programs"
    programs.mkdir()
    for name in {"bash", "curl", "python3"} - {missing}:
        (programs / name).symlink_to(shutil.which(name))
    done = site.fetch("vgg16", PATH=str(programs))
    assert_one_line(done, f"needs {missing}")
    assert not site.folder.exists()


@pytest.mark.parametrize(
    ("what", "address"),
    [
        (
            "dataset1",
            "https://drive.usercontent.google.com/download"
            "?id=0B0d9ZiqAgFkiOHR1NTJhWVJMNEU&export=download",
        ),
        (
            "vgg16",
            "https://github.com/fchollet/deep-learning-models/releases/download"
            "/v0.1/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        ),
    ],
)
def test_default_addresses(site, what, address):
    # In the place of curl a program that only notes what it is asked.
    programs = site.top / "programs"
    programs.mkdir()
    (programs / "curl").write_text(
        '#!/bin/sh\nfor last; do :; done\necho "$last" >"$HOME/asked"\nexit 6\n'
    )
    (programs / "curl").chmod(0o755)
    changes = {
        "PATH": f"{programs}:{site.environment['PATH']}",
        "SEGNET_DATASET1_URL": "",
        "SEGNET_VGG16_URL": "",
    }
    assert_one_line(site.fetch(what, **changes), "cannot reach")
    assert (site.top / "home" / "asked").read_text() == address + "\n"
