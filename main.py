#!/usr/bin/env python
"""Train, evaluate and use a VGG-SegNet: flags in, one call, an exit status.

python main.py --flagfile=configs/demo.flags [--flag=value ...]
Kept short, so that everything else can be imported and tested.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from segnet import entry


def main(
    argv: Sequence[str],
    *,
    after_step: Callable[[int], None] = lambda step: None,
) -> int:
    """Runs one command.

    Args:
      argv: Command line, the program's name first.
      after_step: Called after each training step with the steps done.

    Returns:
      Exit status: 0 done, 1 bad data or a failed run, 2 bad flags, 130/143
      stopped by SIGINT/SIGTERM.
    """
    # Imported here, so that `entry` can tell which package is missing.
    from segnet.config import flags
    from segnet.errors import UserError

    try:
        command = flags.parse_command(argv)
        if isinstance(command, str):
            print(command)
            return 0
        flags.check_command(command)
        # Imported late: --help and bad flags need no TensorFlow.
        from segnet import commands

        return commands.run(command, after_step=after_step)
    except UserError as error:
        print(f"segnet: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("segnet: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(entry.run("segnet", main))
