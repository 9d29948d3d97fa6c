"""Memory of the converter: bounded by the work, not by the largest header."""

from __future__ import annotations

import contextlib
import multiprocessing
import struct
import threading

import numpy as np
import picture_files as files
import pytest

from segnet.convert import gate
from segnet.errors import DataError
from segnet.images import decoding
from segnet.records.verify import verify_split
from tools import convert_to_tfrecord as convert

UNIT = gate._UNIT_PIXELS


class Waiting(threading.Thread):
    """Passes the gate in a thread of its own, and stays until it may go."""

    def __init__(self, held: gate.PixelGate, units: int) -> None:
        super().__init__(daemon=True)
        self._held, self._units = held, units
        self.inside, self.may_go = threading.Event(), threading.Event()
        self.start()

    def run(self) -> None:
        with self._held.passing(self._units * UNIT):
            self.inside.set()
            self.may_go.wait(60)


def test_pictures_wait_until_others_have_left():
    held = gate.PixelGate(multiprocessing.get_context("fork"))
    first = Waiting(held, gate._UNITS - 1)
    assert first.inside.wait(60)
    second = Waiting(held, 2)
    assert not second.inside.wait(0.1)
    with held.passing(UNIT - 1):
        pass  # small ones do not wait
    first.may_go.set()
    assert second.inside.wait(60)
    second.may_go.set()
    second.join(60)
    # What is larger than all there is goes alone, and gives all back.
    for _ in range(2):
        with held.passing(100 * gate._UNITS * UNIT):
            pass
    with contextlib.suppress(KeyError), held.passing(3 * UNIT):
        raise KeyError
    with held.passing(gate._UNITS * UNIT):
        pass


def test_pixels_are_counted_from_the_header(tmp_path):
    path = tmp_path / "a"
    for kind in ("JPEG", "PNG", "BMP"):
        path.write_bytes(files.saved(files.picture(), kind))
        assert decoding.count_pixels(path) == 24 * 40
    path.write_bytes(b"none")
    assert decoding.count_pixels(path) == 0
    assert decoding.count_pixels(tmp_path / "missing") == 0


def claiming(height: int, width: int, **options) -> bytes:
    """A JPEG of 24x40 whose header says something else."""
    data = bytearray(files.saved(files.picture(), "JPEG", **options))
    frame = data.find(b"\xff\xc2" if options else b"\xff\xc0")
    data[frame + 5 : frame + 9] = struct.pack(">HH", height, width)
    return bytes(data)


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
def test_a_jpeg_far_too_small_for_its_header_is_refused(tmp_path, options):
    path = tmp_path / "a.jpg"
    path.write_bytes(claiming(9400, 9500, **options))
    with pytest.raises(DataError, match="bytes for 9500x9400 pixels"):
        decoding.open_image(path)


def test_a_flat_jpeg_is_not_too_small(tmp_path):
    path = tmp_path / "a.jpg"
    flat = np.full((1500, 2500, 3), 7, np.uint8)
    options = {"optimize": True, "quality": 5, "progressive": True}
    path.write_bytes(files.saved(flat, "JPEG", **options))
    image, data = decoding.open_image(path)
    assert image.size == (2500, 1500)
    assert len(data) * 1024 > 1500 * 2500


def test_large_pictures_pass_the_gate(tmp_path, monkeypatch):
    """With a unit so small that all pictures of two processes need several."""
    monkeypatch.setattr(gate, "_UNIT_PIXELS", 30)
    root = files.write_folders(tmp_path, 5)
    assert convert.main(files.flags(root, "--num_workers=2")) == 0
    assert verify_split(root / "out", "train").num_records == 5
