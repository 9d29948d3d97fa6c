from __future__ import annotations

import numpy as np
import pytest

from segnet.evaluation.boundary import boundary_f1_scores
from tools.sample_scenes import CLASS_NAMES, VOID, render_scene

UNSURE = ("lane_marking", "tree", "pedestrian", "sign")


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
    assert 0.03 < names["void"] < 0.08


def neighbours(labels):
    """Both labels of all pairs of pixels side by side or one above another."""
    return np.concatenate(
        [
            [labels[:, 1:].ravel(), labels[:, :-1].ravel()],
            [labels[:, :, 1:].ravel(), labels[:, :, :-1].ravel()],
        ],
        axis=1,
    )


def test_void_is_the_frame_and_around_what_is_hard_to_outline(scenes):
    _, labels = scenes
    assert (labels[:, [0, -1]] == VOID).all()
    assert (labels[:, :, [0, -1]] == VOID).all()
    first, second = neighbours(labels)
    for name in UNSURE:
        beside = second[first == CLASS_NAMES.index(name)]
        assert set(beside) == {CLASS_NAMES.index(name), VOID}
    # All other void is beside one of those, or beside one that is void itself
    # for the sake of another.
    inner = labels[:, 2:-2, 2:-2]
    windows = np.lib.stride_tricks.sliding_window_view(
        labels[:, 1:-1, 1:-1], (3, 3), (1, 2)
    )
    codes = [CLASS_NAMES.index(name) for name in UNSURE]
    unsure = np.isin(windows, codes).any(axis=(3, 4))
    assert unsure[inner == VOID].mean() > 0.99


def test_a_sign_before_a_tree_keeps_its_pole(scenes):
    """The void around the tree does not take thin things away."""
    _, labels = scenes
    # Scene 5 has one sign, whose pole stands before a tree all the way down.
    widths = (labels[5] == CLASS_NAMES.index("sign")).sum(axis=1)
    pole = widths[widths > 0][-40:]
    assert (pole == 4).all()


def test_every_other_boundary_can_be_scored(scenes):
    _, labels = scenes
    scores = np.stack([boundary_f1_scores(x, x, 9) for x in labels])
    scored = ~np.isnan(scores)
    assert (scores[scored] == 1.0).all()
    for index, name in enumerate(CLASS_NAMES):
        assert scored[:, index].any() == (name not in UNSURE)
    assert scored[:, [0, 1, 2, 4]].all()


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
