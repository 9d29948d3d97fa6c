"""Label maps and files of class names: right, or refused in one line."""

from __future__ import annotations

import re

import pytest
from hostile_inputs import (
    counted,
    few,
    mutated,
    result_or_line,
    run_program,
    seeds,
)
from hypothesis import given
from hypothesis import strategies as st

from segnet.annotations.label_map import load_label_map
from segnet.annotations.presets import PRESETS
from segnet.convert.classes import resolve_names
from tools import convert_to_tfrecord

GOOD = (
    "sky: 0, 1 #00008e\nroad: 7\nignore: 255\n",
    "# label:color_rgb:parts:actions\ncar:0,0,142::\nvoid:0,0,0::\nb:1,1,1::\n",
    "64 128 64\tAnimal\n192 0 128\t\tArchway\n0 0 0\tVoid\n",
    *PRESETS.values(),
)
names = st.text(
    st.characters(blacklist_characters=":#\n", blacklist_categories=("Cs",)),
    max_size=6,
)
numbers = st.one_of(
    st.integers(0, 255), st.integers(), st.sampled_from(["", "x", "1.5", "٣"])
)
ours = st.builds(
    lambda name, items: f"{name}: {', '.join(map(str, items))}",
    names,
    st.lists(numbers | st.sampled_from(["#00ff00", "#12", "#gggggg"])),
)
cvat = st.builds("{}:{},{},{}::".format, names, numbers, numbers, numbers)
camvid = st.builds("{} {} {}\t{}".format, numbers, numbers, numbers, names)
line = st.one_of(ours, cvat, camvid, st.text(max_size=30), st.just("# c"))
texts = st.builds(
    lambda lines, end: end.join(lines),
    st.lists(line, max_size=8),
    st.sampled_from(["\n", "\r\n", "\r", "\n\n"]),
)
encoded = st.builds(
    lambda text, code: text.encode(code, "surrogatepass"),
    texts,
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32"]),
)
changed = st.builds(
    lambda text, seed: mutated(text.encode(), seed),
    st.sampled_from(GOOD),
    seeds,
)
contents = st.one_of(encoded, changed, st.binary(max_size=200))


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("labels") / "labels.txt"


@few(60)
@given(contents)
def test_any_label_map(path, data):
    path.write_bytes(data)
    found, line = result_or_line(load_label_map, str(path))
    if line:
        assert line.startswith("--label_map")
        return
    assert 2 <= len(found.names) <= 255
    assert len(set(found.names)) == len(found.names)
    ids = {*found.values.values(), *found.colours.values()} - {255}
    assert ids == set(range(len(found.names)))
    assert all(0 <= value <= 255 for value in found.values)
    assert all(0 <= part <= 255 for c in found.colours for part in c)


@few(40)
@given(
    st.dictionaries(
        st.text("abcdefg", min_size=1, max_size=5),
        st.sets(st.integers(0, 254), min_size=1, max_size=4),
        min_size=2,
        max_size=9,
    )
)
def test_a_good_label_map_is_read_as_it_is_written(path, classes):
    """Where no value is in two classes."""
    text = "".join(
        f"{name}: {' '.join(map(str, values))}\n"
        for name, values in classes.items()
    )
    path.write_text(text)
    found, line = result_or_line(load_label_map, str(path))
    flat = [value for values in classes.values() for value in values]
    if len(set(flat)) < len(flat):
        assert "two classes" in line
        return
    assert found.names == tuple(classes)
    for label, values in enumerate(classes.values()):
        assert {v for v, got in found.values.items() if got == label} == values


@few(50)
@given(contents, st.integers(1, 9))
def test_any_file_of_class_names(path, data, count):
    path.write_bytes(data)
    found, line = result_or_line(resolve_names, count, str(path), None)
    if line:
        assert line.startswith("--class_names")
    else:
        assert len(set(found)) == len(found) == count
        assert all(name.strip() == name != "" for name in found)


@few(4)
@given(contents, st.sampled_from(["label_map", "class_names"]))
def test_the_converter_says_it_in_one_line(path, data, flag):
    path.write_bytes(data)
    counted()
    outcome = run_program(
        "convert_to_tfrecord",
        convert_to_tfrecord.main,
        [
            "convert_to_tfrecord.py",
            f"--images_dir={path.parent / 'none'}",
            f"--annotations_dir={path.parent / 'none'}",
            f"--output_dir={path.parent / 'out'}",
            "--split=train",
            f"--{flag}={path}",
            "--num_classes=3",
        ],
    )
    outcome.check("convert_to_tfrecord", (1, 2))
    assert outcome.err.count("\n") == 1
    assert re.search(f"--{flag}|none", outcome.err)
