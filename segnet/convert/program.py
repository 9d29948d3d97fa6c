"""The converter as a program: what it does with a command line, and prints."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from segnet import environment, signals
from segnet.convert import (
    flags,
    folds,
    split_choice,
    split_writer,
    steps,
    summary,
    workers,
)
from segnet.convert.flags import Settings
from segnet.errors import DataError, UserError, one_line
from segnet.records import plausibility, splits
from segnet.records.manifest import Manifest

__all__ = ["convert", "main", "verify"]

_INTERRUPTED = 130
_TERMINATED = 143
_KEPT = "nothing kept but what was complete"


def main(
    argv: Sequence[str] | None = None,
    make_report: Callable[[str], str] | None = None,
) -> int:
    """Runs the tool.

    Args:
      argv: The arguments, the program's name first; None takes the process's.
      make_report: Makes the report of a folder of records, and gives its path.

    Returns:
      The exit status: 0 done; 1 bad data or nothing could be written; 2 bad
      flags; 130 interrupted; 143 terminated.
    """
    argv = list(sys.argv if argv is None else argv)
    environment.prepare_tensorflow()
    if {"--help", "-h", "-help", "--helpfull"} & set(argv[1:]):
        print(flags.help_text())
        return 0
    try:
        settings = flags.parse_flags(argv)
        if settings.verify_only:
            verify(settings)
        else:
            with signals.signals_raised():
                convert(settings)
                if settings.report and make_report is not None:
                    print(f"report: {make_report(settings.output_dir)}")
    except UserError as error:
        print(f"convert_to_tfrecord: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print(f"convert_to_tfrecord: interrupted, {_KEPT}", file=sys.stderr)
        return _INTERRUPTED
    except signals.Terminated:
        print(f"convert_to_tfrecord: terminated, {_KEPT}", file=sys.stderr)
        return _TERMINATED
    return 0


def convert(settings: Settings) -> tuple[Manifest, ...]:
    """Converts one split, or several, and prints what they hold.

    Raises:
      DataError: Folders, pairs or the output's state do not allow it; each
        bad file has been printed.
      RunError: The output cannot be written.
    """
    started = time.monotonic()
    choice, output_dir = settings.choice, settings.output_dir
    others = steps.other_splits(settings)
    plausibility.check_class_names(settings.class_names, others, output_dir)
    folders = steps.find(settings)
    divided = split_choice.divide(folders, choice)
    with (
        signals.signals_held() as check,
        contextlib.ExitStack() as stack,
    ):
        writers = {
            name: stack.enter_context(
                split_writer.SplitWriter(
                    output_dir,
                    name,
                    overwrite=settings.overwrite,
                    check=check,
                )
            )
            for name in choice.splits
        }
        training_splits = stack.enter_context(
            folds.training_splits(
                output_dir,
                choice.num_folds,
                overwrite=settings.overwrite,
                check=check,
            )
        )
        parts = {
            name: steps.process(settings, folders, divided[name], writer, check)
            for name, writer in writers.items()
        }
        wholes = steps.merge(settings, parts)
        steps.report(settings, folders, wholes)
        steps.check_splits(settings, divided, wholes, others)
        training_splits.withdraw()
        manifests = [
            writer.commit(
                [part.file for part in parts[name] if part.file],
                num_shards=steps.num_shards(settings, divided[name]),
                class_names=settings.class_names,
                skipped=[
                    steps.skipped_entry(problem)
                    for problem in (*folders.problems, *wholes[name].problems)
                ],
                statistics=wholes[name].statistics.fields(),
                bit_depth=settings.bit_depth,
            )
            for name, writer in writers.items()
        ]
        manifests += training_splits.write(manifests)
    _print_table(settings, wholes)
    seconds = time.monotonic() - started
    for manifest in manifests:
        print(summary.closing_line(manifest, output_dir, seconds))
    print(summary.next_step(output_dir, choice.num_folds))
    return tuple(manifests)


def verify(settings: Settings) -> None:
    """Checks input folders and existing records; writes nothing.

    Raises:
      DataError: Something is wrong; each bad file has been printed.
    """
    wholes: Mapping[str, workers.Part] = {}
    choice = settings.choice
    if settings.images_dir:
        folders = steps.find(settings)
        divided = {"": folders.pairs}
        if choice.splits:
            divided = split_choice.divide(folders, choice)
        parts = {
            name: steps.process(settings, folders, chosen)
            for name, chosen in divided.items()
        }
        wholes = steps.merge(settings, parts)
        steps.report(settings, folders, wholes)
        others = steps.other_splits(settings) if settings.output_dir else []
        steps.check_splits(settings, divided, wholes, others)
        _print_table(settings, wholes)
        for name, whole in wholes.items():
            count = len(whole.statistics.image_digests)
            print(f"{name}: {count} pairs are good".removeprefix(": "))
    if settings.output_dir:
        for split in choice.splits:
            _verify_records(settings, split, wholes.get(split))
        for fold in range(choice.num_folds):
            _verify_training_split(settings.output_dir, fold)


def _verify_training_split(output_dir: str, fold: int) -> None:
    """Checks a split whose records are those of the folds, checked already."""
    split = folds.training_split(fold)
    path = splits.manifest_path(output_dir, split)
    if splits.has_manifest(output_dir, split):
        manifest = splits.read_manifest(output_dir, split)
        print(f"{manifest.num_records} records of other folds: {path}")


def _verify_records(
    settings: Settings, split: str, whole: workers.Part | None
) -> None:
    """Checks the records of a split, also against its folders."""
    path = splits.manifest_path(settings.output_dir, split)
    if whole and not splits.has_manifest(settings.output_dir, split):
        print(f"{one_line(path)} is not there yet, no records to check")
        return
    # TensorFlow, which takes seconds to import, decodes what is there.
    from segnet.records.verify import verify_split

    manifest = verify_split(settings.output_dir, split)
    if whole is None:
        print(summary.class_table(manifest.class_names, {split: manifest}))
    elif len(whole.statistics.image_digests) != manifest.num_records:
        raise DataError(
            f"{path}: has {manifest.num_records} records but the folders "
            f"{len(whole.statistics.image_digests)} good pairs; convert again "
            "with --overwrite"
        )
    elif any(
        getattr(manifest, name) not in (value, ())  # () if it is an old one
        for name, value in whole.statistics.fields().items()
    ):
        raise DataError(
            f"{path}: its records are good, but of other pictures or labels "
            "than the folders hold; convert again with --overwrite, or give "
            "the flags that it was converted with"
        )
    print(f"{manifest.num_records} records are good: {one_line(path)}")


def _print_table(
    settings: Settings, wholes: Mapping[str, workers.Part]
) -> None:
    counts = {name: whole.statistics for name, whole in wholes.items()}
    print(summary.class_table(settings.class_names, counts))
