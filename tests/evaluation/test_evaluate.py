"""Tests of segnet/evaluation/evaluate.py and segnet/evaluation/inference.py."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import confusion_matrix

from segnet.data import datasets, sources
from segnet.evaluation import evaluate, inference, metrics
from segnet.records.splits import read_manifest


def _alone(array, name):
    return array


def _dataset(data_dir, *, batch=2, rank=0, size=1):
    manifest = read_manifest(str(data_dir), "val")
    source = sources.RecordSource(manifest, str(data_dir), cache=False)
    dataset = datasets.create_eval_dataset(
        source,
        height=32,
        width=48,
        batch_size=batch,
        shard_index=rank,
        shard_count=size,
    )
    return dataset, source


def _eval_step(images):
    """Logits that follow the colours: good, not perfect."""
    pixels = tf.cast(images, tf.float32)
    return tf.stack([pixels[..., 1], pixels[..., 2], pixels[..., 0] * 0.9], -1)


NAMES = ("ground", "wall", "disc")


def test_equals_scikit_learn_over_all_pixels(data_dir):
    dataset, _ = _dataset(data_dir)
    scores = evaluate.evaluate(
        _eval_step, dataset, NAMES, reduce_sum=_alone, with_boundary_f1=True
    )
    truths, predictions = [], []
    for element in dataset.unbatch().as_numpy_iterator():
        if element["index"] < 0:
            continue
        height, width = element["size"]
        truth = element["label"][:height, :width]
        logits = _eval_step(element["image"][None])[0]
        labels = inference.labels_at(logits, int(height), int(width))
        truths.append(truth[truth < 3])
        predictions.append(labels[truth < 3])
    matrix = confusion_matrix(
        np.concatenate(truths), np.concatenate(predictions), labels=[0, 1, 2]
    )
    both = np.diag(matrix)
    iou = both / (matrix.sum(0) + matrix.sum(1) - both)
    assert scores["images"] == 5
    assert scores["pixels"] == matrix.sum()
    np.testing.assert_array_equal(scores["confusion_matrix"], matrix)
    assert scores["mean_iou"] == pytest.approx(iou.mean())
    assert scores["per_class"]["disc"]["iou"] == pytest.approx(iou[2])
    assert 0 < scores["boundary_f1"] <= 1
    assert scores["per_class"]["wall"]["boundary_f1"] is not None


@pytest.mark.parametrize("batch", [1, 3, 5])
def test_the_batch_size_does_not_matter(data_dir, batch):
    expected = evaluate.evaluate(
        _eval_step, _dataset(data_dir)[0], NAMES, reduce_sum=_alone
    )
    got = evaluate.evaluate(
        _eval_step, _dataset(data_dir, batch=batch)[0], NAMES,
        reduce_sum=_alone,
    )  # fmt: skip
    assert got == expected


def test_workers_together_score_what_one_does(data_dir):
    """The sums of three workers, added here, give the result of one."""
    sums: dict[str, np.ndarray] = {}

    def collect(array, name):
        sums[name] = sums.get(name, 0) + array
        return sums[name]

    for rank in range(3):
        dataset, _ = _dataset(data_dir, rank=rank, size=3)
        together = evaluate.evaluate(
            _eval_step, dataset, NAMES, reduce_sum=collect,
            with_boundary_f1=True,
        )  # fmt: skip
    alone = evaluate.evaluate(
        _eval_step, _dataset(data_dir)[0], NAMES, reduce_sum=_alone,
        with_boundary_f1=True,
    )  # fmt: skip
    for scores in (together, alone):
        del scores["boundary_f1_seconds"]
    assert together.pop("boundary_f1") == pytest.approx(
        alone.pop("boundary_f1")
    )
    assert together["per_class"]["disc"] == pytest.approx(
        alone["per_class"]["disc"]
    )
    assert together["mean_iou"] == alone["mean_iou"]


def test_progress_counts_images(data_dir):
    seen = []
    evaluate.evaluate(
        _eval_step,
        _dataset(data_dir, batch=3)[0],
        NAMES,
        reduce_sum=_alone,
        advance=seen.append,
    )
    assert seen == [3, 2]


def test_labels_at_enlarges_the_logits_not_the_labels():
    # Between logits 1 and -1 the sign changes in the middle.
    logits = np.zeros((1, 2, 2), np.float32)
    logits[0, :, 0] = [1.0, -1.0]
    labels = inference.labels_at(tf.constant(logits), 3, 8)
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, [[0, 0, 0, 0, 1, 1, 1, 1]] * 3)


@pytest.mark.parametrize("num_classes", [2, 12, 255])
def test_labels_at_takes_the_first_of_the_largest_logits(num_classes):
    # Few values, so that most pixels have equals.
    logits = np.random.default_rng(0).integers(-2, 3, (7, 10, num_classes))
    labels = inference.labels_at(tf.constant(logits, tf.float32), 7, 10)
    np.testing.assert_array_equal(labels, logits.argmax(-1))


def test_the_table_names_every_class(data_dir):
    scores = evaluate.evaluate(
        _eval_step, _dataset(data_dir)[0], NAMES, reduce_sum=_alone
    )
    table = metrics.format_table(scores)
    for name in NAMES:
        assert name in table


def test_the_eval_step_is_traced_once():
    calls = []

    class Model(tf.keras.Model):
        def call(self, inputs, training=None):
            calls.append(training)
            return tf.cast(inputs, tf.float32)

    step = inference.create_eval_step(Model(), device_name="/device:CPU:0")
    for _ in range(3):
        step(tf.zeros([2, 4, 6, 3], tf.uint8))
    # Keras builds a subclassed model with a call of its own.
    traced = len(calls)
    step(tf.zeros([2, 4, 6, 3], tf.uint8))
    assert len(calls) == traced
    assert not any(calls)
