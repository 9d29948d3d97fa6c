"""--mode=report."""

from __future__ import annotations

import os

from segnet.commands.trained import load_trained
from segnet.config.flags import Command
from segnet.config.workdir import report_path
from segnet.data import sources
from segnet.errors import ConfigError
from segnet.files import gfile, write_errors, write_text
from segnet.progress import say
from segnet.report import run_report
from segnet.runtime import distributed
from segnet.training.metric_writer import read_log

__all__ = ["report", "run"]


def report(command: Command) -> str:
    """Makes the report of a run.

    Returns:
      Path of the page.

    Raises:
      ConfigError: Several workers were started, or there is no such run.
      DataError: Records or weights cannot be read.
      RunError: It cannot be written.
    """
    if distributed.launched().size > 1:
        raise ConfigError(
            "--mode=report is for one process; start it without horovodrun"
        )
    trained = load_trained(command)
    config = trained.config
    splits = sources.read_splits(
        config.data_dir, config.train_split, config.eval_split
    )
    say(f"weights: {trained.weights}")
    pad = trained.runtime.needs_static_shapes
    measured = []
    for manifest in (splits.evaluation, splits.train):
        sources.check_classes(manifest, config.class_names, config.data_dir)
        measured.append(
            run_report.measure(trained.predictor, manifest, config, pad=pad)
        )
    html = run_report.make_page(
        trained.predictor,
        config,
        (measured[0], measured[1]),
        read_log(config.workdir),
        checkpoint=trained.weights,
        pad=pad,
    )
    target = report_path(config.workdir)
    folder = os.path.dirname(target)
    with write_errors(folder):
        gfile(folder).makedirs(folder)
    write_text(target, html)
    return target


def run(command: Command) -> int:
    """Makes the report; returns the exit status."""
    say(f"report: {report(command)}")
    return 0
