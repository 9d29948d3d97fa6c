"""The importer as a program: what it does with a command line, and prints."""

from __future__ import annotations

import collections
import functools
import os
import pathlib
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence

from segnet import signals
from segnet.annotations.importing.drawing import Rules, import_pictures
from segnet.annotations.importing.formats import FORMATS
from segnet.annotations.importing.name_map import (
    BACKGROUND,
    DROPPED,
    NameMap,
    default_name_map,
)
from segnet.annotations.importing.output import (
    ANNOTATIONS,
    IMAGES,
    NAMES_FILE,
    ImportFolder,
)
from segnet.annotations.importing.settings import Settings, parse_arguments
from segnet.annotations.importing.sources import (
    Picture,
    PictureFinder,
    Source,
)
from segnet.constants import IGNORE_LABEL, is_split_name
from segnet.errors import DataError, UserError, one_line
from segnet.pools import run_jobs
from segnet.progress import Progress, command_line, warn

__all__ = ["import_annotations", "main"]

_INTERRUPTED = 130
_TERMINATED = 143
# Pictures a job: few enough for all processes to end at about the same time.
_JOB_PICTURES = 32
# Splits that the converter divides in one run, in its order.
_SPLITS = ("train", "val", "test")


def main(argv: Sequence[str]) -> int:
    """Runs the tool.

    Args:
      argv: The arguments, the program's name first.

    Returns:
      The exit status: 0 done; 1 bad data or nothing could be written; 2 bad
      flags; 130 interrupted; 143 terminated.
    """
    try:
        settings = parse_arguments(argv)
        with signals.signals_raised():
            import_annotations(settings)
    except UserError as error:
        print(f"import_annotations: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        print("import_annotations: interrupted, nothing kept", file=sys.stderr)
        return _INTERRUPTED
    except signals.Terminated:
        print("import_annotations: terminated, nothing kept", file=sys.stderr)
        return _TERMINATED
    return 0


def import_annotations(settings: Settings) -> None:
    """Imports what a tool wrote, and prints what to do next.

    Raises:
      DataError: Something cannot be used; each thing has been printed.
      RunError: The output cannot be written.
    """
    with (
        signals.signals_held() as check,
        ImportFolder(
            settings.output_dir, overwrite=settings.overwrite
        ) as folder,
    ):
        source = _read(settings)
        check()
        name_map = settings.name_map or _default_name_map(source)
        rules = Rules(
            ids=_find_ids(source, name_map),
            background=_background(source, name_map),
            images_dir=folder.images_dir,
            annotations_dir=folder.annotations_dir,
            link=settings.link,
            max_pixels=settings.max_pixels,
        )
        empty = _take_empty(source, settings)
        named = _named(source)
        _stop_on(source.problems + _import_all(settings, rules, named, check))
        _say_left_aside(settings, source, empty)
        if not named:
            raise DataError(f"{settings.input}: has no labelled picture")
        lists = _lists(source, named)
        folder.commit(name_map.names, lists)
    _print_end(settings, name_map, len(named), lists)


def _read(settings: Settings) -> Source:
    """What the tool wrote."""
    if not settings.input.exists():
        raise DataError(f"{settings.input}: is not there; check --input")
    around = settings.input
    if not around.is_dir():
        around = around.parent
    finder = PictureFinder(settings.images_dir or around)
    source = FORMATS[settings.format](settings.input, finder, settings.options)
    used = {picture.image for picture in source.pictures}
    if source.background:  # else masks are among the pictures
        source.others += [file for file in finder.files if file not in used]
    for note in source.notes:
        print(f"note: {one_line(note)}")
    return source


def _default_name_map(source: Source) -> NameMap:
    try:
        return default_name_map(
            source.names, source.background, source.void_names
        )
    except DataError:
        _stop_on(source.problems)  # which explain it
        raise


def _take_empty(source: Source, settings: Settings) -> list[pathlib.Path]:
    """Takes pictures without objects out, unless they are background."""
    if settings.empty_is_background:
        return []
    empty = [x.image for x in source.pictures if not (x.items or x.mask)]
    source.pictures = [x for x in source.pictures if x.items or x.mask]
    return empty


def _say_left_aside(
    settings: Settings, source: Source, empty: Sequence[pathlib.Path]
) -> None:
    for files, why in (
        (
            empty,
            "without any object; if there is none to be seen, give "
            "--empty_is_background",
        ),
        (source.others, "of which the labels say nothing"),
    ):
        more = f" and {len(files) - 1} more" if len(files) > 1 else ""
        for file in files[:1]:
            message = f"{file}{more}: left out, {why}"
            warn("left_aside", message, settings.silence)


def _find_ids(source: Source, name_map: NameMap) -> dict[str, int]:
    """The class id of each name; those that have none are problems."""
    ids: dict[str, int] = {}
    unknown: dict[str, list[str]] = collections.defaultdict(list)
    for picture in source.pictures:
        names: Iterable[tuple[str, str]] = [
            (item.name, f"{picture.file}: {item.where}")
            for item in picture.items
            if item.name not in ids
        ]
        for name, where in names:
            label = name_map.find(name)
            if label is None:
                unknown[name].append(where)
            else:
                ids[name] = label
        for name in set(picture.mask.names.values()) if picture.mask else ():
            label = name_map.find(name)
            if label is not None:  # others may have no pixel
                ids[name] = label
    for name, places in unknown.items():
        more = f" (and {len(places) - 1} more)" if len(places) > 1 else ""
        source.problems.append(
            f"{places[0]}: the class '{name[:200]}' is not in "
            f"{name_map.source}{more}; add it to a line, or to 'drop: ...'"
        )
    return ids


def _background(source: Source, name_map: NameMap) -> int:
    """The class of what no object covers."""
    found = name_map.find(BACKGROUND)
    if found is None and source.background:
        source.problems.append(
            f"{name_map.source}: has no line for what no object covers; add "
            f"'{BACKGROUND}', or 'void: {BACKGROUND}' to ignore it"
        )
    return IGNORE_LABEL if found in (None, DROPPED) else found


def _named(source: Source) -> list[tuple[str, Picture]]:
    """Each picture with a stem of its own, in the order of these.

    Pictures of one name in several folders get those before their own.
    """
    stems = [each.stem or each.image.stem for each in source.pictures]
    counts = collections.Counter(stems)
    named: dict[str, Picture] = {}
    for stem, picture in zip(stems, source.pictures, strict=True):
        if counts[stem] > 1:
            stem = f"{picture.image.parent.name}_{stem}"
        other = named.setdefault(stem, picture)
        if other is not picture:
            source.problems.append(
                f"{picture.file}: {picture.image} and {other.image} would both "
                f"be called {stem}; rename one, or leave it out"
            )
    return sorted(named.items())


def _stop_on(problems: Sequence[str]) -> None:
    for problem in problems:
        print(f"error: {one_line(problem)}", file=sys.stderr)
    if problems:
        raise DataError(
            f"{len(problems)} error{'s' * (len(problems) > 1)} (above), "
            "nothing was written"
        )


def _import_all(
    settings: Settings,
    rules: Rules,
    named: Sequence[tuple[str, Picture]],
    check: Callable[[], None],
) -> list[str]:
    jobs = [
        named[start : start + _JOB_PICTURES]
        for start in range(0, len(named), _JOB_PICTURES)
    ]
    with Progress(len(named), unit="image", label="import") as progress:

        def advance(count: int) -> None:
            progress.advance(count)
            check()

        found = run_jobs(
            functools.partial(import_pictures, rules),
            jobs,
            max(1, min(settings.num_workers, len(jobs))),
            advance,
        )
    return [problem for problems in found for problem in problems]


def _lists(
    source: Source, named: Sequence[tuple[str, Picture]]
) -> dict[str, list[str]]:
    """The stems of each split that the source speaks of."""
    lists: dict[str, list[str]] = collections.defaultdict(list)
    by_stem = {}
    for stem, picture in named:
        by_stem[picture.stem or picture.image.stem] = stem
        if picture.split:
            lists[picture.split].append(stem)
    for split, stems in source.lists.items():
        found = [by_stem[stem] for stem in stems if stem in by_stem]
        if found and is_split_name(split):
            lists[split] = found
    return lists


def _print_end(
    settings: Settings,
    name_map: NameMap,
    count: int,
    lists: Mapping[str, Sequence[str]],
) -> None:
    output = settings.output_dir
    print(
        f"{count} image{'s' * (count != 1)}, {len(name_map.names)} classes: "
        f"{one_line(output)}"
    )
    if lists:
        counted = [f"{name} {len(stems)}" for name, stems in lists.items()]
        print(f"splits: {one_line(', '.join(counted))}")
    print(f"next: {_converter_command(output, name_map, lists)}")


def _converter_command(
    output: str, name_map: NameMap, lists: Mapping[str, Sequence[str]]
) -> str:
    splits = [name for name in _SPLITS if lists.get(name)]
    if splits:
        files = [os.path.join(output, f"{name}.txt") for name in splits]
        divided = [
            f"--split={','.join(splits)}",
            f"--list_file={','.join(files)}",
        ]
    else:
        divided = ["--split=train,val", "--val_fraction=0.2"]
    return command_line(
        "tools/convert_to_tfrecord.py",
        *divided,
        f"--images_dir={os.path.join(output, IMAGES)}",
        f"--annotations_dir={os.path.join(output, ANNOTATIONS)}",
        "--output_dir=data/records",
        f"--num_classes={len(name_map.names)}",
        f"--class_names={os.path.join(output, NAMES_FILE)}",
        f"--void_labels={IGNORE_LABEL}",
    )
