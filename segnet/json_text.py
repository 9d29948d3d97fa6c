"""JSON that others may have written: read strictly, refused in one line.

`json.loads` takes what this project never writes and what breaks it later:
numbers that are none, or too large for any use, two entries of one name, and
texts that are no Unicode. Nested deeply enough it raises RecursionError.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

__all__ = ["parse_json"]

_LARGEST = 2**63 - 1
# Of a number that is at most that large, its sign included.
_LONGEST = 20
# Half of a character, and what Python writes in names of files for bytes that
# are not UTF-8.
_HALVES = re.compile("[\ud800-\udfff]")
_BYTES = re.compile("[\udc80-\udcff]")
_ESCAPED_HALF = re.compile(r"\\u[dD][89a-fA-F]")


def parse_json(text: str, *, names: bool = False) -> Any:
    """Parses JSON.

    Args:
      text: All of it.
      names: Whether texts may be names of files that are not UTF-8, as
        `os.fsdecode` gives them.

    Returns:
      What `json.loads` gives. All numbers are finite, whole ones fit into 64
      bits; no object has two entries of one name; all texts are Unicode, but
      for `names`.

    Raises:
      ValueError: It is not JSON, or not as said above; in one line.
    """
    try:
        value = json.loads(
            text,
            parse_int=_whole,
            parse_float=_finite,
            parse_constant=_constant,
            object_pairs_hook=_object,
        )
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    # Nearly no text needs the second look, which takes as long as the first.
    if _ESCAPED_HALF.search(text) or _HALVES.search(text):
        found = json.dumps(value, ensure_ascii=False)
        if _HALVES.search(_BYTES.sub("", found) if names else found):
            raise ValueError("a text in it is not Unicode")
    return value


def _whole(digits: str) -> int:
    if len(digits) <= _LONGEST and abs(value := int(digits)) <= _LARGEST:
        return value
    raise ValueError(f"the number {_short(digits)} is too large")


def _finite(digits: str) -> float:
    value = float(digits)
    if math.isfinite(value):
        return value
    raise ValueError(f"the number {_short(digits)} is too large")


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"'{_short(twice)}' is there twice")
    return found


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}..."
