"""Without Apache Beam: what stands on both sides of it."""

from __future__ import annotations

import json
import subprocess
import sys

import picture_files as files
import pytest

from segnet.convert import part_text, workers
from segnet.convert.findings import Findings, ValueColours
from segnet.convert.pairs import Problem
from segnet.convert.shard_files import ShardFile
from segnet.errors import RunError
from segnet.records.statistics import Statistics
from tools import convert_to_tfrecord as convert


def whole_part() -> workers.Part:
    """A part with something in each of its fields."""
    statistics = Statistics(2)
    histogram = [6, 4, *[0] * 253, 2]
    statistics.add(histogram, 3, 4, "0123456789abcdef")
    findings = Findings()
    findings.add("dark", "caf\udce9.png", 2)
    colours = ValueColours()
    colours.add({1: (10, 20, 1)}, "a.png")
    colours.add({1: (11, 20, 1)}, "b.png")
    problem = Problem("caf\udce9.png", "caf\udce9.png: is empty\nreally")
    file = ShardFile("out/part-00000-ab", (40, 50), "f" * 64)
    return workers.Part(statistics, [problem], findings, colours, file)


def test_a_part_comes_back_as_it_was():
    part = whole_part()
    text = part_text.part_to_text(part)
    assert text.isascii() and "\n" not in text
    back = part_text.part_from_text(text, "x.json")
    assert back.statistics.fields() == part.statistics.fields()
    assert back.statistics.pixel_counts == [6, 4]
    assert (back.problems, back.file) == (part.problems, part.file)
    assert back.findings.to_list() == [["dark", 2, "caf\udce9.png"]]
    assert back.colours.clash == part.colours.clash
    # It can be added to, as any other.
    merged = workers.merge_parts([back, part], 2)
    assert merged.statistics.pixel_counts == [12, 8]
    assert part_text.part_to_text(back) == text


def test_a_part_that_was_only_checked_has_no_file():
    part = workers.Part(Statistics(2))
    back = part_text.part_from_text(part_text.part_to_text(part), "x.json")
    assert back == workers.Part(
        back.statistics, [], back.findings, back.colours
    )


def test_an_error_is_raised_where_it_arrives():
    text = part_text.error_to_text(RunError("a: cannot be written (full)"))
    with pytest.raises(RunError, match="^a: cannot be written"):
        part_text.part_from_text(text, "x.json")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"file": 3}', "3"])
def test_other_texts_are_one_line(text):
    with pytest.raises(RunError, match="x.json: is not what a worker writes"):
        part_text.part_from_text(text, "x.json")


def test_numbers_are_checked_in_a_text():
    fields = json.loads(part_text.part_to_text(whole_part()))
    del fields["statistics"]["sizes"]
    with pytest.raises(RunError, match="sizes"):
        part_text.part_from_text(json.dumps(fields), "x.json")


@pytest.fixture
def root(tmp_path):
    return files.write_folders(tmp_path, 2)


def test_a_missing_beam_is_one_line(root, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    assert convert.main(files.flags(root, "--runner=DirectRunner")) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "apache_beam is not installed" in line and "setup-beam" in line
    assert not (root / "out").exists()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--beam_options=--x=1"], "give --runner"),
        (["--runner=DirectRunner", "--verify_only"], "--verify_only writes"),
        (["--runner=DirectRunner", "--report"], "--report needs TensorFlow"),
    ],
)
def test_flags_that_do_not_go_together(root, capsys, more, words):
    assert convert.main(files.flags(root, *more)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line


def test_the_local_converter_imports_nothing_of_beam(root):
    code = (
        "import sys; from tools import convert_to_tfrecord as tool; "
        "status = tool.main(sys.argv); "
        "names = {'apache_beam', 'segnet.convert.beam_run'}; "
        "sys.exit(status or bool(names & sys.modules.keys()))"
    )
    subprocess.run(
        [sys.executable, "-c", code, *files.flags(root)[1:]],
        cwd=files.ROOT,
        check=True,
    )
