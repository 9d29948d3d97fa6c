"""What became of a part of a split, as text that other machines can send.

JSON, since what a pickle holds is run by who reads it.
"""

from __future__ import annotations

import json
from typing import Any

from segnet.convert.findings import Findings, ValueColours
from segnet.convert.pairs import Problem
from segnet.convert.shard_files import ShardFile
from segnet.convert.workers import Part
from segnet.errors import RunError
from segnet.json_text import parse_json
from segnet.records.statistics import Statistics

__all__ = ["error_to_text", "part_from_text", "part_to_text"]


def part_to_text(part: Part) -> str:
    """A part as one line of ASCII; names of files may be any bytes."""
    file = part.file
    return json.dumps(
        {
            "statistics": part.statistics.fields(),
            "problems": [[each.file, each.message] for each in part.problems],
            "findings": part.findings.to_list(),
            "colours": part.colours.to_list(),
            "file": file and [file.path, file.lengths, file.sha256],
        }
    )


def error_to_text(error: Exception) -> str:
    """What stands in the place of a part that could not be written."""
    return json.dumps({"error": str(error)})


def part_from_text(text: str, source: str) -> Part:
    """The part that `part_to_text` made a text of.

    Args:
      text: All of it.
      source: Where it is from, for the message.

    Raises:
      RunError: The text is that of an error, or makes no sense.
    """
    try:
        fields = parse_json(text, names=True)
        if "error" not in fields:
            return _part(fields)
    except (ValueError, TypeError, KeyError) as error:
        raise RunError(
            f"{source}: is not what a worker writes ({error}); convert again, "
            "and let nothing else write there"
        ) from None
    raise RunError(fields["error"])


def _part(fields: dict[str, Any]) -> Part:
    file = fields["file"]
    return Part(
        Statistics.from_fields(fields["statistics"]),
        [Problem(name, message) for name, message in fields["problems"]],
        Findings.from_list(fields["findings"]),
        ValueColours.from_list(fields["colours"]),
        file and ShardFile(file[0], tuple(file[1]), file[2]),
    )
