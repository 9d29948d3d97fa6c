"""tools/download_dataset.sh vgg16: fetched, resumed, verified, or refused."""

from __future__ import annotations

import hashlib
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from download_server import Answer, serve
from download_site import (
    SCRIPT,
    WEIGHTS,
    WEIGHTS_FILE,
    WEIGHTS_PART,
    Site,
    assert_one_line,
    create_site,
    names,
)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with create_site(tmp_path) as created:
        yield created


def test_weights_arrive_whole(site):
    done = site.fetch("vgg16")
    assert done.returncode == 0, done
    assert done.stderr == ""
    assert (site.folder / WEIGHTS_FILE).read_bytes() == WEIGHTS
    assert names(site.folder) == [WEIGHTS_FILE]
    option = f"--encoder_weights={site.folder / WEIGHTS_FILE}"
    assert option in shlex.split(done.stdout)


def test_weights_already_there_are_left_alone(site):
    site.fetch("vgg16")
    before = (site.folder / WEIGHTS_FILE).stat().st_mtime_ns
    site.server.requests.clear()
    again = site.fetch("vgg16")
    assert again.returncode == 0
    assert again.stdout == f"already there: {site.folder / WEIGHTS_FILE}\n"
    assert site.server.requests == []
    assert (site.folder / WEIGHTS_FILE).stat().st_mtime_ns == before


def test_other_file_in_the_place_of_the_weights_is_kept(site):
    site.put(WEIGHTS_FILE, b"mine")
    assert_one_line(site.fetch("vgg16"), WEIGHTS_FILE, "4 bytes", "remove")
    assert (site.folder / WEIGHTS_FILE).read_bytes() == b"mine"
    assert site.server.requests == []


def test_default_folder_is_data(site):
    assert site.run("vgg16").returncode == 0
    assert names(site.top / "data") == [WEIGHTS_FILE]


def test_cut_connection_is_resumed_in_one_run(site):
    site.server.answers["/vgg16"].cut_at = 80_000
    assert site.fetch("vgg16").returncode == 0
    assert (site.folder / WEIGHTS_FILE).read_bytes() == WEIGHTS
    assert site.server.requests == [
        ("/vgg16", None),
        ("/vgg16", "bytes=80000-"),
    ]


def test_part_of_an_earlier_run_is_resumed(site):
    site.put(WEIGHTS_PART, WEIGHTS[:150_000])
    done = site.fetch("vgg16")
    assert done.returncode == 0
    assert "going on at byte 150000" in done.stdout
    assert site.server.requests == [("/vgg16", "bytes=150000-")]
    assert (site.folder / WEIGHTS_FILE).read_bytes() == WEIGHTS
    assert names(site.folder) == [WEIGHTS_FILE]


def test_whole_part_is_not_fetched_again(site):
    site.put(WEIGHTS_PART, WEIGHTS)
    assert site.fetch("vgg16").returncode == 0
    assert site.server.requests == []
    assert names(site.folder) == [WEIGHTS_FILE]


def test_part_that_is_too_long_is_fetched_anew(site):
    site.put(WEIGHTS_PART, WEIGHTS + b"x")
    assert site.fetch("vgg16").returncode == 0
    assert site.server.requests == [("/vgg16", None)]
    assert (site.folder / WEIGHTS_FILE).read_bytes() == WEIGHTS


def test_server_that_cannot_resume_sends_all(site):
    site.server.answers["/vgg16"].ranges = False
    site.put(WEIGHTS_PART, WEIGHTS[:1000])
    done = site.fetch("vgg16")
    assert done.returncode == 0, done
    assert (site.folder / WEIGHTS_FILE).read_bytes() == WEIGHTS
    assert names(site.folder) == [WEIGHTS_FILE]


def test_weights_with_another_sum_are_removed(site):
    wrong = WEIGHTS[:-1] + bytes([WEIGHTS[-1] ^ 1])
    site.server.answers["/vgg16"].body = wrong
    found, wanted = (hashlib.md5(b).hexdigest() for b in (wrong, WEIGHTS))
    assert_one_line(site.fetch("vgg16"), found, wanted, site.server.url)
    assert names(site.folder) == []


@pytest.mark.parametrize("size", [len(WEIGHTS) - 1, len(WEIGHTS) + 1, 0])
def test_weights_of_another_size_are_removed(site, size):
    site.server.answers["/vgg16"].body = (WEIGHTS + b"x")[:size]
    done = site.fetch("vgg16")
    assert_one_line(done, f"has {size} bytes instead of {len(WEIGHTS)}")
    assert names(site.folder) == []


def test_default_sum_and_size_are_those_of_keras(site):
    done = site.fetch("vgg16", SEGNET_VGG16_MD5="", SEGNET_VGG16_BYTES="")
    assert_one_line(done, "instead of 58889256")
    done = site.fetch("vgg16", SEGNET_VGG16_MD5="")
    assert_one_line(done, "instead of 6d6bbae143d832006294945121d1f1fc")


@pytest.mark.parametrize("status", [404, 500, 503])
@pytest.mark.parametrize("body", [b"plain", b"<html>page</html>"])
def test_http_error_is_named(site, status, body):
    site.server.answers["/vgg16"] = Answer(body, status)
    done = site.fetch("vgg16")
    assert_one_line(done, f"HTTP {status} from {site.server.url}/vgg16")
    assert names(site.folder) == []


def test_http_error_leaves_the_part(site):
    site.put(WEIGHTS_PART, WEIGHTS[:1000])
    site.server.answers["/vgg16"] = Answer(b"later", 503)
    assert_one_line(site.fetch("vgg16"), "HTTP 503", "1000 bytes are kept")
    assert (site.folder / WEIGHTS_PART).read_bytes() == WEIGHTS[:1000]


def test_unreachable_server_is_named(site):
    with serve() as gone:
        address = gone.url
    done = site.fetch("vgg16", SEGNET_VGG16_URL=address)
    assert_one_line(done, "cannot reach 127.0.0.1", "check the network")
    assert names(site.folder) == []


@pytest.mark.parametrize("address", ["file:///etc/hostname", "gopher://x/"])
def test_other_kinds_of_address_are_refused(site, address):
    done = site.fetch("vgg16", SEGNET_VGG16_URL=address)
    assert_one_line(done, address, "not an http or https address")


def test_redirects_in_a_circle(site):
    site.server.answers["/vgg16"] = Answer(location="/vgg16")
    assert_one_line(site.fetch("vgg16"), "redirects in a circle")


def test_connection_that_brings_nothing_is_given_up(site):
    site.put(WEIGHTS_PART, WEIGHTS[:1000])
    site.server.answers["/vgg16"].cut_at = 0
    done = site.fetch("vgg16")
    assert_one_line(done, "broke", "1000 bytes are kept")
    assert names(site.folder) == [WEIGHTS_PART]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_full_disk_is_named(site):
    site.folder.mkdir()
    (site.folder / WEIGHTS_PART).symlink_to("/dev/full")
    assert_one_line(site.fetch("vgg16"), str(site.folder), "disk is full")


def test_folder_that_is_a_file(site):
    (site.top / "file").write_text("x")
    done = site.run("vgg16", site.top / "file")
    assert_one_line(done, "cannot create the folder", "file")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_leaves_the_part_alone(site, number):
    site.server.answers["/vgg16"].hold_at = 120_000
    process = subprocess.Popen(
        ["bash", SCRIPT, "vgg16", site.folder],
        env=site.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    part = site.folder / WEIGHTS_PART
    deadline = time.monotonic() + 30
    while not (part.exists() and part.stat().st_size > 100_000):
        assert time.monotonic() < deadline, "no part"
        time.sleep(0.01)
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert errors.count("\n") == 1
    assert "stopped" in errors
    assert "go" in errors
    assert names(site.folder) == [WEIGHTS_PART]
    kept = part.stat().st_size
    assert part.read_bytes() == WEIGHTS[:kept]
    assert site.fetch("vgg16").returncode == 0
    assert site.server.requests[-1] == ("/vgg16", f"bytes={kept}-")
    assert (site.folder / WEIGHTS_FILE).read_bytes() == WEIGHTS


def test_leftovers_of_a_killed_run_go(site):
    half = site.folder / ".dataset1.zip.scratch" / "unpacked" / "train"
    half.mkdir(parents=True)
    assert site.fetch("dataset1").returncode == 0
    assert names(site.folder) == ["dataset1"]
