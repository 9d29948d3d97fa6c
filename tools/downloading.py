"""Fetches Habana's sample data set or Keras' VGG16 weights, and checks them.

An interrupted download goes on where it stopped; a result that is already there
is left alone; a file that a browser fetched is used when it is put into DIR.
"""

# Needs no package; tqdm, where there is one, draws the progress bar. A download
# goes to DIR/.FILE.part, which is all that survives an interrupted run; the
# result gets its name only when it is whole.
from __future__ import annotations

import argparse
import contextlib
import dataclasses
import errno
import fcntl
import hashlib
import http.client
import os
import re
import shlex
import shutil
import signal
import stat
import sys
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

try:
    from tqdm import tqdm
except ImportError:
    tqdm = None

__all__ = ["main"]

_VGG16_FILE = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
# Settings from the environment: default, and what the value must match.
_SETTINGS = {
    # confirm=t: the file itself, not a page that asks whether one means it.
    "SEGNET_DATASET1_URL": (
        "https://drive.usercontent.google.com/download"
        "?id=0B0d9ZiqAgFkiOHR1NTJhWVJMNEU&export=download&confirm=t",
        ".+",
    ),
    "SEGNET_DATASET1_SHA256": ("", "([0-9a-f]{64})?"),
    "SEGNET_VGG16_URL": (
        "https://github.com/fchollet/deep-learning-models/releases/download/"
        f"v0.1/{_VGG16_FILE}",
        ".+",
    ),
    # The sum that Keras checks.
    "SEGNET_VGG16_MD5": ("6d6bbae143d832006294945121d1f1fc", "[0-9a-f]{32}"),
    "SEGNET_VGG16_BYTES": ("58889256", "[1-9][0-9]*"),
}
_EPILOG = f"""\
dataset1: CamVid street scenes with 11 classes and void, unpacked into
  DIR/dataset1/{{train,val}}/{{images,annotations}} for convert_to_tfrecord.py
vgg16: DIR/{_VGG16_FILE}, for --encoder_weights

Environment: {", ".join(_SETTINGS)}.
Exit status: 0 done, 1 failed, 2 wrong usage, 128 + N stopped by signal N.
"""

# Several times what dataset1 has, as an archive and unpacked.
_MAX_BYTES = 1 << 30
_CHUNK_BYTES = 1 << 14
_SILENCE_SECONDS = 60
_RUN_SECONDS = 2 * 60 * 60
_SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGALRM)

_FOLDERS = {
    "images_prepped_train": "train/images",
    "annotations_prepped_train": "train/annotations",
    "images_prepped_test": "val/images",
    "annotations_prepped_test": "val/annotations",
}
_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
_CLASS_NAMES = (
    "sky building pole road pavement tree sign_symbol fence car pedestrian "
    "bicyclist"
)


class _Failure(Exception):
    """What the user should know, in one line."""


@dataclasses.dataclass(frozen=True)
class _Source:
    """A file to fetch; `size` may be None and `digest` empty: not known."""

    path: Path
    url: str
    digest: str  # MD5 or SHA-256
    size: int | None = None

    @property
    def part(self) -> Path:
        """The download so far, kept for the next run."""
        return self.path.with_name(f".{self.path.name}.part")


class _HttpsRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to https only."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> Any:
        request, url = args[0], args[-1]
        if not url.startswith("https://"):
            raise _Failure(f"{request.full_url} redirects to {url}: not https")
        return super().redirect_request(*args, **kwargs)


def _ask(source: _Source, start: int) -> http.client.HTTPResponse | None:
    """Asks for the file from byte `start` on; None if it is not that long."""
    url = urllib.parse.urlsplit(source.url)
    # On this machine nobody can listen in: a tunnel, or a test.
    local = url.scheme == "http" and url.hostname in ("127.0.0.1", "localhost")
    if url.scheme != "https" and not local:
        raise _Failure(f"{source.url} is not an https address")
    headers = {"Range": f"bytes={start}-"} if start else {}
    request = urllib.request.Request(source.url, headers=headers)
    opener = urllib.request.build_opener(_HttpsRedirects)
    try:
        response = opener.open(request, timeout=_SILENCE_SECONDS)
        if response.headers.get_content_type() != "text/html":
            return response
        response.close()
        problem = "a web page came"
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and start:
            return None
        problem = f"HTTP {error.code}"
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise _Failure(f"cannot reach {url.netloc}: {reason}") from None
    # Google Drive closes a file for a day when too many people want it.
    raise _Failure(
        f"{problem} from {source.url} instead of the file: try again in 24 "
        f"hours, or fetch it with a browser, put it at {source.path} and run "
        "the same command again"
    )


def _chunks(
    response: http.client.HTTPResponse, start: int, end: int | None
) -> Iterator[bytes]:
    """Yields what arrives; ends early where the connection breaks."""
    stream: Any = contextlib.nullcontext(response)
    if tqdm:
        options = {"initial": start, "total": end, "disable": None}
        stream = tqdm.wrapattr(response, "read", **options)
    with (
        stream as read,
        contextlib.suppress(OSError, http.client.HTTPException),
    ):
        while chunk := read.read(_CHUNK_BYTES):
            yield chunk


def _receive(
    source: _Source, response: http.client.HTTPResponse, part: BinaryIO
) -> bool:
    """Appends an answer to `part`; is the file whole then?"""
    start = part.tell()
    if response.status == 200 and start:  # from a server that cannot resume
        start = part.seek(0)
        part.truncate()
    length = response.length
    end = source.size if length is None else start + length
    for chunk in _chunks(response, start, end):
        if part.tell() + len(chunk) > (source.size or _MAX_BYTES):
            part.truncate(0)
            raise _Failure(f"{source.url} sends more than the file has")
        part.write(chunk)
    return end is None or part.tell() == end


def _download(source: _Source, part: BinaryIO) -> None:
    """Brings what is missing into `part`."""
    size = part.seek(0, os.SEEK_END)
    if size == source.size or zipfile.is_zipfile(part):
        return
    while True:
        size = part.seek(0, os.SEEK_END)
        start = f"going on at byte {size} of" if size else "fetching"
        print(start, source.url, flush=True)
        response = _ask(source, size)
        if response is None:  # longer than the file is: not a part of it
            part.truncate(0)
            continue
        with response:
            if _receive(source, response, part):
                return
        # Breaking off is usual, as long as each request brings something.
        if part.tell() <= size:
            raise _Failure(f"the connection to {source.url} broke")


def _find_fault(source: _Source, file: BinaryIO) -> str:
    """Returns what is wrong with size or sums, or an empty string."""
    size = file.seek(0, os.SEEK_END)
    if source.size not in (None, size):
        return f"{size} bytes instead of {source.size}"
    name = "md5" if len(source.digest) == 32 else "sha256"
    file.seek(0)
    digest = hashlib.new(name, file.read(), usedforsecurity=False).hexdigest()
    if source.digest in ("", digest):
        return ""
    return f"{name} {digest} instead of {source.digest}"


def _fetch(source: _Source) -> bool:
    """Brings a file to its place; returns False if it was there before."""
    if source.path.exists():
        with open(source.path, "rb") as file:
            fault = _find_fault(source, file)
        if fault:
            raise _Failure(f"{source.path} has {fault}: remove it")
        return False
    # A download never goes through a link into another file.
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
    with open(os.open(source.part, flags, 0o666), "r+b") as part:
        signal.alarm(_RUN_SECONDS)
        try:
            _download(source, part)
        finally:
            signal.alarm(0)
        fault = _find_fault(source, part)
    if fault:
        source.part.unlink()
        raise _Failure(f"{source.url} sent {fault}: removed, run this again")
    source.part.rename(source.path)
    return True


def _members(archive: zipfile.ZipFile) -> Iterator[tuple[zipfile.ZipInfo, str]]:
    """Yields (member, path in the data set); refuses what is unsafe."""
    for info in archive.infolist():
        # ZipInfo itself may have cut or rewritten the name.
        name = info.orig_filename
        parts = name.rstrip("/").split("/")
        link = stat.S_ISLNK(info.external_attr >> 16)
        if link or re.search(r"[\\\0:]", name) or {"", "..", "."} & {*parts}:
            raise ValueError(f"unsafe member {name!r}")
        if parts[0] == "dataset1":
            del parts[0]
        image = len(parts) == 2 and parts[1].lower().endswith(_SUFFIXES)
        if image and parts[0] in _FOLDERS:
            yield info, f"{_FOLDERS[parts[0]]}/{parts[1]}"


def _unpack(path: Path, target: Path) -> None:
    """Unpacks the images and annotations of an archive into a new folder."""
    folders = {*_FOLDERS.values()}
    for folder in folders:
        (target / folder).mkdir(parents=True)
    names = _CLASS_NAMES.replace(" ", "\n") + "\n"
    (target / "class_names.txt").write_text(names)
    try:
        with zipfile.ZipFile(path) as archive:
            chosen = list(_members(archive))
            size = sum(info.file_size for info, _ in chosen)
            if size > _MAX_BYTES:
                raise ValueError(f"it would grow to {size} bytes")
            if {os.path.dirname(name) for _, name in chosen} != folders:
                raise ValueError(f"no images in one of {sorted(folders)}")
            for info, name in chosen:
                # "x": two names that differ in case only, or not at all.
                with open(target / name, "xb") as unpacked:
                    unpacked.write(archive.read(info))
    except Exception as error:  # zipfile raises a dozen kinds
        fault = getattr(error, "errno", None)
        if fault not in (None, errno.EINVAL, errno.EEXIST):
            raise  # the disk's, not the archive's
        reason = str(error) or type(error).__name__
        raise _Failure(f"cannot unpack {path}: {reason}") from None
    print(f"{len(chosen)} images and annotations")


def _get_vgg16(source: _Source) -> None:
    """Fetches the weights, if they are not there yet."""
    print("done:" if _fetch(source) else "already there:", source.path)
    print(f"train with --encoder_weights={shlex.quote(str(source.path))}")


def _get_dataset1(source: _Source) -> None:
    """Fetches and unpacks the data set, if it is not there yet."""
    result = source.path.with_suffix("")
    if result.exists():
        print("already there:", result)
        return
    fetched = _fetch(source)
    scratch = source.path.with_name(f".{source.path.name}.scratch")
    shutil.rmtree(scratch, ignore_errors=True)  # of a run that was killed
    try:
        _unpack(source.path, scratch)
        scratch.rename(result)
    except _Failure:
        if fetched:
            source.path.unlink()
        raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if fetched:
        source.path.unlink()
    print(f"done: {result}; README.md shows under CamVid how to convert it")


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Waits for other runs; a lock on the folder leaves nothing behind."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _parse(argv: Sequence[str]) -> tuple[Callable[[_Source], None], _Source]:
    """Returns what to do with which file; exits where that is not said."""
    parser = argparse.ArgumentParser(
        prog="download_dataset.sh",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", choices=["dataset1", "vgg16"])
    parser.add_argument("dir", nargs="?", metavar="DIR", help="default: data")
    arguments = parser.parse_args(argv[1:])
    values = {}
    for name, (default, pattern) in _SETTINGS.items():
        values[name] = os.environ.get(name) or default
        if not re.fullmatch(pattern, values[name]):
            parser.error(f"{name}={values[name]} does not match {pattern}")
    url, sha256, vgg16_url, md5, size = values.values()
    folder = Path(arguments.dir or "data")
    if arguments.what == "dataset1":
        return _get_dataset1, _Source(folder / "dataset1.zip", url, sha256)
    path = folder / _VGG16_FILE
    return _get_vgg16, _Source(path, vgg16_url, md5, int(size))


def main(argv: Sequence[str]) -> int:
    """Runs the program and returns its exit status."""
    get, source = _parse(argv)
    part = source.part
    status = 1
    try:
        with _signals_raised():
            part.parent.mkdir(parents=True, exist_ok=True)
            with _locked(part.parent):
                get(source)
        return 0
    except KeyboardInterrupt as signalled:
        (number,) = signalled.args or (signal.SIGINT,)
        reason, status = "stopped", 128 + number
        if number == signal.SIGALRM:
            reason, status = f"error: not done after {_RUN_SECONDS} seconds", 1
    except _Failure as error:
        reason = f"error: {error}"
    except OSError as error:
        name = error.filename or part.parent
        reason = f"error: {name}: {error.strerror or error}"
    if part.is_file() and not part.is_symlink():
        if size := part.stat().st_size:
            reason += f"; {size} bytes are kept, the same command goes on there"
        else:
            part.unlink()
    # What servers and archives say is shown, but never runs on a terminal.
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in reason)
    print(f"download_dataset.sh: {shown}", file=sys.stderr)
    return status


@contextlib.contextmanager
def _signals_raised() -> Iterator[None]:
    """Lets the signals that end the program unwind it."""

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt(number)

    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    taken = [n for n, handler in handlers.items() if handler != signal.SIG_IGN]
    try:
        for number in taken:
            signal.signal(number, stop)
        yield
    finally:
        for number in taken:
            signal.signal(number, handlers[number])
