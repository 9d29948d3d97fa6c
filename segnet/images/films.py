"""Pictures of several frames: videos, GIF, TIFF with several pages.

Videos are read and written by ffmpeg, a program that imageio-ffmpeg brings (the
extra `video`), as a stream of pictures.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from typing import IO

import numpy as np
from PIL import Image, UnidentifiedImageError

from segnet.constants import MAX_PIXELS
from segnet.errors import DataError, RunError
from segnet.images import depths

__all__ = [
    "FILM_SUFFIXES",
    "MARK",
    "Film",
    "FilmWriter",
    "is_paged",
    "open_film",
]

_VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg")
_PAGED_SUFFIXES = (".gif", ".tif", ".tiff", ".webp")
_PAGED_FORMATS = ("GIF", "TIFF", "WEBP")
FILM_SUFFIXES = (*_VIDEO_SUFFIXES, *_PAGED_SUFFIXES)
# Of a GIF that says nothing.
_GIF_MILLISECONDS = 100
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, TypeError, IndexError)
# In films that are written here, by which they are known again.
MARK = b"segnet overlay"
_SHOWN_CHARACTERS = 200


class Film:
    """Frames one after the other.

    Attributes:
      count: How many there are, as far as the file says.
      rate: Frames a second; 0 if it says nothing.
      frames: uint8 RGB `[height, width, 3]` each; a DataError in the place of
        one that is damaged.
    """

    def __init__(
        self, count: int, rate: float, frames: Iterator[np.ndarray | DataError]
    ) -> None:
        """Takes what `open_film` has found."""
        self.count, self.rate, self.frames = count, rate, frames


@contextlib.contextmanager
def open_film(
    path: str, max_pixels: int = MAX_PIXELS, bit_depth: int = 0
) -> Iterator[Film]:
    """Opens a film.

    Args:
      path: Of the file.
      max_pixels: That a frame may have.
      bit_depth: Bits that values of more than 8 bits use; 0: all.

    Raises:
      DataError: It is none, has frames that are too large, or imageio-ffmpeg is
        missing.
    """
    if path.lower().endswith(_PAGED_SUFFIXES):
        with _open_pages(path, max_pixels, bit_depth) as film:
            yield film
    else:
        with _open_video(path, max_pixels) as film:
            yield film


def is_paged(path: str) -> bool:
    """Whether a file has several frames or pages; not if it cannot be read."""
    try:
        with Image.open(path, formats=_PAGED_FORMATS) as image:
            return depths.has_several(image)
    except (*_DAMAGED, Image.DecompressionBombError):
        return False


@contextlib.contextmanager
def _open_pages(path: str, max_pixels: int, bit_depth: int) -> Iterator[Film]:
    try:
        image = Image.open(path, formats=_PAGED_FORMATS)
    except UnidentifiedImageError:
        raise DataError(f"{path}: is no GIF, TIFF or WebP file") from None
    except (*_DAMAGED, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from None
    with image:
        try:
            count = getattr(image, "n_frames", 1)
        except _DAMAGED as error:
            raise DataError(f"{path}: is damaged ({error})") from None
        _check_size(path, image.width * image.height, max_pixels)
        milliseconds = 0.0
        if image.format != "TIFF":
            milliseconds = image.info.get("duration") or _GIF_MILLISECONDS
        rate = 1000 / milliseconds if milliseconds else 0.0
        frames = _pages(path, image, count, max_pixels, bit_depth)
        yield Film(count, rate, frames)


def _pages(
    path: str,
    image: Image.Image,
    count: int,
    max_pixels: int,
    bit_depth: int,
) -> Iterator[np.ndarray | DataError]:
    for number in range(count):
        try:
            image.seek(number)
            _check_size(path, image.width * image.height, max_pixels)
            where = f"{path}: frame {number + 1}"
            yield _to_rgb(image, bit_depth, where)
        except DataError as error:
            yield error
        except (*_DAMAGED, Image.DecompressionBombError) as error:
            reason = " ".join(str(error).split())[:_SHOWN_CHARACTERS]
            yield DataError(f"{path}: frame {number + 1} is damaged ({reason})")


def _to_rgb(image: Image.Image, bit_depth: int, where: str) -> np.ndarray:
    """As `image_files.load_image` does."""
    if image.mode in ("I", "F"):
        raise ValueError("values of 32 bits")
    bits = depths.bits_of(image, b"") or 8
    if image.mode == "RGB" and bits > 8 and bit_depth not in (0, bits):
        raise ValueError(
            "colours of 16 bits, of which pages cannot have another --bit_depth"
        )
    image.load()
    values = depths.grey_values(image, image)
    if values is not None:
        grey = depths.to_eight_bits(values, bits, bit_depth, where)
        return np.repeat(grey[..., None], 3, axis=2)
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return np.asarray(image.convert("RGB"))


def _check_size(path: str, num_pixels: int, max_pixels: int) -> None:
    if num_pixels > max_pixels:
        raise DataError(
            f"{path}: has frames of more than {max_pixels:,} pixels; make them "
            "smaller or raise --max_pixels"
        )


def _ffmpeg(path: str) -> str:
    """The program.

    Raises:
      DataError: It is not installed.
    """
    try:
        import imageio_ffmpeg
    except ImportError:
        raise DataError(
            f"{path}: films need the package imageio-ffmpeg: pip install -r "
            "requirements/video.txt (of an installed segnet: pip install "
            "'segnet[video]')"
        ) from None
    return imageio_ffmpeg.get_ffmpeg_exe()


@contextlib.contextmanager
def _open_video(path: str, max_pixels: int) -> Iterator[Film]:
    """Asks for PPM pictures, which say their sizes."""
    program = _ffmpeg(path)
    count, rate = _measure(program, path)
    command = [
        program, "-nostdin", "-v", "error", "-i", f"file:{path}",
        "-an", "-sn", "-map", "0:v:0", "-r", f"{rate:.6f}",
        "-f", "image2pipe", "-c:v", "ppm", "-",
    ]  # fmt: skip
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=said,
            stdin=subprocess.DEVNULL,
        ) as process,
    ):  # fmt: skip
        try:
            yield Film(count, rate, _stream(path, process, said, max_pixels))
        finally:
            process.kill()


def _stream(
    path: str, process: subprocess.Popen, said: IO[bytes], max_pixels: int
) -> Iterator[np.ndarray | DataError]:
    """The frames, and at the end a line on what ffmpeg complained of."""
    stream = process.stdout
    while stream and (head := stream.readline()):
        width, height = map(int, stream.readline().split())
        stream.readline()  # the largest value
        try:
            _check_size(path, width * height, max_pixels)
        except DataError as error:
            yield error
            return
        data = stream.read(width * height * 3)
        if head != b"P6\n" or len(data) < width * height * 3:
            break
        yield np.frombuffer(data, np.uint8).reshape(height, width, 3)
    process.wait()
    said.seek(0)
    lines = said.read().decode(errors="replace").splitlines()
    if lines or process.returncode:
        reason = (lines or ["no reason given"])[0][:_SHOWN_CHARACTERS]
        yield DataError(
            f"{path}: frames are damaged or missing; what could be read is "
            f"labelled ({reason})"
        )


def _measure(program: str, path: str) -> tuple[int, float]:
    """Frames and frames a second, as the file says.

    Raises:
      DataError: It is no film.
    """
    said = subprocess.run(
        [program, "-nostdin", "-hide_banner", "-i", f"file:{path}"],
        capture_output=True, stdin=subprocess.DEVNULL, check=False,
    ).stderr.decode(errors="replace")  # fmt: skip
    found = re.search(r"Stream #0.*: Video: .*?([0-9.]+) (?:fps|tbr)", said)
    if not found or not float(found[1]):
        raise DataError(f"{path}: is no film that ffmpeg reads")
    rate, seconds = float(found[1]), 0.0
    length = re.search(r"Duration: (\d+):(\d+):([0-9.]+)", said)
    if length:
        hours, minutes, rest = map(float, length.groups())
        seconds = 3600 * hours + 60 * minutes + rest
    return round(rate * seconds), rate


class FilmWriter:
    """Writes an MP4 film; use it as a context, which ends it.

    It gets its name when it is whole.
    """

    def __init__(self, path: str, rate: float) -> None:
        """Prepares a film.

        Args:
          path: Where it goes; ends in `.mp4`.
          rate: Frames a second.

        Raises:
          DataError: imageio-ffmpeg is missing.
        """
        self._program = _ffmpeg(path)
        self._path, self._rate = path, rate
        folder, name = os.path.split(path)
        self._aside = os.path.join(folder, f".segnet-{os.getpid()}-{name}")
        self._process: subprocess.Popen | None = None
        self._said = tempfile.TemporaryFile()  # noqa: SIM115

    def __enter__(self) -> FilmWriter:
        """Gives the writer."""
        return self

    def add(self, frame: np.ndarray) -> None:
        """Adds a frame, uint8 RGB `[height, width, 3]`, all of one size.

        Raises:
          RunError: The film cannot be written.
        """
        if self._process is None:
            self._process = self._start(*frame.shape[:2])
        try:
            self._process.stdin.write(frame.tobytes())  # type: ignore[union-attr]
        except OSError:
            self._fail()

    def _start(self, height: int, width: int) -> subprocess.Popen:
        command = [
            self._program, "-nostdin", "-y", "-v", "error",
            "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}",
            "-r", f"{self._rate:.6f}", "-i", "-",
            # Of half the resolution in colour, which most players want.
            "-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2",
            "-c:v", "libx264", "-crf", "18", "-pix_fmt", "yuv420p",
            "-movflags", "+faststart", "-metadata", f"comment={MARK.decode()}",
            f"file:{self._aside}",
        ]  # fmt: skip
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=self._said,
        )  # fmt: skip

    def _fail(self) -> None:
        """Tells what ffmpeg said."""
        if self._process is not None:
            self._process.wait()
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").splitlines()
        reason = (lines or ["no reason given"])[0][:_SHOWN_CHARACTERS]
        raise RunError(f"{self._path}: the film cannot be written ({reason})")

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        """Ends the film, or removes it when something went wrong."""
        try:
            if self._process is not None:
                with contextlib.suppress(OSError):
                    self._process.stdin.close()  # type: ignore[union-attr]
                failed = bool(self._process.wait())
                if kind is None:
                    if failed:
                        self._fail()
                    os.replace(self._aside, self._path)
        finally:
            self._said.close()
            with contextlib.suppress(FileNotFoundError):
                os.remove(self._aside)
