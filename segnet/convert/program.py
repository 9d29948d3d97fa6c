"""The converter as a program: what it does with a command line, and prints."""

from __future__ import annotations

import pathlib
import sys
import time
from collections.abc import Callable, Sequence

from segnet import environment, signals
from segnet.convert import conversion, flags, pairs, split_writer, workers
from segnet.convert.flags import Settings
from segnet.errors import DataError, UserError
from segnet.progress import Progress
from segnet.records import splits
from segnet.records.manifest import Manifest, Statistics

__all__ = ["convert", "main", "verify"]

_INTERRUPTED = 130
_TERMINATED = 143
_KEPT = "nothing kept but what was complete"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the tool.

    Args:
      argv: The arguments, the program's name first; None takes the process's.

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


def convert(settings: Settings) -> Manifest:
    """Converts a split and prints what it holds.

    Raises:
      DataError: Folders, pairs or the output's state do not allow it; each
        bad file has been printed.
      RunError: The output cannot be written.
    """
    started = time.monotonic()
    folders = _find(settings)
    total_bytes = sum(map(_size, folders.pairs))
    num_shards = settings.num_shards or split_writer.default_num_shards(
        total_bytes, len(folders.pairs)
    )
    with (
        signals.signals_held() as check,
        split_writer.SplitWriter(
            settings.output_dir,
            settings.split,
            overwrite=settings.overwrite,
            check=check,
        ) as writer,
    ):
        results = _process(settings, folders, num_shards, writer, check)
        problems = _problems(folders, results)
        _report(settings, folders, problems)
        statistics = Statistics(settings.num_classes)
        for result in results:
            statistics.merge(result.statistics)
        manifest = writer.commit(
            [result.file for result in results if result.file],
            num_shards=num_shards,
            class_names=settings.class_names,
            skipped=[_entry(problem) for problem in problems],
            statistics=statistics.fields(),
        )
    _summarise(settings, manifest, time.monotonic() - started)
    return manifest


def _size(pair: pairs.Pair) -> int:
    """Bytes of an image; one that has vanished is told of when it is read."""
    try:
        return pair.image.stat().st_size
    except OSError:
        return 0


def verify(settings: Settings) -> None:
    """Checks input folders and existing records; writes nothing.

    Raises:
      DataError: Something is wrong; each bad file has been printed.
    """
    num_pairs = None
    if settings.images_dir:
        folders = _find(settings)
        results = _process(settings, folders, settings.num_workers)
        problems = _problems(folders, results)
        _report(settings, folders, problems)
        bad = {pathlib.Path(problem.file).stem for problem in problems}
        num_pairs = sum(pair.image.stem not in bad for pair in folders.pairs)
        print(f"{num_pairs} pairs are good")
    if not settings.output_dir:
        return
    path = splits.manifest_path(settings.output_dir, settings.split)
    there = splits.has_manifest(settings.output_dir, settings.split)
    if num_pairs is not None and not there:
        print(f"{path} is not there yet, no records to check")
        return
    # TensorFlow, which takes seconds to import, decodes what is there.
    from segnet.records.verify import verify_split

    manifest = verify_split(settings.output_dir, settings.split)
    if num_pairs not in (None, manifest.num_records):
        raise DataError(
            f"{path}: has {manifest.num_records} records but the folders "
            f"{num_pairs} good pairs; convert again with --overwrite"
        )
    print(f"{manifest.num_records} records are good: {path}")


def _find(settings: Settings) -> pairs.Folders:
    """Pairs the files and says what is left aside."""
    folders = pairs.find_pairs(settings.images_dir, settings.annotations_dir)
    if folders.ignored:
        names = ", ".join(folders.ignored[:5])
        more = ", ..." if len(folders.ignored) > 5 else ""
        print(f"ignored {len(folders.ignored)} other files: {names}{more}")
    dead = [x for x in settings.void_labels if x < settings.num_classes]
    if dead:
        print(
            f"note: void label {dead[0]} is below --num_classes="
            f"{settings.num_classes}, so this class will have no pixels"
        )
    return folders


def _process(
    settings: Settings,
    folders: pairs.Folders,
    num_shards: int,
    writer: split_writer.SplitWriter | None = None,
    check: Callable[[], None] = lambda: None,
) -> list[workers.Part]:
    """Converts all pairs, or checks them if the output can be of no use.

    `check` is called now and then, and may raise.
    """
    rules = conversion.Rules(
        num_classes=settings.num_classes,
        void_labels=settings.void_labels,
        annotation_mode=settings.annotation_mode,
        resize=settings.resize,
        skip_invalid=settings.skip_invalid,
    )
    if folders.problems and not settings.skip_invalid:
        writer = None
    num_workers = max(1, min(settings.num_workers, len(folders.pairs)))
    parts = workers.split_parts(
        folders.pairs, max(1, min(num_shards, len(folders.pairs))), num_workers
    )
    paths = [
        writer.part_path(index) if writer else "" for index in range(len(parts))
    ]
    with Progress(
        len(folders.pairs), unit="image", label="convert" if writer else "check"
    ) as progress:

        def advance(count: int) -> None:
            progress.advance(count)
            check()

        return workers.convert_parts(parts, paths, rules, num_workers, advance)


def _problems(
    folders: pairs.Folders, results: Sequence[workers.Part]
) -> list[pairs.Problem]:
    """All problems, in the order of the folders."""
    return sum((result.problems for result in results), [*folders.problems])


def _report(
    settings: Settings,
    folders: pairs.Folders,
    problems: Sequence[pairs.Problem],
) -> None:
    """Prints every problem; raises unless they are to be skipped."""
    skip = settings.skip_invalid
    for problem in problems:
        print(f"{'skipped' if skip else 'error'}: {problem.message}",
              file=sys.stderr)  # fmt: skip
    bad = {problem.file for problem in problems}
    good = any(
        bad.isdisjoint((str(pair.image), str(pair.annotation)))
        for pair in folders.pairs
    )
    if problems and not skip:
        raise DataError(
            f"{len(problems)} error{'s' if len(problems) > 1 else ''} (above), "
            "nothing was written; correct the files or give --skip_invalid to "
            "leave them out"
        )
    if not good:
        raise DataError(
            f"no good pair in {settings.images_dir} and "
            f"{settings.annotations_dir}, nothing was written"
        )


def _entry(problem: pairs.Problem) -> dict[str, str]:
    """For the manifest: FOLDER/NAME, wherever the folders lie."""
    name = "/".join(pathlib.Path(problem.file).parts[-2:])
    reason = problem.message.removeprefix(f"{problem.file}: ")
    return {"file": name, "reason": reason}


def _summarise(settings: Settings, manifest: Manifest, seconds: float) -> None:
    size = sum(shard.bytes for shard in manifest.shards) / 1e6
    total = max(sum(manifest.pixel_counts) + manifest.ignored_pixels, 1)
    width = max(len("ignored"), *map(len, manifest.class_names))
    print(f"{'class':{width}}   pixels   images")
    for name, pixels, images in zip(
        manifest.class_names,
        manifest.pixel_counts,
        manifest.present_images,
        strict=True,
    ):
        print(f"{name:{width}} {pixels / total:8.2%} {images:8}")
    print(f"{'ignored':{width}} {manifest.ignored_pixels / total:8.2%}")
    print(
        f"{manifest.split}: {manifest.num_records} images in "
        f"{len(manifest.shards)} shards, {size:.1f} MB, {seconds:.1f} s: "
        f"{settings.output_dir}"
    )
    if manifest.skipped:
        print(f"left out: {len(manifest.skipped)} files, listed above")
    missing = [
        split
        for split in ("train", "val")
        if not splits.has_manifest(settings.output_dir, split)
    ]
    if missing:
        print(f"next: convert the other split with --split={missing[0]}")
    else:
        print(
            f"next: python main.py --data_dir={settings.output_dir} "
            "--workdir=run"
        )
