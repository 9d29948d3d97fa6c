from __future__ import annotations

import dataclasses

import pytest

from segnet import config as config_lib
from segnet.config import Config
from segnet.config.schedule import (
    create_pass,
    create_schedule,
    eval_batch_size,
)
from segnet.errors import ConfigError


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"input_height": 100}, ["100x640", "multiples of 16", "96x640"]),
        ({"input_width": 648}, ["320x648", "multiples of 16", "320x640"]),
        ({"input_height": 8}, ["--input_height=8", "at least 16"]),
        ({"epochs": 0}, ["--epochs=0", "at least 1"]),
        ({"learning_rate": 0.0}, ["--learning_rate=0.0", "above 0"]),
        ({"learning_rate": float("nan")}, ["--learning_rate=nan"]),
        ({"learning_rate": float("inf")}, ["--learning_rate=inf"]),
        ({"momentum": 1.0}, ["--momentum=1.0", "at most"]),
        ({"loss": "nope"}, ["--loss=nope", "cross_entropy"]),
        ({"accumulate_steps": 0}, ["--accumulate_steps=0", "at least 1"]),
        ({"ema_decay": 1.0}, ["--ema_decay=1.0", "at most"]),
        ({"gradient_clip_norm": -1.0}, ["--gradient_clip_norm=-1.0"]),
        ({"encoder_learning_rate_scale": 0.0}, ["above 0"]),
        ({"best_metric": "val_loss"}, ["--best_metric=val_loss", "val_mean"]),
        ({"encoder_weights": "a.h5", "init_from": "b"}, ["--init_from"]),
        ({"resolution_schedule": "96x128"}, ["HxW[xBATCH]:EPOCHS"]),
        ({"resolution_schedule": "0x128:2"}, ["HxW[xBATCH]:EPOCHS"]),
        ({"resolution_schedule": "90x128:2"}, ["90x128", "96x128"]),
        (
            {"resolution_schedule": "96x128:5", "epochs": 5},
            ["leaves no epoch", "--epochs=5"],
        ),
        (
            {"encoder_weights": "a.h5", "width_multiplier": 0.5},
            ["--width_multiplier=0.5", "--encoder_weights"],
        ),
        ({"train_crop": "96"}, ["--train_crop=96", "HxW"]),
        ({"train_crop": "100x96"}, ["100x96", "96x96"]),
        ({"train_crop": "640x640"}, ["larger than", "320x640"]),
        ({"profile_steps": "5,2"}, ["--profile_steps=5,2"]),
        ({"profile_steps": "x"}, ["FIRST,LAST"]),
    ],
)
def test_validate_names_flag_value_and_remedy(changes, words):
    with pytest.raises(ConfigError) as caught:
        config_lib.validate(Config(**changes))
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_defaults_are_valid():
    config_lib.validate(Config())


def test_every_field_has_help():
    for field in dataclasses.fields(Config):
        assert field.metadata["help"]


def test_encoder_batch_norm_is_on_unless_weights_are_given():
    assert Config().uses_encoder_batch_norm
    assert not Config(encoder_weights="x.h5").uses_encoder_batch_norm
    assert not Config(init_from="x").uses_encoder_batch_norm
    assert not Config(batch_norm_in_encoder=False).uses_encoder_batch_norm


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # The batch of the stage with most pixels, whatever the input is.
        ({}, 16),
        ({"batch_size": 3}, 3),
        ({"accumulate_steps": 4}, 16),
        # Four windows have the pixels of one whole image.
        ({"train_crop": "160x320", "batch_size": 6}, 1),
        ({"train_crop": "160x320", "batch_size": 8}, 2),
        ({"train_crop": "16x32", "batch_size": 8}, 1),
        ({"resolution_schedule": "160x320x100:2"}, 25),
        ({"eval_batch_size": 7, "train_crop": "160x320"}, 7),
    ],
)
def test_evaluation_needs_no_more_memory_than_training(changes, expected):
    assert eval_batch_size(Config(**changes)) == expected


def test_schedule_counts_steps_by_hand():
    # 50 images, 2 workers with 4: 6 steps an epoch (48 images).
    schedule = create_schedule(Config(epochs=3, batch_size=4), 50, 2)
    assert schedule.total_steps == 18
    assert schedule.epoch(0) == (0, 0)
    assert schedule.epoch(7) == (1, 1)
    assert schedule.epoch(18) == (3, 0)
    assert schedule.steps_of_epochs(0.5) == 3


def test_schedule_with_smaller_inputs_first_and_a_frozen_encoder():
    config = Config(
        epochs=10,
        batch_size=4,
        input_height=128,
        input_width=256,
        resolution_schedule="32x48x8:4,64x96:2",
        freeze_encoder_epochs=2,
        max_steps=47,
    )
    schedule = create_schedule(config, 50, 2)
    seen = [
        (s.height, s.batch_size, s.freeze_encoder, s.first_epoch, s.first_step)
        for s in schedule.stages
    ]
    # 50 // 16 = 3 steps an epoch with batch 8, 50 // 8 = 6 with batch 4.
    assert seen == [
        (32, 8, True, 0, 0),
        (32, 8, False, 2, 6),
        (64, 4, False, 4, 12),
        (128, 4, False, 6, 24),
    ]
    assert schedule.stages[-1].end_step == 48
    assert schedule.total_steps == 47
    assert schedule.stage_at(11).height == 32
    assert schedule.stage_at(12).height == 64
    assert schedule.epoch(12) == (4, 0)
    assert schedule.steps_of_epochs(5) == 18


def test_schedule_never_has_an_epoch_without_steps():
    assert create_schedule(Config(batch_size=4), 8, 2).total_steps == 125
    # Of 7 images each worker gets 3, once an epoch.
    assert create_schedule(Config(batch_size=4), 7, 2).total_steps == 125
    with pytest.raises(ConfigError, match="2 worker"):
        create_schedule(Config(batch_size=4), 1, 2)


def test_accumulated_batches_make_one_step():
    config = Config(
        epochs=2,
        batch_size=4,
        accumulate_steps=3,
        resolution_schedule="32x48x2:1",
    )
    small, large = create_schedule(config, 50, 2).stages
    # 50 // (2 * 3 * 2) and 50 // (4 * 3 * 2) steps an epoch.
    assert (small.batch_size, small.steps_per_epoch) == (6, 4)
    assert (large.batch_size, large.steps_per_epoch) == (12, 2)
    with pytest.raises(ConfigError, match="--accumulate_steps=3"):
        create_schedule(config, 5, 2)


def test_a_pass_sees_whole_images_once():
    config = Config(batch_size=4, accumulate_steps=3)
    stage = create_pass(config, 50, 2)
    assert (stage.height, stage.width, stage.window) == (320, 640, (1.0, 1.0))
    assert (stage.batch_size, stage.end_step) == (4, 6)
    config = dataclasses.replace(config, train_crop="160x320")
    stage = create_pass(config, 50, 2)
    assert (stage.height, stage.width, stage.window) == (320, 640, (1.0, 1.0))
    # Four windows have the pixels of one whole image.
    assert (stage.batch_size, stage.end_step) == (1, 25)
    # Another --eval_batch_size would give other averages in a resumed run.
    config = dataclasses.replace(config, eval_batch_size=5)
    assert create_pass(config, 50, 2) == stage
    # Few images, many workers: each still has one.
    assert create_pass(Config(), 5, 3).end_step == 1


def test_weight_decay_is_that_of_the_optimizer():
    assert Config().effective_weight_decay == 0.0
    assert Config(optimizer="adamw").effective_weight_decay == 0.01
    assert (
        Config(optimizer="adamw", weight_decay=0.0).effective_weight_decay
        == 0.0
    )


def test_another_number_of_workers_goes_on_in_the_same_place():
    config = Config(epochs=4, batch_size=4)
    # 48 images: 12 steps an epoch alone, 6 with two workers.
    alone = create_schedule(config, 48, 1)
    two = create_schedule(config, 48, 2)
    # After an epoch and a half alone: 18 steps; 9 are the same with two.
    going_on = two.taken_over(alone, 18)
    assert going_on.epoch(18) == (1, 3)
    assert going_on.total_steps == 18 + 24 - 9
    # And back after 6 more: 2.5 epochs, 30 of 48 steps alone.
    back = alone.taken_over(going_on, 24)
    assert back.epoch(24) == (2, 6)
    assert back.total_steps == 24 + 48 - 30
    assert two.taken_over(alone, 24).epoch(24) == (2, 0)
    # Almost at the end of an epoch: the last step is done again, not skipped.
    assert two.taken_over(alone, 23).epoch(23) == (1, 5)
    assert two.taken_over(alone, 0).offset == 0


def test_max_steps_counts_steps_done():
    config = Config(epochs=4, batch_size=4, max_steps=20)
    alone = create_schedule(config, 48, 1)
    going_on = create_schedule(config, 48, 2).taken_over(alone, 18)
    assert going_on.total_steps == 20


def test_a_crop_is_the_window_of_the_last_stage():
    config = Config(
        epochs=3,
        batch_size=4,
        input_height=64,
        input_width=128,
        train_crop="32x32",
        resolution_schedule="16x32:1",
    )
    small, crop = create_schedule(config, 48, 1).stages
    assert (small.height, small.width, small.window) == (16, 32, (1.0, 1.0))
    assert (crop.height, crop.width, crop.window) == (32, 32, (0.5, 0.25))
