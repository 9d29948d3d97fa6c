"""Ways to train: frozen encoder, smaller inputs first, ends before time."""

from __future__ import annotations

import shutil

import numpy as np
import tensorflow as tf
from conftest import lines, run_flags

import main
from segnet.config import config_file
from segnet.data import datasets
from segnet.evaluation import inference
from segnet.training import checkpoint, optim, saved_weights
from segnet.training.run import create_network


def test_a_frozen_encoder_keeps_its_weights(data_dir, trained, tmp_path):
    status = main.main(
        run_flags(
            data_dir,
            tmp_path / "run",
            "--epochs=1",
            "--freeze_encoder_epochs=1",
            f"--init_from={trained}",
        )
    )
    assert status == 0
    before, after = (
        tf.train.load_checkpoint(path)
        for path in (
            checkpoint.saved_checkpoint(str(trained), "best"),
            checkpoint.saved_checkpoint(str(tmp_path / "run"), "latest"),
        )
    )
    same = {}
    for name, shape in before.get_variable_to_shape_map().items():
        if name.startswith("model/") and len(shape) == 4:
            same[name] = np.array_equal(
                before.get_tensor(name), after.get_tensor(name)
            )
    # The encoder has batch norm because that of the other run has.
    # Ten encoder kernels stay, the decoder's five learn.
    assert sum(same.values()) == 10
    assert len(same) == 15


def test_a_run_with_dropout_starts_from_one_without(
    data_dir, trained, tmp_path
):
    """Dropout has no weights, so the network's are found by their names."""
    status = main.main(
        run_flags(
            data_dir,
            tmp_path / "run",
            "--max_steps=1",
            "--learning_rate=1e-30",
            "--dropout=0.3",
            f"--init_from={trained}",
        )
    )
    assert status == 0
    before = create_network(config_file.load_config(str(trained)))
    after = create_network(config_file.load_config(str(tmp_path / "run")))
    for network, workdir, which in (
        (before, trained, "best"),
        (after, tmp_path / "run", "latest"),
    ):
        path = checkpoint.saved_checkpoint(str(workdir), which)
        saved_weights.restore_weights(network, path)
    for ours, theirs in zip(
        after.trainable_weights, before.trainable_weights, strict=True
    ):
        assert ours.name == theirs.name
        np.testing.assert_array_equal(ours, theirs)


def test_smaller_inputs_first(data_dir, tmp_path, monkeypatch):
    create, shapes = datasets.create_train_dataset, []

    def noted(*arguments, **options):
        dataset = create(*arguments, **options)
        shapes.append([tuple(image.shape) for image, _ in dataset])
        return dataset

    monkeypatch.setattr(datasets, "create_train_dataset", noted)
    status = main.main(
        run_flags(
            data_dir,
            tmp_path / "run",
            "--epochs=2",
            "--resolution_schedule=16x32x5:1",
        )
    )
    assert status == 0
    # 10 images: an epoch of two steps, then one of five at the full size.
    assert shapes == [[(5, 16, 32, 3)] * 2, [(2, 32, 48, 3)] * 5]
    assert lines(tmp_path / "run")[-1]["step"] == 7


def test_the_last_evaluation_is_part_of_the_last_checkpoint(
    data_dir, tmp_path, capsys
):
    command = run_flags(
        data_dir, tmp_path / "run", "--epochs=1", "--evaluate_every_epochs=0"
    )
    assert main.main(command) == 0
    reader = tf.train.load_checkpoint(
        checkpoint.saved_checkpoint(str(tmp_path / "run"), "latest")
    )
    state = {
        name: reader.get_tensor(f"state/{name}/.ATTRIBUTES/VARIABLE_VALUE")
        for name in ("step", "evaluated_step", "best_step", "best_score")
    }
    (scored,) = (x for x in lines(tmp_path / "run") if "val_mean_iou" in x)
    assert state == {
        "step": 5,
        "evaluated_step": 5,
        "best_step": 5,
        "best_score": scored["val_mean_iou"],
    }
    # So the same command again has nothing to do.
    capsys.readouterr()
    before = lines(tmp_path / "run")
    assert main.main(command) == 0
    assert "best so far" not in capsys.readouterr().out
    assert lines(tmp_path / "run") == before


def test_early_stopping(data_dir, tmp_path, capsys):
    status = main.main(
        run_flags(
            data_dir,
            tmp_path / "run",
            "--epochs=50",
            "--learning_rate=1e-12",
            "--batch_norm_momentum=0.9999",
            "--early_stopping_epochs=2",
        )
    )
    assert status == 0
    assert "no better score for 2 epochs" in capsys.readouterr().out
    logged = lines(tmp_path / "run")
    scores = [line["val_mean_iou"] for line in logged if "val_mean_iou" in line]
    # Evaluated once an epoch, and the first time that two have gone by since
    # the best one is the last.
    assert logged[-1]["epoch"] == len(scores) < 50
    since = [
        epoch - int(np.argmax(scores[: epoch + 1]))
        for epoch in range(len(scores))
    ]
    assert since[-1] == 2 and max(since[:-1]) < 2


def test_a_loss_that_is_not_finite_stops_the_run(data_dir, tmp_path, capsys):
    status = main.main(
        run_flags(
            data_dir,
            tmp_path / "run",
            "--epochs=5",
            "--optimizer=sgd",
            "--learning_rate=1e30",
            "--nobatch_norm_in_encoder",
        )
    )
    assert status == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "the loss is" in error
    assert "--learning_rate" in error
    # Nothing that is not finite was saved.
    assert not list((tmp_path / "run").glob("checkpoints/ckpt-*"))


def test_a_batch_is_no_more_than_the_split(data_dir, tmp_path, capsys):
    """10 images; one that was typed is not changed, one of a recipe is."""
    recipe = tmp_path / "recipe.flags"
    recipe.write_text("--batch_size=32\n--resolution_schedule=16x32x64:1\n")
    command = [
        word
        for word in run_flags(data_dir, tmp_path / "run", "--epochs=2")
        if "batch_size" not in word
    ]
    flagfile = f"--flagfile={recipe}"
    assert main.main([*command, flagfile, "--batch_size=12"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "--batch_size=12: a batch of 12 is more than the 10" in error
    assert not (tmp_path / "run").exists()
    assert main.main([*command, flagfile]) == 0
    output = capsys.readouterr().out
    assert "note: batches have 10 images, not 64" in output
    assert lines(tmp_path / "run")[-1]["step"] == 2
    # The recipe's flags are still those of the run.
    assert main.main([*command, flagfile, "--batch_size=32"]) == 0


def test_what_is_plausibly_wrong_is_said_once(
    data_dir, tmp_path, capsys, monkeypatch
):
    """A network that sees walls everywhere; wide inputs."""
    monkeypatch.setattr(
        inference.Predictor,
        "__call__",
        lambda self, images: tf.one_hot(tf.ones(images.shape[:3], tf.int32), 3),
    )
    command = run_flags(
        data_dir,
        tmp_path / "run",
        "--epochs=2",
        "--input_width=96",
    )
    assert main.main(command) == 0
    warned = capsys.readouterr().err.splitlines()
    names = [line.rpartition("--silence=")[2] for line in warned]
    assert names == ["aspect_ratio)", "one_prediction)"]
    assert all(line.startswith("warning: ") for line in warned)
    assert "the network predicts 'wall' for every pixel of 'val'" in warned[1]
    shutil.rmtree(tmp_path / "run")
    assert main.main([*command, "--silence=one_prediction,aspect_ratio"]) == 0
    assert capsys.readouterr().err == ""


def test_a_loss_that_rises_is_said(data_dir, tmp_path, capsys, monkeypatch):
    """The learning rate of the second epoch is a mistake's."""
    rates = optim.LearningRate

    def jump(self, step):
        return 1e-6 if step < 5 else 20.0

    monkeypatch.setattr(rates, "__call__", jump)
    status = main.main(
        run_flags(
            data_dir,
            tmp_path / "run",
            "--epochs=2",
            "--optimizer=sgd",
            "--gradient_clip_norm=1",
            "--evaluate_every_epochs=0",
            "--silence=one_prediction",
        )
    )
    assert status == 0
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith("warning: the mean loss rose from ")
    assert "in epoch 1 to" in error and "(--silence=rising_loss)" in error
