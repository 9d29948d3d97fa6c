"""Files of weights and checkpoints, changed at will."""

from __future__ import annotations

import random
import shutil

import numpy as np
import pytest
import tensorflow as tf
from hostile_inputs import (
    counted,
    few,
    mutated,
    result_or_line,
    seeds,
)
from hypothesis import given

from fuzz.targets import TARGETS
from segnet import models
from segnet.errors import DataError
from segnet.training import checkpoint
from segnet.training.run_state import RunState


@pytest.fixture(scope="module")
def network():
    return models.create_model("vgg_segnet", 3, width_multiplier=1 / 64)


@few(5)
@given(seeds)
def test_any_file_of_weights(tmp_path_factory, network, seed):
    """Refused, with nothing loaded; or finite weights."""
    chance = random.Random(seed)
    good = chance.choice(TARGETS["weights"].seeds())
    path = tmp_path_factory.getbasetemp() / "weights.h5"
    path.write_bytes(mutated(good, seed))
    for load in (models.load_keras_weights, models.load_vgg16_weights):
        before = network.get_weights()
        _, line = result_or_line(load, network, str(path))
        after = network.get_weights()
        assert all(np.isfinite(array).all() for array in after)
        if line:
            assert str(path) in line
            for old, new in zip(before, after, strict=True):
                np.testing.assert_array_equal(old, new)


class Run:
    """A run of one small layer."""

    def __init__(self, workdir):
        self.model = tf.keras.Sequential(
            [tf.keras.layers.Dense(1, input_shape=(2,), name="dense")]
        )
        self.optimizer = tf.keras.optimizers.Adam(jit_compile=False)
        self.optimizer.build(self.model.trainable_variables)
        self.state = RunState()
        self.checkpoints = checkpoint.Checkpoints(
            str(workdir), self.model, self.optimizer, self.state, 2
        )
        self.warnings = []

    def save(self, step):
        self.state.step.assign(step)
        self.model.set_weights([np.full([2, 1], step), np.zeros([1])])
        self.checkpoints.save()

    def restore(self):
        return self.checkpoints.restore_newest(self.warnings.append)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder beside others' files, with checkpoints of steps 1 and 2."""
    root = tmp_path_factory.mktemp("saved")
    (root / "precious").mkdir()
    for name in ("ckpt-1.index", "ckpt-1.data-00000-of-00001", "notes.txt"):
        (root / "precious" / name).write_text("mine")
    run = Run(root / "run")
    run.save(1)
    run.save(2)
    return root


def _outside(root):
    return {
        str(path): path.read_bytes()
        for path in (root / "precious").rglob("*")
        if path.is_file()
    }


@few(15)
@given(seeds)
def test_any_damage_of_checkpoints(tmp_path_factory, saved, seed):
    """A whole one is taken, or one line says that there is none.

    And saving again removes nothing outside the folder.
    """
    counted()
    chance = random.Random(seed)
    root = tmp_path_factory.getbasetemp() / "damaged"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(saved, root)
    folder = root / "run" / "checkpoints"
    damaged = set()
    for path in sorted(folder.iterdir()):
        if path.is_file() and chance.random() < 0.5:
            data = path.read_bytes()
            act = chance.randrange(6)
            if act == 0:
                path.unlink()
            elif act == 1:
                path.write_bytes(bytes(len(data)))
            elif act == 2:
                path.write_bytes(data[: chance.randrange(len(data))])
            else:
                path.write_bytes(mutated(data, chance.randrange(2**32)))
            damaged.add(path.name.partition(".")[0])
    outside = _outside(root)
    run = Run(root / "run")
    try:
        found = run.restore()
    except DataError as error:
        line = str(error)
        assert "\n" not in line
        assert {"ckpt-1", "ckpt-2"} & damaged
        assert _outside(root) == outside
        return
    assert all("\n" not in line for line in run.warnings)
    if found:
        step = int(run.state.step.numpy())
        assert step in (1, 2)
        np.testing.assert_array_equal(
            run.model.get_weights()[0], np.full([2, 1], step)
        )
        run.save(3)
        assert Run(root / "run").restore().endswith("ckpt-3")
    assert _outside(root) == outside


@few(40)
@given(seeds)
def test_any_state_file(tmp_path_factory, saved, seed):
    """What it lists is neither read nor removed."""
    counted()
    chance = random.Random(seed)
    root = tmp_path_factory.getbasetemp() / "state"
    if not root.exists():
        shutil.copytree(saved, root)
    names = [
        chance.choice(
            (
                str(root / "precious" / "ckpt-1"),
                "../../precious/ckpt-1",
                "../../precious/*",
                "*", "ckpt-1", "ckpt-2", "", "/", "..", "ckpt-٣",
            )
        )
        for _ in range(chance.randint(0, 4))
    ]  # fmt: skip
    text = "".join(f'all_model_checkpoint_paths: "{n}"\n' for n in names)
    text = f'model_checkpoint_path: "{chance.choice(["x", *names])}"\n{text}'
    data = text.encode()
    if chance.random() < 0.5:
        data = mutated(data, seed)
    (root / "run" / "checkpoints" / "checkpoint").write_bytes(data)
    outside = _outside(root)
    run = Run(root / "run")
    before = run.restore()
    run.save(int(run.state.step.numpy()) + 1)
    assert before is not None and _outside(root) == outside
