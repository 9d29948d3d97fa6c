"""The demo's scenes, written as tools write them, give the same records."""

from __future__ import annotations

import base64
import shutil

import import_files as files
import numpy as np
import picture_files
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from tools import convert_to_tfrecord, make_sample_dataset

SPLITS = ("train", "val")
VOID = 9


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """A few scenes of the demo."""
    folder = tmp_path_factory.mktemp("demo")
    argv = ["", f"--output_dir={folder}", "--num_train=4", "--num_val=3"]
    assert make_sample_dataset.main(argv) == 0
    return folder


def pairs(scenes):
    """Split, image, labels of each scene, 9 for void."""
    for split in SPLITS:
        for image in sorted((scenes / split / "images").iterdir()):
            path = scenes / split / "annotations" / f"{image.stem}.png"
            yield split, image, np.asarray(Image.open(path))[:, :, 2]


def class_names(scenes) -> list[str]:
    return [*(scenes / "class_names.txt").read_text().split(), "void"]


def export_labelme(scenes, folder):
    for _, image, label in pairs(scenes):
        shutil.copy(image, folder / image.name)
        shapes = []
        for value in np.unique(label):
            rows, columns = np.nonzero(label == value)
            top, left, bottom, right = (
                int(x)
                for x in (rows.min(), columns.min(), rows.max(), columns.max())
            )
            mask = (label == value)[top : bottom + 1, left : right + 1]
            png = picture_files.saved(mask.astype(np.uint8), "PNG")
            shapes.append(
                {
                    "label": class_names(scenes)[value],
                    "shape_type": "mask",
                    "points": [[left, top], [right, bottom]],
                    "mask": base64.b64encode(png).decode(),
                }
            )
        value = {"imagePath": image.name, "shapes": shapes}
        files.write_json(folder / f"{image.stem}.json", value)


def export_coco(scenes, folder):
    categories = [
        {"id": 10 * number, "name": name}
        for number, name in enumerate(class_names(scenes))
    ]
    for split in SPLITS:
        images, annotations = [], []
        for its_split, image, label in pairs(scenes):
            if its_split != split:
                continue
            shutil.copy(image, folder / image.name)
            number = len(images)
            height, width = label.shape
            images.append(
                {
                    "id": number,
                    "file_name": image.name,
                    "height": height,
                    "width": width,
                }
            )
            for value in np.unique(label):
                mask = np.asfortranarray(label == value, np.uint8)
                found = coco_mask.encode(mask)
                annotations.append(
                    {
                        "image_id": number,
                        "category_id": 10 * int(value),
                        "segmentation": {
                            "size": found["size"],
                            "counts": found["counts"].decode(),
                        },
                    }
                )
        value = {
            "images": images,
            "annotations": annotations,
            "categories": categories,
        }
        files.write_json(folder / f"instances_{split}.json", value)


def export_voc(scenes, folder):
    names = class_names(scenes)
    colours = np.random.default_rng(0).integers(0, 256, (len(names), 3))
    colours = colours.astype(np.uint8)
    lists = folder / "ImageSets" / "Segmentation"
    for name in ("JPEGImages", "SegmentationClass", lists):
        (folder / name).mkdir(parents=True)
    for split, image, label in pairs(scenes):
        shutil.copy(image, folder / "JPEGImages" / image.name)
        Image.fromarray(colours[label]).save(
            folder / "SegmentationClass" / f"{image.stem}.png"
        )
        with open(lists / f"{split}.txt", "a") as file:
            file.write(f"{image.stem}\n")
    (folder / "labelmap.txt").write_text(
        "".join(
            f"{name}:{','.join(map(str, colour))}::\n"
            for name, colour in zip(names, colours.tolist(), strict=True)
        )
    )


def export_cvat(scenes, folder):
    names = class_names(scenes)
    text = "<annotations><meta><task><labels>"
    for name in names:
        text += f"<label><name>{name}</name></label>"
    text += "</labels></task></meta>"
    for split, image, label in pairs(scenes):
        shutil.copy(image, folder / image.name)
        height, width = label.shape
        text += (
            f'<image name="{image.name}" width="{width}" height="{height}" '
            f'subset="{split}">'
        )
        for value in np.unique(label):
            bits = (label == value).reshape(-1)
            edges = np.flatnonzero(np.diff(bits.astype(int), prepend=0)) + 0
            counts = np.diff(np.concatenate(([0], edges, [bits.size])))
            rle = ", ".join(map(str, counts))
            text += (
                f'<mask label="{names[value]}" rle="{rle}" left="0" top="0" '
                f'width="{width}" height="{height}" z_order="0"/>'
            )
        text += "</image>"
    (folder / "annotations.xml").write_text(text + "</annotations>")


def records(output, *more: str) -> dict[str, bytes]:
    """Converts both splits; gives all files but for the folders' names."""
    for split in SPLITS:
        flags = [x.replace("SPLIT", split) for x in more]
        argv = [
            "convert_to_tfrecord.py",
            f"--split={split}",
            f"--output_dir={output}",
            "--num_workers=1",
            *flags,
        ]
        assert convert_to_tfrecord.main(argv) == 0
    return {file.name: file.read_bytes() for file in output.iterdir()}


@pytest.mark.parametrize(
    ("kind", "export"),
    [
        ("labelme", export_labelme),
        ("coco", export_coco),
        ("voc", export_voc),
        ("cvat", export_cvat),
    ],
)
def test_records_are_those_of_the_demo(tmp_path, scenes, kind, export):
    names = class_names(scenes)
    source, output = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    export(scenes, source)
    label_map = tmp_path / "map.txt"
    background = "" if kind == "voc" else "void: background\n"
    label_map.write_text("\n".join(names) + "\n" + background)
    assert files.run(kind, source, output, f"--label_map={label_map}") == 0
    if kind == "labelme":  # It has no splits.
        for split in SPLITS:
            stems = [i.stem for s, i, _ in pairs(scenes) if s == split]
            (output / f"{split}.txt").write_text("\n".join(stems))
    expected = records(
        tmp_path / "demo",
        f"--images_dir={scenes}/SPLIT/images",
        f"--annotations_dir={scenes}/SPLIT/annotations",
        f"--num_classes={len(names) - 1}",
        f"--class_names={scenes}/class_names.txt",
        f"--void_labels={VOID}",
    )
    got = records(
        tmp_path / "records",
        f"--images_dir={output}/images",
        f"--annotations_dir={output}/annotations",
        f"--list_file={output}/SPLIT.txt",
        f"--num_classes={len(names) - 1}",
        f"--class_names={output}/class_names.txt",
        "--void_labels=255",
    )
    assert got == expected
    assert len(got) > 2
