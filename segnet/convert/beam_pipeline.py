"""What Apache Beam does for a conversion: the pipeline, and a worker's part.

Imported only where Beam is wanted: importing it takes a second.
"""

from __future__ import annotations

import json
import pathlib
import secrets
import threading
from collections.abc import Sequence

import apache_beam as beam
from apache_beam.options import pipeline_options

from segnet.convert import workers
from segnet.convert.beam_options import Runner
from segnet.convert.conversion import Rules
from segnet.convert.pairs import Pair
from segnet.convert.part_text import error_to_text, part_to_text
from segnet.errors import UserError
from segnet.files import write_text

__all__ = ["create", "do_job"]

# A picture at a time in a process, whose threads may have a part each.
_one_at_a_time = threading.Lock()


def create(jobs: Sequence[str], rules: Rules, runner: Runner) -> beam.Pipeline:
    """The pipeline, not begun.

    Args:
      jobs: As `do_job` takes them.
      rules: How to do them.
      runner: Who does them.
    """
    options = pipeline_options.PipelineOptions(list(runner.options))
    if runner.is_direct:
        # It would get a program from the network, and run it, where triggers
        # are all safe; there are none here.
        kinds = options.view_as(pipeline_options.TypeOptions)
        kinds.allow_unsafe_triggers = True
    pipeline = beam.Pipeline(runner=runner.name, options=options)
    # Shuffled, so that a worker does not get all.
    _ = (
        pipeline
        | "Parts" >> beam.Create(list(jobs))
        | "Spread" >> beam.Reshuffle()
        | "Convert" >> beam.Map(do_job, rules)
    )
    return pipeline


def do_job(job: str, rules: Rules) -> None:
    """Does a job, in a worker.

    Args:
      job: JSON: the files of each of its "pairs", what the "path" for their
        records begins with, or nothing, and the file for its "result".
      rules: How.

    Raises:
      RunError: The result cannot be written.
    """
    given = json.loads(job)
    pairs = [Pair(*map(pathlib.Path, names)) for names in given["pairs"]]
    path = given["path"] and f"{given['path']}-{secrets.token_hex(8)}"
    with _one_at_a_time:
        try:
            text = part_to_text(workers.convert_part(pairs, path, rules))
        except UserError as error:
            text = error_to_text(error)
    write_text(given["result"], text)
