"""The two kinds of error that a user can cause and mend.

`main.py` and the tools print their message as one line and exit; anything
else is a defect of the program and keeps its traceback.
"""

from __future__ import annotations

__all__ = [
    "ConfigError",
    "DataError",
    "RunError",
    "UserError",
    "harmless",
    "one_line",
]

# Those of Unicode show nothing themselves, and make a name look like another
# one: soft hyphen, directions of writing, marks without width, ends of lines,
# annotations, tags.
_CONTROLS = (
    *range(32), *range(127, 160), 0xAD, 0x61C, 0x180E, 0x200B, 0x200E, 0x200F,
    *range(0x2028, 0x202F), *range(0x2060, 0x2070), 0xFEFF,
    *range(0xFFF9, 0xFFFC), *range(0xE0000, 0xE0080),
)  # fmt: skip
_ESCAPES = {code: repr(chr(code))[1:-1] for code in _CONTROLS}
_ESCAPES_BUT_LAYOUT = {
    code: text for code, text in _ESCAPES.items() if chr(code) not in "\n\r\t"
}


def one_line(text: str) -> str:
    """A text whose control characters, such as a line feed, are escaped.

    Names of files may have them, and a terminal would obey them.
    """
    return text.translate(_ESCAPES)


def harmless(text: str) -> str:
    """The same for a text of several lines, or one with columns."""
    return text.translate(_ESCAPES_BUT_LAYOUT)


class UserError(ValueError):
    """Something the user can mend; the message says where and how.

    Attributes:
      exit_status: What the process exits with.
    """

    exit_status = 1

    def __str__(self) -> str:
        """The message as one line."""
        return one_line(super().__str__())


class ConfigError(UserError):
    """A flag, or a combination of flags, that cannot be used: exit status 2."""

    exit_status = 2


class DataError(UserError):
    """A file or folder that cannot be used as it is: exit status 1."""


class RunError(UserError):
    """A run that cannot go on (disk full, loss not finite): exit status 1."""
