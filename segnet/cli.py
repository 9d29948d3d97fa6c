"""The programs: `main.py`, the tools, and the commands of the package.

Nothing heavy is imported before a program has begun, so that `entry` can tell
which package is missing, and worker processes start fast.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

from segnet import entry

__all__ = [
    "convert",
    "data_service",
    "import_annotations",
    "main",
    "segnet",
    "segnet_convert",
    "segnet_data_service",
    "segnet_import",
    "segnet_summarize_folds",
    "summarize_folds",
]


def main(
    argv: Sequence[str],
    *,
    after_step: Callable[[int], None] = lambda step: None,
) -> int:
    """Trains, evaluates or predicts.

    Args:
      argv: Command line, the program's name first.
      after_step: Called after each training step with the steps done.

    Returns:
      Exit status: 0 done, 1 bad data or a failed run, 2 bad flags, 130/143
      stopped by SIGINT/SIGTERM.
    """
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


def convert(argv: Sequence[str] | None = None) -> int:
    """Packs folders into records; see `segnet.convert.program.main`."""
    from segnet.convert import program

    return program.main(argv, _report_data)


def _report_data(data_dir: str) -> str:
    """Makes the report of a folder of records; TensorFlow comes with it."""
    from segnet.commands import prepared

    with prepared("cpu"):
        from segnet.commands import data_report

        return data_report.report(data_dir)


def import_annotations(argv: Sequence[str]) -> int:
    """See `segnet.annotations.importing.program.main`."""
    from segnet.annotations.importing import program

    return program.main(argv)


def summarize_folds(argv: Sequence[str]) -> int:
    """See `segnet.evaluation.folds_program.main`."""
    from segnet.evaluation import folds_program

    return folds_program.main(argv)


def data_service(argv: Sequence[str]) -> int:
    """See `segnet.data.service_program.main`."""
    from segnet.data import service_program

    return service_program.main(argv)


def segnet() -> int:
    """The command `segnet`, and `main.py`."""
    return entry.run("segnet", main)


def segnet_convert() -> int:
    """The command `segnet-convert`, and `tools/convert_to_tfrecord.py`."""
    # Nothing here is for a GPU, which another process may be using.
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    return entry.run("convert_to_tfrecord", convert)


def segnet_import() -> int:
    """The command `segnet-import`, and `tools/import_annotations.py`."""
    return entry.run("import_annotations", import_annotations)


def segnet_summarize_folds() -> int:
    """The command `segnet-summarize-folds`, and `tools/summarize_folds.py`."""
    return entry.run("summarize_folds", summarize_folds)


def segnet_data_service() -> int:
    """The command `segnet-data-service`, and `tools/data_service.py`."""
    return entry.run("data_service", data_service)
