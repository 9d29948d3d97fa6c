"""tools/download_dataset: fetched, resumed, verified, unpacked, or refused."""

from __future__ import annotations

import hashlib
import io
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import time
import urllib.request
import zipfile
from pathlib import Path

import pytest
from download_server import Answer, serve

from segnet.constants import VGG16_WEIGHTS
from tools import downloading

SCRIPT = Path(downloading.__file__).with_name("download_dataset.sh")
WEIGHTS_FILE = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
WEIGHTS_PART = f".{WEIGHTS_FILE}.part"
WEIGHTS = b"\x89HDF\r\n\x1a\n" + random.Random(0).randbytes(200_000)
TRAIN = "dataset1/images_prepped_train/"


def archive(extra=None, leave_out: str = "nothing") -> bytes:
    """A zip laid out like dataset1: three pairs to train, one to test."""
    members = {"dataset1/": b"", "dataset1/readme.txt": b"about"}
    members[TRAIN + "run.sh"] = b"no image"
    for split, count in (("train", 3), ("test", 1)):
        for kind in ("images", "annotations"):
            for index in range(count):
                name = f"dataset1/{kind}_prepped_{split}/{index:04d}.png"
                members[name] = random.Random(name).randbytes(9_000)
    members["__MACOSX/dataset1/images_prepped_train/._0000.png"] = b"mac"
    members = {k: v for k, v in members.items() if leave_out not in k}
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in (members | (extra or {})).items():
            opened.writestr(name, content)
    return file.getvalue()


@pytest.fixture
def server(monkeypatch):
    with serve() as started:
        started.answers["/vgg16"] = Answer(WEIGHTS)
        started.answers["/dataset1"] = Answer(archive())
        settings = {
            "NO_PROXY": "127.0.0.1",
            "SEGNET_DATASET1_URL": started.url + "/dataset1",
            "SEGNET_VGG16_URL": started.url + "/vgg16",
            "SEGNET_VGG16_MD5": hashlib.md5(WEIGHTS).hexdigest(),
            "SEGNET_VGG16_BYTES": str(len(WEIGHTS)),
        }
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        yield started


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "data of mine"


@pytest.fixture
def fetch(server, folder, capsys):
    """Runs the program; returns its exit status and what it printed."""

    def run(what: str) -> tuple[int, str, str]:
        status = downloading.main(["program", what, str(folder)])
        return (status, *capsys.readouterr())

    return run


@pytest.fixture
def fails(fetch):
    """Runs the program, which has to fail with one line."""

    def run(what: str, *parts: str) -> None:
        status, out, err = fetch(what)
        assert (status, err.count("\n")) == (1, 1)
        assert err.startswith("download_dataset.sh: error: ")
        assert [part for part in parts if part not in err] == []
        assert "done:" not in out

    return run


def put(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_weights_arrive_and_are_then_left_alone(server, fetch, folder):
    status, out, err = fetch("vgg16")
    assert (status, err) == (0, "")
    assert f"--encoder_weights='{folder / WEIGHTS_FILE}'" in out
    assert names(folder) == [WEIGHTS_FILE]
    assert f"data/{WEIGHTS_FILE}" == VGG16_WEIGHTS
    assert (folder / WEIGHTS_FILE).read_bytes() == WEIGHTS
    assert signal.alarm(0) == 0, "a time limit is left"
    server.requests.clear()
    status, out, _ = fetch("vgg16")
    assert status == 0
    assert out.startswith(f"already there: {folder / WEIGHTS_FILE}\n")
    assert server.requests == []


def test_data_set_is_laid_out_for_the_converter(server, fetch, folder):
    status, out, err = fetch("dataset1")
    assert (status, err) == (0, "")
    assert "8 images and annotations" in out
    assert names(folder) == ["dataset1"]
    result = folder / "dataset1"
    assert names(result) == ["class_names.txt", "train", "val"]
    with zipfile.ZipFile(io.BytesIO(archive())) as source:
        for split, theirs, count in (("train", "train", 3), ("val", "test", 1)):
            for kind in ("images", "annotations"):
                found = names(result / split / kind)
                assert found == [f"{i:04d}.png" for i in range(count)]
                for name in found:
                    content = (result / split / kind / name).read_bytes()
                    member = f"dataset1/{kind}_prepped_{theirs}/{name}"
                    assert content == source.read(member)
    classes = (result / "class_names.txt").read_text().splitlines()
    assert (len(classes), classes[0], classes[10]) == (11, "sky", "bicyclist")
    server.requests.clear()
    assert fetch("dataset1")[:2] == (0, f"already there: {result}\n")
    assert server.requests == []


@pytest.mark.parametrize("says", [True, False])
def test_cut_connection_is_resumed_in_one_run(server, fetch, folder, says):
    server.answers["/vgg16"].says_length = says
    server.answers["/vgg16"].cut_at = 80_000
    assert fetch("vgg16")[0] == 0
    assert (folder / WEIGHTS_FILE).read_bytes() == WEIGHTS
    assert [range for _, range in server.requests] == [None, "bytes=80000-"]


@pytest.mark.parametrize(
    ("part", "ranges", "asked"),
    [
        (WEIGHTS[:150_000], True, ["bytes=150000-"]),
        (WEIGHTS[:1000], False, ["bytes=1000-"]),  # all is sent
        (WEIGHTS, True, []),
        # Not a part of it.
        (WEIGHTS + b"x", True, [f"bytes={len(WEIGHTS) + 1}-", None]),
    ],
)
def test_part_of_an_earlier_run_is_used(
    server, fetch, folder, part, ranges, asked
):
    put(folder / WEIGHTS_PART, part)
    server.answers["/vgg16"].ranges = ranges
    assert fetch("vgg16")[0] == 0
    assert [wanted for _, wanted in server.requests] == asked
    assert names(folder) == [WEIGHTS_FILE]
    assert (folder / WEIGHTS_FILE).read_bytes() == WEIGHTS


@pytest.mark.parametrize("ranges", [True, False])
def test_part_longer_than_a_file_of_unknown_size(server, fetch, folder, ranges):
    put(folder / ".dataset1.zip.part", archive() + bytes(100_000))
    server.answers["/dataset1"].ranges = ranges
    assert fetch("dataset1")[0] == 0
    assert len(server.requests) == 1 + ranges


def test_connection_that_brings_nothing_is_given_up(server, fails, folder):
    put(folder / WEIGHTS_PART, WEIGHTS[:1000])
    server.answers["/vgg16"].cut_at = 0
    fails("vgg16", "broke", "1000 bytes are kept")
    assert names(folder) == [WEIGHTS_PART]


@pytest.mark.parametrize("length", [0, len(WEIGHTS) - 1])
def test_weights_of_another_size_are_removed(server, fails, folder, length):
    server.answers["/vgg16"].body = WEIGHTS[:length]
    fails("vgg16")
    assert names(folder) == []


def test_files_with_another_sum_are_removed(server, fails, folder, monkeypatch):
    wrong = WEIGHTS[:-1] + bytes([WEIGHTS[-1] ^ 1])
    server.answers["/vgg16"].body = wrong
    sums = [hashlib.md5(content).hexdigest() for content in (wrong, WEIGHTS)]
    fails("vgg16", *sums, "removed, run this again")
    monkeypatch.setenv("SEGNET_DATASET1_SHA256", "0" * 64)
    fails("dataset1", hashlib.sha256(archive()).hexdigest(), "instead of 000")
    assert names(folder) == []


@pytest.mark.parametrize("what", ["vgg16", "dataset1"])
def test_more_bytes_than_expected_are_not_stored(
    server, fails, folder, monkeypatch, what
):
    monkeypatch.setattr(downloading, "_MAX_BYTES", 300_000)
    server.answers[f"/{what}"] = Answer(bytes(10_000_000), says_length=False)
    fails(what, "sends more")
    assert names(folder) == []


def test_wrong_file_in_the_place_of_the_weights_is_kept(server, fails, folder):
    put(folder / WEIGHTS_FILE, b"mine")
    fails("vgg16", f"has 4 bytes instead of {len(WEIGHTS)}", "remove it")
    assert (folder / WEIGHTS_FILE).read_bytes() == b"mine"
    assert server.requests == []


def test_nothing_is_written_through_a_link(server, fails, folder, tmp_path):
    put(tmp_path / "precious", b"mine")
    folder.mkdir()
    (folder / WEIGHTS_PART).symlink_to(tmp_path / "precious")
    fails("vgg16", WEIGHTS_PART)
    assert (tmp_path / "precious").read_bytes() == b"mine"


def test_archive_fetched_with_a_browser_is_kept(server, fetch, fails, folder):
    put(folder / "dataset1.zip", b"<html>")
    fails("dataset1", "dataset1.zip", "not a zip file")
    put(folder / "dataset1.zip", archive())
    assert fetch("dataset1")[0] == 0
    assert names(folder) == ["dataset1", "dataset1.zip"]
    assert server.requests == []


def damaged() -> bytes:
    """A zip whose directory is whole while a member's content is not."""
    whole = bytearray(archive())
    whole[20_000] ^= 1
    return bytes(whole)


def link() -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(TRAIN + "a.png")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (damaged(), "cannot unpack"),
        (archive()[:-30], "not a zip file"),
        (archive({"../evil": b"x"}), "unsafe member '../evil'"),
        (archive({TRAIN + "../../evil.png": b"x"}), "unsafe member"),
        (archive({"/tmp/evil": b"x"}), "unsafe member '/tmp/evil'"),
        (archive({"C:/evil": b"x"}), "unsafe member"),
        (archive({"..\\evil": b"x"}), "unsafe member"),
        (archive({link(): b"/etc/passwd"}), "unsafe member"),
        (archive({"a\x1b[2J/../b": b"x"}), r"unsafe member 'a\x1b[2J/../b'"),
        (archive({"images_prepped_train/0000.png": b"x"}), "File exists"),
        (archive({TRAIN + "bomb.png": bytes(400_000)}), "grow to 472000 bytes"),
        (archive(leave_out="annotations_prepped_test"), "no images in one of"),
    ],
)
def test_bad_archive_is_removed(
    server, fails, fetch, folder, monkeypatch, body, reason
):
    monkeypatch.setattr(downloading, "_MAX_BYTES", 300_000)
    server.answers["/dataset1"].body = body
    before = names(folder.parent)
    fails("dataset1", reason)
    assert names(folder) == []
    assert set(names(folder.parent)) == {*before, folder.name}
    server.answers["/dataset1"].body = archive()
    assert fetch("dataset1")[0] == 0


@pytest.mark.parametrize(
    ("status", "kind", "problem"),
    [(503, "text/plain", "HTTP 503 from "), (200, "text/html", "a web page")],
)
def test_answer_that_is_not_the_file(
    server, fails, folder, status, kind, problem
):
    put(folder / WEIGHTS_PART, WEIGHTS[:1000])
    headers = {"Content-Type": kind}
    server.answers["/vgg16"] = Answer(b"no", status, headers, ranges=False)
    fails("vgg16", problem, "browser", "1000 bytes are kept")
    assert (folder / WEIGHTS_PART).read_bytes() == WEIGHTS[:1000]


def test_redirect_to_http_is_refused(server, fails, folder):
    for location in ("http://example.org/x", server.url + "/dataset1"):
        server.answers["/vgg16"] = Answer(
            status=302, headers={"Location": location}
        )
        fails("vgg16", f"redirects to {location}: not https")
    assert [path for path, _ in server.requests] == ["/vgg16"] * 2
    assert names(folder) == []


def test_redirect_to_https_is_followed():
    redirects = downloading._HttpsRedirects()
    request = urllib.request.Request("https://a.org/", headers={"Range": "x"})
    target = "https://b.org/"
    new = redirects.redirect_request(request, None, 302, "Found", {}, target)
    assert (new.full_url, new.get_header("Range")) == (target, "x")


@pytest.mark.parametrize("url", ["http://a.org/\x1b[2J", "file:///etc/hosts"])
def test_other_addresses_than_https_are_refused(fails, monkeypatch, url):
    monkeypatch.setenv("SEGNET_VGG16_URL", url)
    shown = url.replace("\x1b", "\\x1b")
    fails("vgg16", f"{shown} is not an https address")


def test_unreachable_server_is_named(fails, folder, monkeypatch):
    with serve() as gone:
        monkeypatch.setenv("SEGNET_VGG16_URL", gone.url)
    fails("vgg16", "cannot reach 127.0.0.1")
    assert names(folder) == []


def test_time_is_limited(server, fails, monkeypatch):
    before = [signal.getsignal(number) for number in (1, 2, 14, 15)]
    monkeypatch.setattr(downloading, "_RUN_SECONDS", 1)
    server.answers["/vgg16"].hold_at = 120_000
    fails("vgg16", "not done after 1 seconds", "bytes are kept")
    assert [signal.getsignal(number) for number in (1, 2, 14, 15)] == before


@pytest.mark.parametrize(
    ("arguments", "settings", "part"),
    [
        ([], {}, "what"),
        (["dataset2"], {}, "dataset1"),
        (["vgg16", "--quick"], {}, "--quick"),
        (["vgg16", "a", "b"], {}, "b"),
        (["vgg16"], {"SEGNET_VGG16_BYTES": "many"}, "SEGNET_VGG16_BYTES=many"),
        (["vgg16"], {"SEGNET_VGG16_MD5": "abc"}, "SEGNET_VGG16_MD5=abc"),
    ],
)
def test_wrong_usage(monkeypatch, tmp_path, capsys, arguments, settings, part):
    monkeypatch.chdir(tmp_path)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as stopped:
        downloading.main(["program", *arguments])
    assert stopped.value.code == 2
    assert part in capsys.readouterr().err
    assert names(tmp_path) == []


def test_missing_python_is_named(tmp_path):
    for name in ("bash", "dirname"):
        (tmp_path / name).symlink_to(shutil.which(name))
    environment = {"PATH": str(tmp_path), "VENV": "nowhere"}
    done = subprocess.run(
        ["bash", SCRIPT], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.startswith("download_dataset.sh: error: needs Python")


def test_real_process_is_stopped_and_goes_on(server, folder):
    python = os.path.dirname(sys.executable)
    process = subprocess.Popen(
        [SCRIPT, "vgg16", folder],
        env={**os.environ, "PATH": f"{python}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    server.answers["/vgg16"].hold_at = 120_000
    part = folder / WEIGHTS_PART
    deadline = time.monotonic() + 30
    while not (part.exists() and part.stat().st_size > 100_000):
        assert time.monotonic() < deadline, "no part"
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    kept = part.stat().st_size
    assert process.returncode == 143
    assert err.startswith(f"download_dataset.sh: stopped; {kept} bytes")
    assert names(folder) == [WEIGHTS_PART]
    done = subprocess.run([SCRIPT, "vgg16", folder], timeout=30)
    assert done.returncode == 0
    assert server.requests[-1] == ("/vgg16", f"bytes={kept}-")
    assert (folder / WEIGHTS_FILE).read_bytes() == WEIGHTS
