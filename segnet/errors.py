"""The two kinds of error that a user can cause and mend.

`main.py` and the tools print their message as one line and exit; anything
else is a defect of the program and keeps its traceback.
"""

from __future__ import annotations

__all__ = ["ConfigError", "DataError", "RunError", "UserError", "one_line"]

_CONTROLS = (*range(32), *range(127, 160))
_ESCAPES = {code: repr(chr(code))[1:-1] for code in _CONTROLS}


def one_line(text: str) -> str:
    """A text whose control characters, such as a line feed, are escaped.

    Names of files may have them, and a terminal would obey them.
    """
    return text.translate(_ESCAPES)


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
