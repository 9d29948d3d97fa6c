"""What is valid but most likely a mistake: one line, which can be silenced."""

from __future__ import annotations

import json
import shutil

import numpy as np
import picture_files as files
import pytest

from tools import convert_to_tfrecord as convert


@pytest.fixture
def root(tmp_path):
    return files.write_folders(tmp_path, 4)


def warned(root, capsys, *more: str, status: int = 0) -> list[str]:
    """The lines of a conversion on standard error."""
    assert convert.main(files.flags(root, *more)) == status
    return capsys.readouterr().err.splitlines()


def write_image(root, index: int, array, kind: str = "PNG", **options) -> str:
    """Replaces an image; returns its path."""
    (root / "images" / f"f{index:02d}.jpg").unlink()
    path = root / "images" / f"f{index:02d}.{kind.lower()}"
    path.write_bytes(files.saved(array, kind, **options))
    return str(path)


def annotate(root, index: int, label: np.ndarray) -> None:
    path = root / "annotations" / f"f{index:02d}.png"
    path.write_bytes(files.saved(label, "PNG"))


def test_clean_data_gives_no_warning(root, capsys):
    assert warned(root, capsys) == []
    other = files.write_folders(root / "other", 3)
    for index in range(3):
        name = f"images/f{index:02d}.jpg"
        image = files.saved(files.picture(index + 50), "JPEG")
        (other / name).write_bytes(image)
    val = ("--split=val", f"--output_dir={root}/out")
    assert warned(other, capsys, *val) == []


def test_classes_without_a_pixel(root, capsys):
    (line,) = warned(root, capsys, "--num_classes=5")
    assert line == (
        "warning: split train: the classes class_3, class_4 have no pixel; "
        "check the number of classes and the annotations "
        "(--silence=unused_classes)"
    )
    (line,) = warned(root, capsys, "--num_classes=6", "--overwrite")
    assert "only 3 of 6 have; is the number of classes right?" in line
    more = ("--num_classes=6", "--overwrite", "--silence=unused_classes")
    assert warned(root, capsys, *more) == []


def test_classes_that_void_labels_empty_are_known(root, capsys):
    assert warned(root, capsys, "--void_labels=1") == []


def test_one_class_alone(root, capsys):
    for index in range(4):
        label = files.labels(index)
        annotate(root, index, np.where(label == 1, 1, 255).astype(np.uint8))
    (line,) = warned(root, capsys, "--void_labels=255", "--class_names=a,b,c")
    assert "all labelled pixels are of the class b" in line
    assert line.endswith("(--silence=one_class)")


def test_a_split_without_labelled_pixels_is_refused(root, capsys):
    for index in range(4):
        annotate(root, index, np.full((24, 40), 77, np.uint8))
    (line,) = warned(root, capsys, "--void_labels=77", status=1)
    assert "split train: all pixels of its 4 images are void" in line
    assert not (root / "out").exists()


def test_classes_of_one_split_alone(root, capsys):
    """Said of the split that lacks them, whichever is converted last."""
    names = "--class_names=sky,road,car,van"
    assert "van" in warned(root, capsys, names, "--num_classes=4")[0]
    small = files.write_folders(root / "small", 2)
    for index in range(2):
        write_image(small, index, files.picture(index + 70))
        annotate(small, index, files.labels(index, 2) * np.uint8(3))
    more = (names, "--num_classes=4", f"--output_dir={root}/out", "--split=val")
    lines = warned(small, capsys, *more)
    assert lines == [
        "warning: split train: has no pixel of van, which split val has; "
        "divide the images so that both have all classes "
        "(--silence=split_classes)",
        "warning: split val: has no pixel of road, car, which split train has; "
        "divide the images so that both have all classes "
        "(--silence=split_classes)",
    ]


def test_classes_that_differ_between_splits_are_refused(root, capsys):
    assert warned(root, capsys, "--class_names=sky,road,car") == []
    for more, shown in (
        (["--class_names=road,sky,car"], "not road, sky, car in this order"),
        (["--num_classes=4"], "not class_0, class_1, class_2, class_3 in"),
    ):
        (line,) = warned(root, capsys, "--split=val", *more, status=1)
        assert f"{root}/out/train.json: split train has the classes" in line
        assert "sky, road, car" in line and shown in line
        assert not (root / "out" / "val.json").exists()
    # The one split may be converted anew with other classes.
    assert warned(root, capsys, "--overwrite", "--class_names=a,b,c") == []


def test_many_classes_are_told_apart_by_the_first_that_differs(root, capsys):
    names = [f"n{index}" for index in range(40)]
    more = ("--silence=unused_classes", f"--class_names={','.join(names)}")
    assert warned(root, capsys, "--num_classes=40", *more) == []
    names[30:32] = names[31:29:-1]
    more = ("--split=val", f"--class_names={','.join(names)}")
    (line,) = warned(root, capsys, "--num_classes=40", *more, status=1)
    assert "split train has 'n30' as class 30, not 'n31'; convert both" in line
    (line,) = warned(root, capsys, "--split=val", status=1)
    assert "split train has 40 classes, not 3; convert both" in line


def test_images_that_splits_share(root, capsys):
    assert warned(root, capsys) == []
    val = files.write_folders(root / "val", 3)
    for index in (0, 1):
        write_image(val, index, files.picture(index + 60))
    # Under another name.
    for kind, suffix in (("images", "jpg"), ("annotations", "png")):
        path = val / kind / f"f02.{suffix}"
        path.rename(path.with_name(f"g.{suffix}"))
    more = ("--split=val", f"--output_dir={root}/out")
    (line,) = warned(val, capsys, *more)
    assert line == (
        f"warning: split val: 1 of 3 pictures, such as {val}/images/g.jpg, is "
        "in split train too, so scores say less about new pictures; divide the "
        "images so that none is in both (--silence=shared_images)"
    )
    # Silent where a split is meant to hold the other one.
    assert warned(root, capsys, "--split=trainval") == []
    path = root / "out" / "train.json"
    content = json.loads(path.read_text())
    del content["image_digests"]  # as manifests were before there were any
    path.write_text(json.dumps(content))
    assert warned(val, capsys, *more, "--overwrite") == []


def test_nearly_black_images(root, capsys):
    noise = np.random.default_rng(0).integers(0, 20, (24, 40, 3), np.uint8)
    first = write_image(root, 1, noise, "JPEG", quality=95)
    write_image(root, 2, noise)
    write_image(root, 3, noise, "BMP")
    (line,) = warned(root, capsys)
    assert f"{first}: and 2 more of 4 images are nearly black; check" in line
    assert line.endswith("(--silence=dark_images)")
    # A lamp is enough; what is blue alone is not dark.
    noise[3:6, 7:10] = 200
    write = root / "images" / "f01.jpeg"
    write.write_bytes(files.saved(noise, "JPEG", quality=95))
    (root / "images" / "f02.png").write_bytes(files.saved(noise, "PNG"))
    blue = np.zeros((24, 40, 3), np.uint8)
    blue[..., 2] = 200
    (root / "images" / "f03.bmp").write_bytes(files.saved(blue, "BMP"))
    assert warned(root, capsys, "--overwrite") == []


def test_values_of_12_bits(root, capsys):
    values = np.random.default_rng(1).integers(0, 4096, (24, 40), np.uint16)
    for index in range(4):
        (root / "images" / f"f{index:02d}.jpg").unlink()
        png = files.png16(values * (16 if index == 3 else 1))
        (root / "images" / f"f{index:02d}.png").write_bytes(png)
    (line,) = warned(root, capsys)
    assert "f00.png: and 2 more of 4 images are nearly black: the upper" in line
    assert "such as --bit_depth=12 (--silence=dark_images)" in line


@pytest.mark.parametrize(
    ("orientation", "shape", "kind"),
    [(6, (24, 24), "warning"), (3, (24, 40), "warning"),
     (8, (24, 40), "error")],
)  # fmt: skip
def test_images_that_exif_turns(root, capsys, orientation, shape, kind):
    exif = files.orientation(orientation)
    picture = files.picture(5, *shape)
    path = write_image(root, 2, picture, "JPEG", exif=exif)
    annotate(root, 2, files.labels(2, 3, *shape))
    lines = warned(root, capsys, status=int(kind == "error"))
    if kind == "warning":
        (line,) = lines
        assert f"{path}: is turned by EXIF data, unlike" in line
        assert line.endswith("(--silence=exif_rotation)")
    else:
        assert "is 40x24 (width x height) but f02.jpeg is 24x40" in lines[0]
        assert "EXIF data turns f02.jpeg, its annotation is as" in lines[0]
    # An annotation that is turned, too, is in order.
    turned = files.saved(files.labels(2, 3, *shape), "PNG", exif=exif)
    (root / "annotations" / "f02.png").write_bytes(turned)
    shutil.rmtree(root / "out", ignore_errors=True)
    assert warned(root, capsys) == []


def test_an_annotation_drawn_on_the_turned_picture_is_in_order(root, capsys):
    write_image(root, 2, files.picture(5), "JPEG", exif=files.orientation(6))
    annotate(root, 2, files.labels(2, 3, 40, 24))
    assert warned(root, capsys) == []


def test_silence_of_unknown_warnings_is_refused(root, capsys):
    (line,) = warned(root, capsys, "--silence=dark", status=2)
    assert "'dark' is no warning" in line


def cut(jpeg: bytes) -> bytes:
    """Leaves bytes out in the middle; the end is there."""
    return jpeg[: len(jpeg) * 2 // 3] + jpeg[len(jpeg) * 2 // 3 + 40 :]


def test_jpeg_files_that_decoders_mend(root, capsys):
    noise = np.random.default_rng(3).integers(0, 256, (60, 80, 3), np.uint8)
    whole = files.saved(noise, "JPEG", quality=90)
    for index in (1, 3):
        path = root / "images" / f"f{index:02d}.jpg"
        path.write_bytes(cut(whole))
        annotate(root, index, files.labels(index, 3, 60, 80))
    first = root / "images" / "f01.jpg"
    for more in ((), ("--overwrite", "--resize=30x40")):
        (line,) = warned(root, capsys, *more)
        assert f"{first}: and 1 more of 4 images are JPEG with damage" in line
        assert line.endswith("(--silence=jpeg_damage)")
    for index in (1, 3):
        (root / "images" / f"f{index:02d}.jpg").write_bytes(whole)
    assert warned(root, capsys, "--overwrite") == []


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize(
    "options",
    [{}, {"progressive": True}, {"subsampling": 0}, {"restart_marker_rows": 1}],
)
def test_whole_jpeg_files_are_not_called_damaged(root, capsys, mode, options):
    array = files.picture(9, 37, 53)
    path = root / "images" / "f02.jpg"
    path.write_bytes(files.saved(array, "JPEG", mode, **options) + b"\0 tail")
    annotate(root, 2, files.labels(2, 3, 37, 53))
    assert warned(root, capsys) == []
