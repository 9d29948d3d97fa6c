from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import main
from segnet.commands.palette import read_palette
from segnet.errors import ConfigError
from segnet.images import palettes

NAMES = ("ground", "wall", "disc")


def _predict(trained, folder, palette):
    Image.new("RGB", (480, 320), (200, 90, 60)).save(folder / "a.png")
    return main.main(
        ["main.py", "predict", f"--workdir={trained}", "--recursive",
         f"--image_path={folder / 'a.png'}", f"--output_dir={folder / 'out'}",
         f"--palette={palette}"]
    )  # fmt: skip


def test_overlay_and_report_have_the_colours(trained, tmp_path):
    colours = tmp_path / "colours.txt"
    lines = [f"{name}: #{i}1{i}2{i}3\n" for i, name in enumerate(NAMES, 1)]
    colours.write_text("".join(lines))
    assert _predict(trained, tmp_path, colours) == 0
    with Image.open(tmp_path / "out" / "a_labels.png") as image:
        label = np.asarray(image)
    with Image.open(tmp_path / "out" / "a_overlay.png") as image:
        blended = np.asarray(image)[:320]
    colour = np.array(read_palette(str(colours), NAMES))[label]
    expected = (colour + np.array([200, 90, 60])) / 2
    assert np.abs(blended - expected).max() <= 1
    assert read_palette(str(colours), NAMES)[1] == (0x21, 0x22, 0x23)


def test_names_of_palettes():
    assert read_palette("", NAMES) == palettes.DEFAULT
    assert read_palette("voc", NAMES) == palettes.VOC
    assert read_palette("colourblind", NAMES) == palettes.COLOURBLIND
    sky = read_palette("camvid", ("thing", "Sky"))
    assert sky[1] == (128, 128, 128)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ground: 3\nwall: 4\n", "has a colour for none of the classes"),
        ("car: #ff0000\nbus: #00ff00\n", "has a colour for none"),
        ("ground #ff0000\n", "line 1"),
    ],
)
def test_files_without_colours(text, said, tmp_path):
    (tmp_path / "p.txt").write_text(text)
    with pytest.raises(ConfigError, match=said) as caught:
        read_palette(str(tmp_path / "p.txt"), NAMES)
    assert str(caught.value).startswith("--palette=")


@pytest.mark.parametrize("name", ["nosuch", "binary"])
def test_unknown_palettes_are_refused_before_any_work(
    name, trained, tmp_path, capsys
):
    assert _predict(trained, tmp_path, name) == 2
    assert f"--palette={name}: is neither" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
