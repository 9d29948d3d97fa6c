from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from sklearn.metrics import confusion_matrix

from segnet.config import Config
from segnet.data import sources
from segnet.errors import DataError
from segnet.evaluation import inference, metrics
from segnet.evaluation.evaluate import Evaluation
from segnet.records.splits import read_manifest
from segnet.runtime import distributed

NAMES = ("ground", "wall", "disc")


def _predictor(images):
    """Logits that follow the colours: good, not perfect."""
    pixels = tf.cast(images, tf.float32)
    return tf.stack([pixels[..., 1], pixels[..., 2], pixels[..., 0] * 0.9], -1)


def _evaluation(data_dir, predictor=_predictor, *, batch=2, **kwargs):
    config = Config(
        data_dir=str(data_dir),
        input_height=32,
        input_width=48,
        eval_batch_size=batch,
    )
    manifest = read_manifest(str(data_dir), "val")
    return Evaluation(predictor, manifest, config, **kwargs)


def test_equals_scikit_learn_over_all_pixels(data_dir):
    scores = _evaluation(data_dir).detailed()[0]
    manifest = read_manifest(str(data_dir), "val")
    source = sources.RecordSource(manifest, str(data_dir), cache=False)
    truths, predictions = [], []
    for index in range(5):
        image, truth = (part.numpy() for part in source(tf.constant(index)))
        small = tf.image.resize(image, (32, 48))
        logits = _predictor(tf.round(small)[None])[0]
        labels = inference.labels_at(logits, *truth.shape)
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


@pytest.mark.parametrize("pad", [False, True])
@pytest.mark.parametrize("batch", [1, 3, 4, 5, 6])
def test_the_batch_size_does_not_matter(data_dir, batch, pad):
    seen = []

    def predictor(images):
        seen.append(images.shape[0])
        return _predictor(images)

    expected = _evaluation(data_dir)()
    got = _evaluation(data_dir, predictor, batch=batch, pad=pad)()
    assert got == expected
    # Never more than the split has, and all alike where they are filled up.
    size = min(batch, 5)
    last = size if pad else (5 % size or size)
    assert seen == [size] * (-(-5 // size) - 1) + [last]


def test_an_evaluation_scores_the_network_as_it_is_then(data_dir):
    """Also when it has become another one since."""
    factor = tf.Variable(1.0)
    evaluation = _evaluation(
        data_dir, lambda images: _predictor(images) * factor
    )
    before = evaluation()
    factor.assign(-1.0)
    assert evaluation()["mean_iou"] < before["mean_iou"]
    factor.assign(1.0)
    assert evaluation() == before


class _Workers:
    """Stands for Horovod: this process plays one worker after the other."""

    def __init__(self, monkeypatch):
        self._patch = monkeypatch
        self._sums = {}

    def play(self, rank, size):
        self._patch.setattr(distributed, "rank", lambda: rank)
        self._patch.setattr(distributed, "size", lambda: size)
        self._patch.setattr(distributed, "allreduce_array", self._collect)
        if rank == 0:
            self._sums.clear()

    def _collect(self, array, name):
        self._sums[name] = self._sums.get(name, 0) + array
        return self._sums[name]


def test_workers_together_score_what_one_does(data_dir, monkeypatch):
    alone = _evaluation(data_dir).detailed()[0]
    workers = _Workers(monkeypatch)
    seconds = []
    for rank in range(3):
        workers.play(rank, 3)
        together = _evaluation(data_dir).detailed()[0]
        seconds.append(together["boundary_f1_seconds"])
    # Of all workers, as the images are.
    assert seconds == sorted(seconds) and seconds[0] < seconds[2]
    for scores in (together, alone):
        del scores["boundary_f1_seconds"]
    # To the last bit: means are taken of all images, in their order.
    assert together == alone


def test_scores_of_images_add_up_to_those_of_the_split(data_dir):
    evaluation = _evaluation(data_dir)
    scores, images = evaluation.detailed()
    matrix = np.array(scores["confusion_matrix"])
    hits, truth, predicted = images.counts.sum(0)
    np.testing.assert_array_equal(hits, matrix.diagonal())
    np.testing.assert_array_equal(truth, matrix.sum(1))
    np.testing.assert_array_equal(predicted, matrix.sum(0))
    assert images.pixels.sum() == scores["pixels"]
    np.testing.assert_array_equal(
        images.bins.sum((0, 1))[:2], [matrix.sum(), matrix.trace()]
    )
    for name, expected in evaluation().items():
        if name != "per_class":
            assert scores[name] == expected
    low, high = scores["intervals"]["mean_iou"]
    assert low <= scores["mean_iou"] <= high
    stems = [name.partition(".")[0] for name in evaluation.image_names()]
    assert stems == ["000", "001", "002", "003", "004"]


def test_certainty_is_that_of_the_probabilities():
    rng = np.random.default_rng(0)
    logits = tf.constant(rng.normal(0, 4, (5, 7, 3)), tf.float32)
    wanted = inference.probabilities_at(logits, 9, 13)
    entropy = -(wanted * np.log(wanted)).sum(-1) / np.log(3)
    labels, confidence, found = inference.certainty_at(logits, 9, 13)
    np.testing.assert_array_equal(labels, inference.labels_at(logits, 9, 13))
    np.testing.assert_allclose(confidence, wanted.max(-1), rtol=1e-5)
    np.testing.assert_allclose(found, entropy, atol=1e-5)
    probabilities = tf.nn.softmax(logits)
    labels, confidence, found = inference.certainty_at(
        probabilities, 5, 7, are_logits=False
    )
    np.testing.assert_array_equal(labels, logits.numpy().argmax(-1))
    p = probabilities.numpy()
    np.testing.assert_allclose(confidence, p.max(-1))
    np.testing.assert_allclose(
        found, -(p * np.log(p)).sum(-1) / np.log(3), atol=1e-6
    )


def test_every_image_is_scored_once_when_the_workers_have_changed(
    data_dir, monkeypatch
):
    """The object outlives the workers of an elastic run."""
    workers = _Workers(monkeypatch)
    workers.play(1, 2)
    evaluation = _evaluation(data_dir)
    workers.play(0, 1)
    assert evaluation()["images"] == 5


@pytest.mark.parametrize(("rank", "size", "share"), [(0, 1, 5), (0, 2, 3)])
def test_progress_counts_the_images_of_this_worker(
    data_dir, monkeypatch, capsys, rank, size, share
):
    _Workers(monkeypatch).play(rank, size)
    _evaluation(data_dir)(show_progress=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"{share} of {share} images"
    _Workers(monkeypatch).play(1, 2)
    _evaluation(data_dir)(show_progress=True)
    assert capsys.readouterr().out == ""


def test_an_error_of_the_network_is_not_taken_for_damaged_records(
    data_dir, monkeypatch
):
    monkeypatch.setattr(
        "segnet.records.verify.verify_split",
        lambda *arguments: pytest.fail("the split was read to explain it"),
    )

    def fail(images):
        raise tf.errors.InvalidArgumentError(None, None, "shapes differ")

    with pytest.raises(tf.errors.InvalidArgumentError, match="shapes differ"):
        _evaluation(data_dir, fail)()


def test_a_damaged_record_is_named(data_dir, tmp_path):
    for file in data_dir.iterdir():
        content = bytearray(file.read_bytes())
        if file.name == "val-00001-of-00002.tfrecord":
            content[len(content) // 2] ^= 0xFF
        (tmp_path / file.name).write_bytes(content)
    with pytest.raises(DataError, match=r"val-00001-of-00002\.tfrecord"):
        _evaluation(tmp_path)()


def test_labels_are_not_padded_to_the_largest_of_the_split(
    tmp_path, data_dir, monkeypatch
):
    """A label waits at its own size, however large another one is."""
    waiting = []
    score = metrics.confusion_matrix

    def note(truth, labels, number):
        waiting.append(truth.shape)
        return score(truth, labels, number)

    monkeypatch.setattr(metrics, "confusion_matrix", note)
    _evaluation(data_dir, batch=5)()
    manifest = read_manifest(str(data_dir), "val")
    sizes = [size[:2] for size in manifest.sizes for _ in range(size[2])]
    assert sorted(waiting) == sorted(map(tuple, sizes))


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


@pytest.mark.parametrize("size", [(3, 4), (5, 9), (16, 24), (61, 97)])
@pytest.mark.parametrize("rows", [1, 4, 7])
def test_bands_of_rows_give_the_same_labels(size, rows, monkeypatch):
    rng = np.random.default_rng(1)
    logits = tf.constant(rng.normal(size=(9, 14, 5)), tf.float32)
    whole = inference.labels_at(logits, *size)
    monkeypatch.setattr(inference, "_BAND_VALUES", rows * size[1] * 5)
    np.testing.assert_array_equal(inference.labels_at(logits, *size), whole)
    # Pillow interpolates the same way where it enlarges.
    if min(size[0] / 9, size[1] / 14) >= 1:
        planes = [
            np.asarray(
                Image.fromarray(plane).resize(
                    size[::-1], Image.Resampling.BILINEAR
                )
            )
            for plane in np.moveaxis(logits.numpy(), -1, 0)
        ]
        agree = np.argmax(planes, 0) == whole
        assert agree.mean() > 0.999


def test_the_table_names_every_class(data_dir):
    table = metrics.format_table(_evaluation(data_dir)())
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
