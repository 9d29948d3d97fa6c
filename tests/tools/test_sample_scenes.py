from __future__ import annotations

import numpy as np
import pytest

from tools.sample_scenes import CLASS_NAMES, VOID, render_scene


def scene(index: int, size=(128, 256)):
    return render_scene(np.random.default_rng([0, 0, index]), *size)


@pytest.fixture(scope="module")
def scenes():
    """Twelve scenes of the default size: images and labels."""
    images, labels = zip(*map(scene, range(12)), strict=True)
    return np.stack(images), np.stack(labels)


def test_every_class_occurs_and_the_balance_is_uneven(scenes):
    _, labels = scenes
    share = np.bincount(labels.ravel(), minlength=10) / labels.size
    names = dict(zip([*CLASS_NAMES, "void"], share, strict=True))
    assert min(share) > 0.001
    for rare in ("lane_marking", "pedestrian", "sign"):
        assert names[rare] < 0.035
    for common in ("sky", "building", "road"):
        assert names[common] > 0.08
    assert names["building"] > 8 * names["sign"]
    assert 0.05 < names["void"] < 0.18


def test_void_is_the_frame_and_the_borders_between_classes(scenes):
    _, labels = scenes
    assert (labels[:, [0, -1]] == VOID).all()
    assert (labels[:, :, [0, -1]] == VOID).all()
    inner = labels[:, 1:-1, 1:-1] == VOID
    assert inner.any()
    # Lines of two pixels have few 5x5 blocks that are void throughout.
    windows = np.lib.stride_tricks.sliding_window_view(inner, (5, 5), (1, 2))
    assert windows.all(axis=(3, 4)).sum() < 0.01 * inner.sum()
    # Wide classes do not touch each other: there is void between them.
    wide = np.isin(labels, [0, 1, 2, 4, 5, 6])
    for first, second in (
        ((slice(None), slice(1, None)), (slice(None), slice(None, -1))),
        ((..., slice(1, None)), (..., slice(None, -1))),
    ):
        both = wide[first] & wide[second]
        assert np.all(labels[first][both] == labels[second][both])


def test_the_sky_is_above_the_road(scenes):
    _, labels = scenes
    rows = np.broadcast_to(np.arange(128)[:, None], labels.shape)
    assert rows[labels == 0].mean() < 45
    assert rows[labels == 2].mean() > 80


def test_colour_alone_does_not_give_the_class(scenes):
    images, labels = scenes
    known = labels < VOID
    colours = images[known].astype(np.float64)
    classes = labels[known]
    means = np.stack([colours[classes == c].mean(axis=0) for c in range(9)])
    far = ((colours[:, None] - means) ** 2).sum(axis=-1)
    hit = far.argmin(axis=1) == classes
    recall = [hit[classes == c].mean() for c in range(9)]
    assert np.mean(recall) < 0.6


def test_images_are_varied(scenes):
    images, _ = scenes
    assert images.dtype == np.uint8
    brightness = images.mean(axis=(1, 2, 3))
    assert np.ptp(brightness) > 30
    assert images.std(axis=(1, 2)).min() > 10
