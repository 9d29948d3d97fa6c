"""The summary of a cross-validation as a program."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from segnet.errors import UserError
from segnet.evaluation import folds
from segnet.files import expand_path, write_text

__all__ = ["main"]

_DESCRIPTION = """\
Sums up the scores of the runs of a cross-validation: mean and standard
deviation over the folds, and the scores of all pixels together. Each run has
been scored with --mode=evaluate."""


def main(argv: Sequence[str]) -> int:
    """Runs the program.

    Args:
      argv: The arguments, the program's name first.

    Returns:
      The exit status: 0 done; 1 scores are missing or cannot be compared.

    Raises:
      SystemExit: Of argparse: help was asked for, or a flag is unknown.
    """
    parser = argparse.ArgumentParser(
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("workdirs", nargs="+", metavar="WORKDIR")
    parser.add_argument("--output", help="write the scores to a JSON file, too")
    arguments = parser.parse_args(argv[1:])
    try:
        scores = [folds.load_fold(expand_path(x)) for x in arguments.workdirs]
        summary = folds.summarize_folds(scores)
        print(folds.format_folds(summary))
        if arguments.output:
            text = json.dumps(summary, indent=2) + "\n"
            write_text(expand_path(arguments.output), text)
    except UserError as error:
        print(f"summarize_folds: {error}", file=sys.stderr)
        return error.exit_status
    return 0
