from __future__ import annotations

import pytest

from segnet.annotations import label_map
from segnet.annotations.presets import PRESETS
from segnet.errors import ConfigError


def parse(text: str) -> label_map.LabelMap:
    return label_map.parse_label_map(text, "map.txt")


def test_lines_of_values_and_colours():
    found = parse(
        "# a comment\n"
        "road: 7, 8 #804080\n"
        "\n"
        "fußgänger: 24;25\n"
        "Void: 0 #000000\n"
        "road: 9\n"
    )
    assert found.names == ("road", "fußgänger")
    assert found.values == {7: 0, 8: 0, 9: 0, 24: 1, 25: 1, 0: 255}
    assert found.colours == {(128, 64, 128): 0, (0, 0, 0): 255}


def test_cvat_and_camvid_write_it_in_their_ways():
    cvat = parse(
        "# label:color_rgb:parts:actions\n"
        "background:0,0,0::\n"
        "traffic light:250,170,30:red,green:\n"
        "ignore:1,2,3::\n"
    )
    assert cvat.names == ("background", "traffic light")
    assert cvat.colours == {
        (0, 0, 0): 0,
        (250, 170, 30): 1,
        (1, 2, 3): 255,
    }
    assert cvat.values == {}
    camvid = parse("64 128 64\tAnimal\r\n0 0 0\t\tVoid\n192 0 128\t\tArchway")
    assert camvid.names == ("Animal", "Archway")
    assert camvid.colours[192, 0, 128] == 1
    assert camvid.colours[0, 0, 0] == 255


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb 2\n", "line 2: 'b 2' is not 'name: values or #colours'"),
        ("a: 1\n: 2\n", "line 2: ': 2' is not"),
        ("a: 1\nb: 256\n", "line 2: '256' is neither a value from 0 to 255"),
        ("a: 1\nb: #12345\n", "'#12345' is neither"),
        ("a: 1\nb:\n", "line 2: 'b' has no value and no colour"),
        ("a: 1\nb: 1\n", "line 2: 1 is in two classes"),
        ("a: #010203\nb: 2 #010203\n", "line 2: #010203 is in two classes"),
        ("a:1,2,300::\nb:1,2,3::\n", "line 1: 1 2 300 is no colour"),
        ("a: 1\nvoid: 2\n", "has 1 classes, not 2 to 255"),
        ("", "has 0 classes"),
    ],
)
def test_what_is_no_label_map_is_named_by_line(text, message):
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert message in str(caught.value)
    assert str(caught.value).startswith("--label_map=map.txt: ")


def test_presets_are_what_the_data_sets_say():
    voc = label_map.load_label_map("voc")
    assert len(voc.names) == 21
    assert voc.values == {**{label: label for label in range(21)}, 255: 255}
    # Bits 0 to 2 of the index are the highest bits of red, green and blue,
    # bits 3 to 5 the next ones: person is 15 = 0b001111.
    assert voc.colours[0b11000000, 0b10000000, 0b10000000] == 15
    assert voc.colours[224, 224, 192] == 255
    cityscapes = label_map.load_label_map("cityscapes")
    assert len(cityscapes.names) == 19
    assert set(cityscapes.values) == {*range(34), 255}
    assert cityscapes.names[cityscapes.values[26]] == "car"
    assert cityscapes.names[cityscapes.colours[0, 0, 142]] == "car"
    binary = label_map.load_label_map("binary")
    assert (binary.values, len(binary.names)) == ({0: 0, 255: 1}, 2)
    assert set(PRESETS) == {"binary", "camvid", "cityscapes", "voc"}


def test_a_file_from_windows_is_read_and_a_missing_one_told_of(tmp_path):
    path = tmp_path / "map.txt"
    path.write_bytes("sky: 1\r\nroad: 2\r\n".encode("utf-16"))
    assert label_map.load_label_map(str(path)).names == ("sky", "road")
    path.write_bytes(b"sk\xff: 1\n")
    with pytest.raises(ConfigError, match="is not text in UTF-8"):
        label_map.load_label_map(str(path))
    with pytest.raises(ConfigError, match="neither a file nor one of binary"):
        label_map.load_label_map(str(tmp_path / "none"))
