"""Tests of segnet/config/batches.py, and of schedules of small splits."""

from __future__ import annotations

import pytest

from segnet.config import Config
from segnet.config.batches import check_batches
from segnet.config.schedule import create_schedule
from segnet.errors import ConfigError


@pytest.mark.parametrize(
    ("changes", "num_records", "num_workers", "batch"),
    [
        ({}, 15, 1, 15),
        ({}, 16, 1, 16),
        ({}, 33, 2, 16),
        ({}, 7, 2, 3),  # One image is left out of each epoch.
        ({"accumulate_steps": 2}, 7, 1, 3),
        ({"accumulate_steps": 2, "batch_size": 5}, 13, 2, 3),
        ({"batch_size": 4}, 1, 1, 1),
    ],
)
def test_a_batch_is_no_more_than_the_split(
    changes, num_records, num_workers, batch
):
    config = Config(epochs=3, **changes)
    (stage,) = create_schedule(config, num_records, num_workers).stages
    assert stage.batch_size == batch * config.accumulate_steps
    assert stage.steps_per_epoch == num_records // (
        stage.batch_size * num_workers
    )
    note = check_batches(config, num_records, num_workers)
    if batch == config.batch_size:
        assert note is None
    else:
        assert note.startswith(f"note: batches have {batch} images, not ")
        assert note.endswith(f"there are only {num_records} to train on")


def test_stages_are_made_smaller_one_by_one():
    config = Config(
        epochs=5, batch_size=4, resolution_schedule="160x320x32:2,160x320x8:1"
    )
    stages = create_schedule(config, 10, 1).stages
    assert [stage.batch_size for stage in stages] == [10, 8, 4]
    assert [stage.steps_per_epoch for stage in stages] == [1, 1, 2]
    note = check_batches(config, 10, 1)
    assert note.startswith("note: batches have 10 images, not 32, for")


@pytest.mark.parametrize(
    ("asked_for", "changes", "message"),
    [
        ({"batch_size"}, {"batch_size": 11}, "--batch_size=11: a batch of 11"),
        (
            {"resolution_schedule"},
            {"resolution_schedule": "160x320x12:2", "batch_size": 11},
            "--resolution_schedule=160x320x12:2: a batch of 12",
        ),
    ],
)
def test_what_the_user_asked_for_is_not_changed(asked_for, changes, message):
    config = Config(**changes)
    with pytest.raises(ConfigError) as caught:
        check_batches(config, 21, 2, asked_for)
    assert str(caught.value).startswith(f"{message} times 2 workers is more")
    assert str(caught.value).endswith("use at most 10, or leave the flag out")
    assert check_batches(config, 21, 2, {"epochs", "data_dir"})


def test_a_step_needs_an_image_for_each_of_its_parts():
    config = Config(accumulate_steps=3)
    with pytest.raises(ConfigError, match=r"2 worker\(s\) times --acc"):
        create_schedule(config, 5, 2)
    with pytest.raises(ConfigError, match="only 5 training images"):
        check_batches(config, 5, 2)


def test_pixels_that_are_left():
    config = Config(
        epochs=3, batch_size=2, input_height=32, input_width=48,
        resolution_schedule="16x32x5:1",
    )  # fmt: skip
    schedule = create_schedule(config, 10, 1)
    # Two steps of 5 small images, then ten of 2.
    small, large = 5 * 16 * 32, 2 * 32 * 48
    assert schedule.pixels_after(0) == 2 * small + 10 * large
    assert schedule.pixels_after(1) == small + 10 * large
    assert schedule.pixels_after(11) == large
    assert schedule.pixels_after(12) == 0
