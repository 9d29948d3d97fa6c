"""Tests of segnet/training/checkpoint.py."""

from __future__ import annotations

import resource

import numpy as np
import pytest
import tensorflow as tf

from segnet.errors import ConfigError, DataError, RunError
from segnet.training import checkpoint, checkpoint_files, saved_weights
from segnet.training.run_state import RunState
from segnet.training.weight_averages import WeightAverages


class _Run:
    """A one-weight run with a built optimizer."""

    def __init__(
        self, folder, keep=2, units=1, ema_decay=0.0, optimizer="Adam"
    ):
        self.model = tf.keras.Sequential(
            [tf.keras.layers.Dense(units, input_shape=(2,), name="dense")]
        )
        self.optimizer = getattr(tf.keras.optimizers, optimizer)(
            jit_compile=False
        )
        self.optimizer.build(self.model.trainable_variables)
        self.state = RunState()
        self.averages = WeightAverages(self.model, ema_decay)
        self.checkpoints = checkpoint.Checkpoints(
            str(folder),
            self.model,
            self.optimizer,
            self.state,
            keep,
            self.averages if ema_decay else None,
        )
        self.warnings = []

    def step(self):
        gradients = [tf.ones_like(v) for v in self.model.trainable_variables]
        self.optimizer.apply_gradients(
            zip(gradients, self.model.trainable_variables, strict=True)
        )
        self.state.step.assign_add(1)

    def restore(self):
        return self.checkpoints.restore_newest(self.warnings.append)

    def values(self):
        return [
            variable.numpy()
            for variable in [
                *self.model.variables,
                *self.optimizer.variables,
                *self.state.variables,
            ]
        ]


@pytest.mark.parametrize("resumed", [False, True])
def test_a_workdir_that_was_renamed_is_not_begun_anew(tmp_path, resumed):
    workdir = tmp_path / "run"
    run = _Run(workdir)
    run.step()
    run.checkpoints.save()
    if resumed:
        run = _Run(workdir)
        run.restore()
    workdir.rename(tmp_path / "moved")
    run.step()
    for save in (run.checkpoints.save, run.checkpoints.save_best):
        with pytest.raises(RunError, match="run: was removed or renamed"):
            save()
    assert not workdir.exists()
    moved = _Run(tmp_path / "moved")
    assert moved.restore().endswith("ckpt-1")


def test_restores_weights_optimizer_and_state(tmp_path):
    run = _Run(tmp_path)
    assert run.restore() is None
    run.step()
    run.state.best_score.assign(0.5)
    run.checkpoints.save()
    other = _Run(tmp_path)
    assert other.restore().endswith("ckpt-1")
    for ours, theirs in zip(other.values(), run.values(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    other.step()
    run.step()
    for ours, theirs in zip(other.values(), run.values(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_averages_are_restored_and_are_the_weights_to_use(tmp_path):
    run = _Run(tmp_path, ema_decay=0.5)
    for _ in range(3):
        run.step()
        run.averages.update()
    run.checkpoints.save()
    averages = [value.numpy() for value in run.averages.values]
    resumed = _Run(tmp_path, ema_decay=0.5)
    path = resumed.restore()
    assert float(resumed.averages.count) == 3
    for ours, theirs in zip(resumed.averages.values, averages, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for ours, theirs in zip(resumed.values(), run.values(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    used = _Run(tmp_path / "other").model
    saved_weights.restore_weights(used, path)
    for ours, theirs in zip(used.get_weights(), averages, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert np.any(averages[0] != run.model.get_weights()[0])


def test_keeps_the_newest_and_the_best(tmp_path):
    run = _Run(tmp_path, keep=2)
    for step in range(4):
        run.step()
        run.checkpoints.save()
        if step == 1:
            run.checkpoints.save_best()
    folder = tmp_path / "checkpoints"
    kept = sorted(path.name for path in folder.glob("*.index"))
    assert kept == ["ckpt-3.index", "ckpt-4.index"]
    assert tf.train.latest_checkpoint(str(folder)).endswith("ckpt-4")
    best = checkpoint.saved_checkpoint(str(tmp_path), "best")
    assert best.endswith("best/ckpt-2")
    latest = checkpoint.saved_checkpoint(str(tmp_path), "latest")
    assert latest.endswith("checkpoints/ckpt-4")
    assert checkpoint.saved_checkpoint(str(tmp_path), latest) == latest


def test_saving_a_step_twice_writes_once(tmp_path):
    run = _Run(tmp_path)
    run.step()
    run.checkpoints.save()
    (file,) = (tmp_path / "checkpoints").glob("ckpt-1.data*")
    before = file.stat().st_mtime_ns
    run.checkpoints.save()
    assert file.stat().st_mtime_ns == before


def test_a_later_evaluation_is_saved_under_the_same_step(tmp_path):
    run = _Run(tmp_path)
    run.step()
    run.checkpoints.save()
    run.state.record(0.5, epoch=1)
    run.checkpoints.save()
    other = _Run(tmp_path)
    assert other.restore().endswith("ckpt-1")
    assert float(other.state.best_score.numpy()) == 0.5


def test_a_damaged_newest_checkpoint_falls_back(tmp_path):
    run = _Run(tmp_path)
    for _ in range(2):
        run.step()
        run.checkpoints.save()
    (file,) = (tmp_path / "checkpoints").glob("ckpt-2.data*")
    file.write_bytes(b"")
    other = _Run(tmp_path)
    assert other.restore().endswith("ckpt-1")
    (warning,) = other.warnings
    assert "ckpt-2 cannot be read" in warning and "\n" not in warning
    assert int(other.state.step.numpy()) == 1


def test_nothing_that_can_be_read_is_an_error(tmp_path):
    run = _Run(tmp_path)
    run.step()
    run.checkpoints.save()
    for file in (tmp_path / "checkpoints").glob("ckpt-1.*"):
        file.write_bytes(b"junk")
    with pytest.raises(DataError, match="none of the 1 checkpoints"):
        _Run(tmp_path).restore()


def test_a_checkpoint_of_another_network_is_not_passed_over(tmp_path):
    """As where config.json is gone: those before will not fit, either."""
    run = _Run(tmp_path)
    for _ in range(2):
        run.step()
        run.checkpoints.save()
    other = _Run(tmp_path, units=3)
    with pytest.raises(DataError, match=r"ckpt-2 does not fit.* dense/bias"):
        other.restore()
    assert other.warnings == []


def test_a_full_disk_keeps_the_older_checkpoint(tmp_path):
    """A limit on the size of files fails writes as a full disk does."""
    run = _Run(tmp_path, units=2000)
    run.step()
    run.checkpoints.save()
    run.step()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, before[1]))
        with pytest.raises(RunError) as failure:
            run.checkpoints.save()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    message = str(failure.value)
    assert "checkpoint of step 2 cannot be written" in message
    assert "earlier checkpoints are kept" in message
    assert "\n" not in message
    other = _Run(tmp_path, units=2000)
    assert other.restore().endswith("ckpt-1")
    assert other.warnings == []
    # There is room again.
    run.checkpoints.save()
    assert _Run(tmp_path, units=2000).restore().endswith("ckpt-2")


def test_weights_of_another_network_are_refused(tmp_path):
    run = _Run(tmp_path)
    run.step()
    run.checkpoints.save()
    path = checkpoint.saved_checkpoint(str(tmp_path), "latest")
    with pytest.raises(DataError, match="does not fit this network"):
        saved_weights.restore_weights(_Run(tmp_path / "x", units=3).model, path)
    model = _Run(tmp_path / "y").model
    saved_weights.restore_weights(model, path)
    np.testing.assert_array_equal(
        model.get_weights()[0], run.model.get_weights()[0]
    )


def test_a_workdir_without_checkpoint_says_what_to_do(tmp_path):
    with pytest.raises(ConfigError, match="train first"):
        checkpoint.saved_checkpoint(str(tmp_path), "best")
    with pytest.raises(ConfigError, match=r"no .*ckpt-9\.index"):
        checkpoint.saved_checkpoint(str(tmp_path), str(tmp_path / "ckpt-9"))


def _counted_dropout(model):
    """The network with a layer as dropout once was: a counter for a weight."""

    class Counted(tf.keras.layers.Layer):
        def build(self, input_shape):
            self.counter = self.add_weight(
                "counter", [], tf.int32, "zeros", trainable=False
            )

        def call(self, inputs):
            return inputs

    return tf.keras.Sequential(
        [Counted(input_shape=(2,), name="drop"), *model.layers]
    )


@pytest.mark.parametrize("ema_decay", [0.0, 0.5])
def test_a_run_whose_dropout_had_a_counter_is_resumed(tmp_path, ema_decay):
    old = _Run(tmp_path, ema_decay=ema_decay)
    old.model = _counted_dropout(old.model)
    old.checkpoints = checkpoint.Checkpoints(
        str(tmp_path), old.model, old.optimizer, old.state, 2,
        old.averages if ema_decay else None,
    )  # fmt: skip
    old.step()
    old.averages.update()
    old.checkpoints.save()
    new = _Run(tmp_path, ema_decay=ema_decay)
    assert new.restore().endswith("ckpt-1")
    assert new.warnings == []
    for ours, theirs in zip(
        [*new.model.variables, *new.optimizer.variables],
        [*old.model.trainable_variables, *old.optimizer.variables],
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)
    model = _Run(tmp_path / "y").model
    saved_weights.restore_weights(
        model, checkpoint.saved_checkpoint(str(tmp_path), "latest")
    )
    expected = old.averages.values if ema_decay else old.model.weights[1:]
    for ours, theirs in zip(model.weights, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_nothing_is_loaded_unless_all_fits(tmp_path):
    run = _Run(tmp_path)
    run.checkpoints.save()
    path = checkpoint.saved_checkpoint(str(tmp_path), "latest")
    model = tf.keras.Sequential(
        [
            tf.keras.layers.Dense(1, input_shape=(2,), name="dense"),
            tf.keras.layers.Dense(1, name="more"),
        ]
    )
    before = model.get_weights()
    with pytest.raises(
        DataError, match=r"more/bias has shape none instead of \[1\]"
    ):
        saved_weights.restore_weights(model, path)
    for ours, theirs in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("name", ["exp[1]", "a?*", "back\\slash", "ä b"])
def test_a_name_is_no_pattern(tmp_path, name):
    workdir = tmp_path / name / "run"
    run = _Run(workdir, keep=1)
    for _ in range(2):
        run.step()
        run.checkpoints.save()
        run.checkpoints.save_best()
    assert checkpoint.has_checkpoint(str(workdir))
    for which, folder in (("latest", "."), ("best", "best")):
        path = checkpoint.saved_checkpoint(str(workdir), which)
        expected = workdir / "checkpoints" / folder / "ckpt-2"
        assert path == str(expected)
        found = expected.parent.glob("*.index")
        assert [file.name for file in found] == ["ckpt-2.index"]
        model = _Run(tmp_path / "other").model
        saved_weights.restore_weights(model, path)
        np.testing.assert_array_equal(
            model.get_weights()[0], run.model.get_weights()[0]
        )
    other = _Run(workdir)
    assert other.restore().endswith("ckpt-2")
    for ours, theirs in zip(other.values(), run.values(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_of_what_is_left_the_newest_is_restored_and_the_best_last(tmp_path):
    """Whatever the state file says."""
    run = _Run(tmp_path, keep=5)
    for step in range(1, 11):
        run.step()
        if step in (2, 9, 10):
            run.checkpoints.save()
        if step == 4:
            run.checkpoints.save_best()
    folder = tmp_path / "checkpoints"
    state = folder / "checkpoint"
    # Numbers count, not the order of letters.
    state.write_text('model_checkpoint_path: "/elsewhere/ckpt-99"\n')
    assert _Run(tmp_path).restore().endswith("checkpoints/ckpt-10")
    assert 'model_checkpoint_path: "ckpt-10"' in state.read_text()
    state.unlink()
    for file in folder.glob("ckpt-10.*"):
        file.unlink()
    assert _Run(tmp_path).restore().endswith("checkpoints/ckpt-9")
    for file in folder.glob("ckpt-*"):
        file.unlink()
    assert checkpoint.has_checkpoint(str(tmp_path))
    other = _Run(tmp_path)
    assert other.restore().endswith("best/ckpt-4")
    assert int(other.state.step.numpy()) == 4
    latest = checkpoint.saved_checkpoint(str(tmp_path), "latest")
    assert latest.endswith("best/ckpt-4")


def test_a_folder_may_be_moved_or_copied(tmp_path):
    run = _Run(tmp_path / "a")
    run.step()
    run.checkpoints.save()
    (tmp_path / "a").rename(tmp_path / "b")
    other = _Run(tmp_path / "b")
    assert other.restore() == str(tmp_path / "b" / "checkpoints" / "ckpt-1")
    latest = tf.train.latest_checkpoint(str(tmp_path / "b" / "checkpoints"))
    assert latest == str(tmp_path / "b" / "checkpoints" / "ckpt-1")


def test_only_own_files_are_removed(tmp_path):
    """Neither what a state file names nor what has another name."""
    other = tmp_path / "other"
    other.mkdir()
    folder = tmp_path / "run" / "checkpoints"
    folder.mkdir(parents=True)
    mine = [
        other / "ckpt-7.index",
        other / "ckpt-7.data-00000-of-00001",
        folder / "notes-1.index",
        folder / "ckpt-1.index.bak",
        folder / "ckpt-01.index",
        folder / "ckpt-x_temp",
    ]
    for path in mine:
        path.write_text("mine")
    named = "".join(
        f'all_model_checkpoint_paths: "{path}"\n'
        for path in (other / "ckpt-7", "../../other/ckpt-7")
    )
    (folder / "checkpoint").write_text(
        f'model_checkpoint_path: "{other}/ckpt-7"\n{named}'
    )
    unfinished = folder / "ckpt-3_temp"
    unfinished.mkdir()
    (unfinished / "part-0").write_text("of a process that was killed")
    run = _Run(tmp_path / "run", keep=1)
    for _ in range(3):
        run.step()
        run.checkpoints.save()
    assert [path.read_text() for path in mine] == ["mine"] * len(mine)
    assert not unfinished.exists()
    kept = sorted({*folder.glob("ckpt-[0-9].*")} - {*mine})
    assert [path.name for path in kept] == [
        "ckpt-3.data-00000-of-00001",
        "ckpt-3.index",
    ]
    assert (
        'model_checkpoint_path: "ckpt-3"' in (folder / "checkpoint").read_text()
    )


def test_a_run_that_falls_back_keeps_what_it_writes(tmp_path):
    """A later checkpoint that is damaged does not count as a newest one."""
    run = _Run(tmp_path, keep=2)
    for _ in range(6):
        run.step()
        run.checkpoints.save()
    (file,) = (tmp_path / "checkpoints").glob("ckpt-6.data*")
    file.write_bytes(b"")
    for path in (tmp_path / "checkpoints").glob("ckpt-5.*"):
        path.rename(path.with_name(path.name.replace("5", "1", 1)))
    other = _Run(tmp_path, keep=1)
    assert other.restore().endswith("ckpt-1")
    other.state.step.assign(2)
    other.checkpoints.save()
    third = _Run(tmp_path)
    assert third.restore().endswith("ckpt-2")
    assert len(third.warnings) == 1


def test_a_folder_that_cannot_be_read_is_not_an_empty_one(tmp_path):
    assert not checkpoint.has_checkpoint(str(tmp_path))
    (tmp_path / "checkpoints").symlink_to(tmp_path / "not-mounted")
    with pytest.raises(DataError, match="no folder, nor a link to one"):
        checkpoint.has_checkpoint(str(tmp_path))
    (tmp_path / "checkpoints").unlink()
    run = _Run(tmp_path)
    run.step()
    run.checkpoints.save()

    def fail(path):
        raise PermissionError(13, "Permission denied")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint_files.gfile(""), "listdir", fail)
        with pytest.raises(DataError, match="Permission denied"):
            checkpoint.has_checkpoint(str(tmp_path))


def test_a_kill_while_a_checkpoint_is_replaced_loses_nothing(
    tmp_path, monkeypatch
):
    """TensorFlow renames the data, then the index, over those that are there.

    With nothing else to go back to.
    """
    run = _Run(tmp_path, keep=1)
    run.step()
    run.checkpoints.save()
    folder = tmp_path / "checkpoints"
    index = (folder / "ckpt-1.index").read_bytes()
    write = tf.train.Checkpoint.write

    def write_data_only(self, path):
        write(self, path)
        if str(path) == str(folder / "ckpt-1"):
            (folder / "ckpt-1.index").write_bytes(index)
            raise KeyboardInterrupt  # Nothing cleans up after a kill.

    run.state.record(0.5, epoch=1)
    with monkeypatch.context() as patch:
        patch.setattr(tf.train.Checkpoint, "write", write_data_only)
        with pytest.raises(KeyboardInterrupt):
            run.checkpoints.save()
    resumed = _Run(tmp_path, keep=1)
    assert resumed.restore()
    assert resumed.warnings == []
    for ours, theirs in zip(resumed.values(), run.values(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    # What lies aside does not stay, nor stand in for what comes later.
    resumed.step()
    resumed.checkpoints.save()
    names = sorted(path.name for path in folder.iterdir())
    assert [name for name in names if not name.startswith("ckpt-2")] == [
        "checkpoint"
    ]
    assert _Run(tmp_path, keep=1).restore() == f"{folder}/ckpt-2"


@pytest.mark.parametrize(
    ("optimizer", "ema_decay", "flags"),
    [
        ("SGD", 0.0, "--optimizer or --momentum"),
        ("Adam", 0.9, "--ema_decay"),
    ],
)
def test_a_checkpoint_of_another_optimizer_is_refused_with_the_flag(
    tmp_path, optimizer, ema_decay, flags, capfd
):
    run = _Run(tmp_path)
    run.step()
    run.checkpoints.save()
    other = _Run(tmp_path, ema_decay=ema_decay, optimizer=optimizer)
    with pytest.raises(DataError, match=f"run with another {flags}; give"):
        other.restore()
    assert other.warnings == []
    del other
    assert capfd.readouterr().err == ""
