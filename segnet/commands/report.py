"""--mode=report."""

from __future__ import annotations

import dataclasses
import os
import sys
from typing import Any

from segnet.commands.palette import check_palette, read_palette
from segnet.commands.trained import TrainedRun, load_trained
from segnet.config import config_file
from segnet.config.flags import Command
from segnet.config.workdir import label_next_path, report_path
from segnet.data import sources
from segnet.errors import ConfigError, DataError
from segnet.evaluation.inputs import Inputs, find_inputs, warn_of_rest
from segnet.files import gfile, write_bytes, write_errors, write_text
from segnet.progress import say
from segnet.records.manifest import Manifest
from segnet.records.splits import read_manifest
from segnet.report import comparison, run_report, unlabelled
from segnet.report.measured import Measured, Network, measure
from segnet.runtime import distributed
from segnet.training.metric_writer import read_log

__all__ = ["Report", "report", "run"]


@dataclasses.dataclass(frozen=True)
class Report:
    """A report that was made.

    Attributes:
      path: Of the page.
      problems: A line for each picture without labels that cannot be read.
    """

    path: str
    problems: list[str]


def report(command: Command) -> Report:
    """Makes the report of a run.

    Raises:
      ConfigError: Several workers were started, there is no such run, or it
        cannot be compared with the other one.
      DataError: Records or weights cannot be read.
      RunError: It cannot be written.
    """
    if distributed.launched().size > 1:
        raise ConfigError(
            "--mode=report is for one process; start it without horovodrun"
        )
    check_palette(command.palette)
    inputs = None
    if command.image_path:
        inputs = find_inputs(command.image_path, recursive=command.recursive)
    trained = load_trained(command)
    other = _load_other(command, trained) if command.compare_to else None
    config = trained.config
    splits = sources.read_splits(
        config.data_dir, config.train_split, config.eval_split
    )
    if inputs:
        warn_of_rest(command.image_path, inputs, config.silenced)
    say(f"weights: {trained.weights}")
    network = dataclasses.replace(
        _network(trained),
        palette=read_palette(command.palette, config.class_names),
    )
    for manifest in (splits.evaluation, splits.train):
        sources.check_classes(manifest, config.class_names, config.data_dir)
    val = measure(network, splits.evaluation)
    train = measure(network, splits.train, boundaries=False)
    compared = _compared(network, other, val) if other else None
    ranking = _ranked(command, network, inputs) if inputs else None
    html = run_report.make_page(
        network,
        (val, train),
        read_log(config.workdir),
        comparison=compared,
        ranking=ranking,
    )
    target = report_path(config.workdir)
    folder = os.path.dirname(target)
    with write_errors(folder):
        gfile(folder).makedirs(folder)
    write_text(target, html)
    if ranking is None:
        return Report(target, [])
    # A name that is no text is written with the bytes that it has.
    table = ranking.to_csv().encode(errors="surrogateescape")
    write_bytes(label_next_path(config.workdir), table)
    return Report(target, ranking.problems)


def run(command: Command) -> int:
    """Makes the report; returns the exit status."""
    made = report(command)
    say(f"report: {made.path}")
    for problem in made.problems:
        say(f"segnet: {problem}", sys.stderr)
    return 1 if made.problems else 0


def _network(trained: TrainedRun) -> Network:
    return Network(
        trained.predictor,
        trained.config,
        trained.weights,
        trained.runtime.needs_static_shapes,
    )


def _load_other(command: Command, trained: TrainedRun) -> TrainedRun:
    """The run to compare with, reading the records of this one.

    Raises:
      ConfigError: There is no such run, or it cannot be compared.
      DataError: Its weights cannot be read.
    """
    workdir, config = command.compare_to, trained.config
    if os.path.realpath(workdir) == os.path.realpath(config.workdir):
        raise ConfigError(
            f"--compare_to={workdir} is the run of the report itself; give "
            "the workdir of another one"
        )
    saved = config_file.load_config(workdir)
    if saved is None:
        raise ConfigError(
            f"--compare_to={workdir} has no config.json; give the workdir of a "
            "training run"
        )
    comparison.check_comparable(
        config, dataclasses.replace(saved, workdir=workdir)
    )
    given = {
        **command.given,
        "data_dir": config.data_dir,
        "eval_split": config.eval_split,
    }
    asked = dataclasses.replace(command.config, workdir=workdir)
    return load_trained(
        dataclasses.replace(
            command, config=asked, given=given, checkpoint="best"
        )
    )


def _compared(
    network: Network, other: TrainedRun, val: Measured
) -> dict[str, Any]:
    workdir = other.config.workdir
    saved = config_file.load_config(workdir)
    if saved is None:
        raise ConfigError(f"--compare_to={workdir}: its config.json has gone")
    others = dataclasses.replace(saved, workdir=workdir)
    return comparison.compare(
        network,
        _network(other),
        val,
        others,
        _known_to(others.data_dir, others.train_split, val.manifest),
    )


def _known_to(data_dir: str, split: str, manifest: Manifest) -> int | None:
    """How many images of a split another training split has, too."""
    try:
        trained_on = set(read_manifest(data_dir, split).image_digests)
    except DataError:
        return None
    if not trained_on or not manifest.image_digests:
        return None
    return sum(digest in trained_on for digest in manifest.image_digests)


def _ranked(
    command: Command, network: Network, inputs: Inputs
) -> unlabelled.Ranking:
    """Ranks pictures; says what is not looked at."""
    ranking = unlabelled.rank(network, inputs.sources, command.max_pixels)
    aside = [f"{film.path}: films are not ranked" for film in inputs.films]
    return dataclasses.replace(
        ranking, problems=[*inputs.problems, *ranking.problems, *aside]
    )
