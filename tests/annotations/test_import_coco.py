"""COCO's files, also compared with COCO's own code."""

from __future__ import annotations

import import_files as files
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from segnet.annotations.importing import runs

CATEGORIES = [
    {"id": 7, "name": "bus"},
    {"id": 3, "name": "car"},
    {"id": 9, "name": "car"},
]


def annotation(category, segmentation, image=1, **more):
    return {
        "image_id": image,
        "category_id": category,
        "segmentation": segmentation,
        **more,
    }


def write(folder, annotations, split="train", images=("a",)):
    """Pictures and a file of COCO's kind."""
    listed = []
    for number, stem in enumerate(images, 1):
        files.picture(folder / split / f"{stem}.png")
        listed.append(
            {
                "id": number,
                "file_name": f"{stem}.png",
                "height": files.HEIGHT,
                "width": files.WIDTH,
            }
        )
    value = {
        "images": listed,
        "annotations": annotations,
        "categories": CATEGORIES,
    }
    return files.write_json(folder / f"instances_{split}2017.json", value)


def packed(mask: np.ndarray) -> dict:
    """A mask as COCO's own code compresses it."""
    found = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    return {"size": found["size"], "counts": found["counts"].decode()}


def unpacked(mask: np.ndarray) -> dict:
    """A mask as counts, each found by hand."""
    counts, last = [0], 0
    for value in mask.T.reshape(-1).tolist():
        if value != last:
            counts.append(0)
            last = value
        counts[-1] += 1
    return {"size": list(mask.shape), "counts": counts}


def blobs(seed: int, height=files.HEIGHT, width=files.WIDTH) -> np.ndarray:
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 2, (height // 2, width // 2), np.uint8)
    return np.kron(small, np.ones((2, 2), np.uint8))


def test_polygons_run_lengths_holes_and_crowds(tmp_path):
    ring = np.zeros((8, 12), np.uint8)
    ring[1:6, 5:10] = 1
    ring[3, 7] = 0  # A hole.
    crowd = np.zeros((8, 12), np.uint8)
    crowd[:4] = 1
    write(
        tmp_path,
        [
            # Two parts of one object; pixels whose centre is inside.
            annotation(9, [[0, 0, 2, 0, 2, 2, 0, 2], [0, 6, 3, 6, 3, 8, 0, 8]]),
            annotation(7, unpacked(ring)),
            annotation(3, packed(crowd), iscrowd=1),
        ],
    )
    output = tmp_path / "out"
    assert files.run("coco", tmp_path, output) == 0
    assert files.names(output) == ["background", "car", "bus"]
    expected = files.drawn(
        "111111111111",
        "111112222211",
        "111112222211",
        "111112212211",
        ".....22222..",
        ".....22222..",
        "111.........",
        "111.........",
    )
    np.testing.assert_array_equal(files.label(output, "a"), expected)


@pytest.mark.parametrize("seed", range(5))
def test_labels_are_those_of_cocos_own_code(tmp_path, seed):
    rng = np.random.default_rng(seed)
    polygon = rng.uniform(-2, 14, 12).round(2).tolist()
    masks = [blobs(seed), blobs(seed + 50)]
    write(
        tmp_path,
        [
            annotation(3, packed(masks[0])),
            annotation(7, [polygon]),
            annotation(9, unpacked(masks[1] & masks[0])),
        ],
    )
    assert files.run("coco", tmp_path, tmp_path / "out") == 0
    expected = masks[0].copy()
    size = files.HEIGHT, files.WIDTH
    whole = coco_mask.merge(coco_mask.frPyObjects([polygon], *size))
    expected[coco_mask.decode(whole) == 1] = 2
    expected[(masks[1] & masks[0]) == 1] = 1
    np.testing.assert_array_equal(files.label(tmp_path / "out", "a"), expected)


def test_counts_are_read_as_cocos_own_code_writes_them():
    for seed in range(30):
        mask = blobs(seed, 2 + 2 * seed, 400)
        mask = np.kron(mask, np.ones((1, 1 + seed % 7), np.uint8))
        label = np.zeros(mask.shape, np.uint8)
        text = packed(mask)["counts"].encode()
        runs.paint_columns(label, runs.parse_counts(text), 1)
        np.testing.assert_array_equal(label, mask)


def test_random_texts_are_refused_or_fill_the_picture():
    rng = np.random.default_rng(0)
    for _ in range(3000):
        text = rng.integers(0, 256, rng.integers(0, 12), np.uint8)
        if rng.random() < 0.7:
            text = text % 64 + 48
        label = np.zeros((3, 5), np.uint8)
        try:
            runs.paint_columns(
                label, runs.parse_counts(text.astype(np.uint8).tobytes()), 1
            )
        except ValueError:
            assert not label.any()


def test_splits_are_lists_for_the_converter(tmp_path, capsys):
    box = [[0, 0, 2, 0, 2, 2, 0, 2]]
    write(tmp_path, [annotation(3, box)], "train")
    write(tmp_path, [annotation(7, box), annotation(3, box, 2)], "val", "ab")
    output = tmp_path / "out"
    assert files.run("coco", tmp_path, output) == 0
    assert (output / "train.txt").read_text() == "train_a\n"
    assert (output / "val.txt").read_text() == "b\nval_a\n"
    assert files.label(output, "val_a")[0, 0] == 2
    last = capsys.readouterr().out.splitlines()[-1]
    lists = f"--list_file={output}/train.txt,{output}/val.txt"
    assert f"--split=train,val {lists} " in last


def test_errors_name_object_and_field(tmp_path, capsys):
    size = [files.HEIGHT, files.WIDTH]
    box = [[0, 0, 2, 0, 2, 2, 0, 2]]
    bad = [
        annotation(4, box),
        annotation(3, [[0, 0, 2]]),
        annotation(3, {"size": size, "counts": "~~~"}, 2),
        annotation(3, {"size": size, "counts": [3, -4]}, 3),
        annotation(3, {"size": size, "counts": [3, 4]}, 4),
        annotation(3, {"size": [12, 8], "counts": [96]}, 5),
        annotation(3, None),
        annotation(3, box, 99),
    ]
    write(tmp_path, bad, images="abcde")
    assert files.run("coco", tmp_path, tmp_path / "out") == 1
    found = capsys.readouterr().err
    for part in (
        "annotations[0]: 'category_id' is 4, which no category has",
        "annotations[1]: 'segmentation' has 3 numbers, not x, y of 3 points",
        "annotations[2]: its counts are no run lengths",
        "annotations[3]: its counts are negative",
        "annotations[4]: its counts add up to 7, not 96 pixels",
        "annotations[5]: its size is 8x12, the picture's 12x8",
        "annotations[6]: 'segmentation' is neither",
        "annotations[7]: 'image_id' is that of no image",
        "8 errors (above), nothing was written",
    ):
        assert part in found
    assert not (tmp_path / "out").exists()


def test_panoptic_segments(tmp_path):
    files.picture(tmp_path / "val" / "a.png")
    ids = np.zeros((8, 12), np.uint32)
    ids[:4] = 70_000
    ids[4:, :6] = 300
    png = np.stack([ids & 255, ids >> 8 & 255, ids >> 16], -1)
    folder = tmp_path / "panoptic_val2017"
    folder.mkdir()
    Image.fromarray(png.astype(np.uint8)).save(folder / "a.png")
    segments = [
        {"id": 70_000, "category_id": 7},
        {"id": 300, "category_id": 3},
    ]
    value = {
        "images": [{"id": 1, "file_name": "a.png", "height": 8, "width": 12}],
        "annotations": [
            {"image_id": 1, "file_name": "a.png", "segments_info": segments}
        ],
        "categories": CATEGORIES,
    }
    file = files.write_json(tmp_path / "panoptic_val2017.json", value)
    output = tmp_path / "out"
    more = (f"--images_dir={tmp_path / 'val'}",)
    assert files.run("coco_panoptic", file, output, *more) == 0
    assert files.names(output) == ["car", "bus"]
    expected = np.full((8, 12), 255, np.uint8)
    expected[:4] = 1
    expected[4:, :6] = 0
    np.testing.assert_array_equal(files.label(output, "a"), expected)
    # A segment that the file does not speak of.
    value["annotations"][0]["segments_info"].pop()
    files.write_json(file, value)
    assert files.run("coco_panoptic", file, output, *more, "--overwrite") == 1
