from __future__ import annotations

import numpy as np
import pytest

from segnet.constants import MAX_CLASSES
from segnet.images import palettes

# From linear RGB to what is seen without one kind of cones.
# Machado, Oliveira, Fernandes (2009), severity 1.
DEFICIENCIES = {
    "none": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868],
                   [0.114503, 0.786281, 0.099216],
                   [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968],
                     [0.280085, 0.672501, 0.047413],
                     [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779],
                   [-0.078411, 0.930809, 0.147602],
                   [0.004733, 0.691367, 0.303900]],
}  # fmt: skip
_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
     [0.0193339, 0.1191920, 0.9503041]]
)  # fmt: skip


def _lab(colours, deficiency):
    """CIELAB (D65) of sRGB colours, as somebody sees them."""
    values = np.asarray(colours) / 255
    linear = np.where(
        values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4
    )
    seen = np.clip(linear @ np.transpose(DEFICIENCIES[deficiency]), 0, 1)
    xyz = seen @ _XYZ.T / [0.95047, 1, 1.08883]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = f.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)


def _nearest(colours, deficiency):
    lab = _lab(colours, deficiency)
    distances = np.linalg.norm(lab[:, None] - lab[None], axis=-1)
    return distances[np.triu_indices(len(lab), 1)].min()


@pytest.mark.parametrize("deficiency", list(DEFICIENCIES))
def test_twenty_colours_stay_apart_for_everybody(deficiency):
    # Black is void, and the legend is white.
    colours = [*palettes.COLOURBLIND[:20], (0, 0, 0), (255, 255, 255)]
    assert _nearest(colours, deficiency) > 19
    assert _nearest(palettes.COLOURBLIND[:8], deficiency) > 25


def test_the_usual_ones_do_not():
    """A test that could not fail would be worse than none."""
    nearest = [_nearest(palettes.DEFAULT[:12], x) for x in DEFICIENCIES]
    assert min(nearest) < 5


@pytest.mark.parametrize(
    "palette", [palettes.DEFAULT, palettes.COLOURBLIND, palettes.VOC]
)
def test_every_class_has_its_own(palette):
    assert len(palette) == MAX_CLASSES
    assert len(set(palette)) == MAX_CLASSES
    assert all(0 <= value <= 255 for colour in palette for value in colour)


def test_voc_s_are_those_of_its_devkit():
    expected = {0: (0, 0, 0), 1: (128, 0, 0), 15: (192, 128, 128),
                20: (0, 64, 128)}  # fmt: skip
    for index, colour in expected.items():
        assert palettes.VOC[index] == colour


def test_by_name():
    red, own = (255, 0, 0), palettes.DEFAULT[0]
    palette = palettes.by_name(
        ["Traffic_Light", "sky", "thing"], {"traffic light": red, "sky": own}
    )
    assert palette[:2] == (red, own)
    # The first of the usual colours is the sky's now.
    assert palette[2] == palettes.DEFAULT[1]
    assert len(palette) == MAX_CLASSES
