"""JSON that nobody of good will wrote."""

from __future__ import annotations

import json

import pytest

from segnet.json_text import parse_json


def test_json_of_this_project_is_read_as_it_is():
    value = {"a": [1, -(2**63 - 1), 2**63 - 1, 0.5, None, True], "ß": "😀"}
    assert parse_json(json.dumps(value)) == value
    assert parse_json(json.dumps(value, ensure_ascii=False)) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ("1" + "0" * 400, "number 1000"),
        ("9" * 5000, "too large"),
        (str(2**63), "too large"),
        ("-" + "9" * 30, "too large"),
        ("1e400", "number 1e400 is too large"),
        ("[NaN]", "NaN is no number"),
        ("-Infinity", "-Infinity is no number"),
        ('{"a": 1, "b": 2, "a": 3}', "'a' is there twice"),
        (r'["\ud800"]', "not Unicode"),
        ('["\udcff"]', "not Unicode"),
        ("{'a': 1}", "Expecting property name"),
        ("", "Expecting value"),
        ("\0", "Expecting value"),
        ('"a\nb"', "Invalid control character"),
        ("[1] 2", "Extra data"),
    ],
    ids=lambda text: ascii(text)[:20],
)
def test_what_is_not_json_is_refused_in_one_line(text, message):
    with pytest.raises(ValueError, match=message) as caught:
        parse_json(text)
    assert len(str(caught.value)) < 120
    assert "\n" not in str(caught.value)


def test_names_of_files_may_be_of_other_bytes():
    name = b"caf\xe9.jpg".decode("utf-8", "surrogateescape")
    assert parse_json(json.dumps([name]), names=True) == [name]
    with pytest.raises(ValueError, match="not Unicode"):
        parse_json(json.dumps([name]))
    with pytest.raises(ValueError, match="not Unicode"):
        parse_json(r'["\ud800"]', names=True)
