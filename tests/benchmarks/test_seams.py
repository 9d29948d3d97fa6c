"""Tests of benchmarks/seams.py, on labels that are written here."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import seams
from segnet.evaluation.tiles import Tiling

# Tiles of 64 begin at 0, 48 and 96 of 160: seams of 8 pixels in the middle of
# their overlaps, from 52 and from 100 on.
TILING = Tiling(64, 16, 64)


def test_where_the_seams_are():
    found = seams.seams(TILING, 64, 160)
    assert not found[:, :52].any() and found[:, 52:60].all()
    assert not found[:, 60:100].any() and found[:, 100:108].all()
    assert not found[:, 108:].any()


def test_what_the_seams_add():
    first = np.zeros([64, 160], np.uint8)
    second = first.copy()
    second[:16] = 1  # Left out.
    second[20, 55] = 1  # At a seam of the first.
    second[40, 20] = 1  # At none.
    near, away, added = seams.compare(first, second, TILING, 16)
    found = seams.seams(TILING, 64, 160)
    found |= seams.seams(TILING, 80, 176)[16:, 16:]
    count, pixels = found[16:, 16:].sum(), 48 * 144
    assert found[20, 55] and not found[40, 20]
    assert near == pytest.approx(1 / count)
    assert away == pytest.approx(1 / (pixels - count))
    assert added == pytest.approx((near - away) * count / pixels)
