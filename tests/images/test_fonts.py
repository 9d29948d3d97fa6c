from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from segnet.images import fonts, overlay

_GREEK = next(
    iter(Path("/usr/share/fonts").rglob("DejaVuSans.ttf")), None
)  # fmt: skip
needs_font = pytest.mark.skipif(
    _GREEK is None, reason="the system has no DejaVuSans.ttf"
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The only place where there are fonts."""
    monkeypatch.setattr(fonts, "_FOLDERS", (str(tmp_path),))
    for function in (fonts._path_for, fonts._font_files, overlay._text):
        function.cache_clear()
    yield tmp_path
    for function in (fonts._path_for, fonts._font_files, overlay._text):
        function.cache_clear()


def test_latin_needs_no_font_of_the_system(folder):
    for text in ("road", "lane marking 2", "Sky-2 (b)", ""):
        assert fonts.has_all_glyphs(text)
    assert fonts._path_for("ador") == ""


def test_without_a_font_the_class_id_is_beside_the_name(folder):
    assert not fonts.has_all_glyphs("дорога")
    assert fonts.font_for("дорога", 12)  # Drawn all the same.
    assert overlay._shown_name("дорога", 3) == "3: дорога"
    assert overlay._shown_name("road", 3) == "road"
    label = np.zeros((32, 48), np.uint8)
    image = np.zeros((32, 48, 3), np.uint8)
    assert overlay.encode_overlay(image, label, ("дорога", "road"))


@needs_font
def test_the_first_font_that_has_all_letters_is_taken(folder):
    (folder / "a.ttf").write_bytes(b"no font")
    (folder / "deep").mkdir()
    shutil.copy(_GREEK, folder / "deep" / "b.ttf")
    for text in ("δρόμος", "дорога", "δρόμος дорога"):
        assert fonts.has_all_glyphs(text)
        assert fonts.font_for(text, 12).path == str(folder / "deep" / "b.ttf")
        assert overlay._shown_name(text, 3) == text
    # It has no Chinese.
    assert overlay._shown_name("道路", 3) == "3: 道路"


@needs_font
def test_letters_are_drawn_not_boxes(folder):
    boxes = np.asarray(overlay._text("дорога", 24))
    overlay._text.cache_clear()
    fonts._path_for.cache_clear()
    fonts._font_files.cache_clear()
    shutil.copy(_GREEK, folder / "b.ttf")
    letters = np.asarray(overlay._text("дорога", 24))
    assert letters.any()
    assert letters.shape != boxes.shape or np.any(letters != boxes)
