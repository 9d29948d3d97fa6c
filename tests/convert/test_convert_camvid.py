"""CamVid, if its folder lies beside the project, through the converter."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from segnet.records.reading import decode_record, parse_record
from segnet.records.verify import verify_split
from tools import convert_to_tfrecord as convert

CAMVID = pathlib.Path(__file__).resolve().parents[3] / "shared" / "camvid"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CAMVID.is_dir(), reason=f"no data set in {CAMVID}"),
]


def run(output: pathlib.Path, split: str, *more: str) -> dict[str, bytes]:
    status = convert.main(
        [
            "convert_to_tfrecord.py",
            f"--images_dir={CAMVID / split / 'images'}",
            f"--annotations_dir={CAMVID / split / 'annotations'}",
            f"--output_dir={output}",
            f"--split={split}",
            "--num_classes=11",
            "--void_labels=11",
            *more,
        ]
    )
    assert status == 0
    return {path.name: path.read_bytes() for path in output.iterdir()}


@pytest.mark.parametrize(("split", "count"), [("train", 367), ("val", 101)])
def test_records_are_what_pillow_reads_whatever_the_workers(
    tmp_path, split, count
):
    first = run(tmp_path, split, "--num_workers=1")
    assert run(tmp_path, split, "--num_workers=2", "--overwrite") == first
    assert run(tmp_path, split, "--num_workers=2", "--overwrite") == first
    manifest = verify_split(tmp_path, split)
    assert manifest.num_records == count
    pixels = np.zeros(256, np.int64)
    seen = []
    for serialized in tf.data.TFRecordDataset(manifest.paths(tmp_path)):
        fields = parse_record(serialized)
        stem = fields["image/source_id"].numpy().decode()
        image, label = decode_record(serialized)
        (source,) = (CAMVID / split / "images").glob(f"{stem}.*")
        np.testing.assert_array_equal(image, Image.open(source))
        assert fields["image/encoded"].numpy() == source.read_bytes()
        annotation = Image.open(CAMVID / split / "annotations" / f"{stem}.png")
        expected = np.array(annotation.convert("RGB"))[..., 2]
        expected[expected == 11] = 255
        np.testing.assert_array_equal(label, expected)
        pixels += np.bincount(expected.ravel(), minlength=256)
        seen.append(stem)
    assert seen == sorted(seen)
    assert len(seen) == count
    assert manifest.pixel_counts == tuple(pixels[:11])
    assert manifest.ignored_pixels == pixels[255]
