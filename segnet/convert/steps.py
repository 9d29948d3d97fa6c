"""The steps of a conversion: finding, processing, reporting, judging."""

from __future__ import annotations

import functools
import pathlib
import sys
from collections.abc import Callable, Collection, Mapping, Sequence

from segnet.convert import conversion, folds, pairs, split_writer, workers
from segnet.convert.flags import Settings
from segnet.convert.pairs import Pair, Problem
from segnet.errors import DataError, one_line
from segnet.progress import Progress, warn
from segnet.records import plausibility

__all__ = [
    "check_splits",
    "find",
    "merge",
    "num_shards",
    "other_splits",
    "process",
    "report",
    "skipped_entry",
]


def num_shards(settings: Settings, chosen: Sequence[Pair]) -> int:
    """How many shards a split of these pairs gets."""
    return settings.num_shards or split_writer.default_num_shards(
        sum(map(_size, chosen)), len(chosen)
    )


def _size(pair: Pair) -> int:
    """Bytes of an image; one that has vanished is told of when it is read."""
    try:
        return pair.image.stat().st_size
    except OSError:
        return 0


def find(settings: Settings) -> pairs.Folders:
    """Pairs the files and says what is left aside."""
    folders = pairs.find_pairs(
        settings.images_dir, settings.annotations_dir, settings.list_files
    )
    for line in folders.left_aside:
        warn("left_aside", line, settings.silence)
    for label in _voided(settings)[:1]:
        print(
            f"note: void label {label} is below --num_classes="
            f"{settings.num_classes}, so this class will have no pixels"
        )
    return folders


def _voided(settings: Settings) -> list[int]:
    """Classes that `--void_labels` takes all pixels from."""
    if settings.label_map and settings.annotation_mode != "color":
        return []  # there they are values of the files
    return [x for x in settings.void_labels if x < settings.num_classes]


def process(
    settings: Settings,
    folders: pairs.Folders,
    chosen: Sequence[Pair],
    writer: split_writer.SplitWriter | None = None,
    check: Callable[[], None] = lambda: None,
) -> list[workers.Part]:
    """Converts pairs, or checks them if the output can be of no use.

    `check` is called now and then, and may raise.
    """
    rules = conversion.Rules(
        num_classes=settings.num_classes,
        void_labels=settings.void_labels,
        annotation_mode=settings.annotation_mode,
        label_map=settings.label_map,
        resize=settings.resize,
        skip_invalid=settings.skip_invalid,
        max_pixels=settings.max_pixels,
        bit_depth=settings.bit_depth,
    )
    place = writer
    if folders.problems and not settings.skip_invalid:
        writer = None
    num_workers = max(1, min(settings.num_workers, len(chosen)))
    wanted = num_shards(settings, chosen) if writer else settings.num_workers
    parts = workers.split_parts(
        chosen, max(1, min(wanted, len(chosen))), num_workers
    )
    paths = [
        writer.part_path(index) if writer else "" for index in range(len(parts))
    ]
    convert_parts = _parts_converter(settings, place, len(parts))
    with Progress(
        len(chosen), unit="image", label="convert" if writer else "check"
    ) as progress:

        def advance(count: int) -> None:
            progress.advance(count)
            check()

        return convert_parts(parts, paths, rules, num_workers, advance)


def _parts_converter(
    settings: Settings, place: split_writer.SplitWriter | None, count: int
) -> Callable[..., list[workers.Part]]:
    """What takes the arguments of `workers.convert_parts`, here or on Beam."""
    if settings.runner is None or place is None:
        return workers.convert_parts
    from segnet.convert import beam_run

    results = [f"{place.part_path(index)}.json" for index in range(count)]
    return functools.partial(beam_run.convert_parts, settings.runner, results)


def merge(
    settings: Settings, parts: Mapping[str, Sequence[workers.Part]]
) -> dict[str, workers.Part]:
    """All parts of each split as one."""
    return {
        name: workers.merge_parts(each, settings.num_classes)
        for name, each in parts.items()
    }


def report(
    settings: Settings,
    folders: pairs.Folders,
    wholes: Mapping[str, workers.Part],
) -> None:
    """Prints every problem; raises unless they are to be skipped."""
    skip = settings.skip_invalid
    found = [x for whole in wholes.values() for x in whole.problems]
    # In the order of the pairs, not split by split.
    problems = [*folders.problems, *sorted(found, key=lambda x: x.file)]
    for problem in problems:
        kind = "skipped" if skip else "error"
        print(f"{kind}: {one_line(problem.message)}", file=sys.stderr)
    if problems and not skip:
        raise DataError(
            f"{len(problems)} error{'s' if len(problems) > 1 else ''} (above), "
            "nothing was written; correct the files or give --skip_invalid to "
            "leave them out"
        )
    for name, whole in wholes.items():
        if not whole.statistics.image_digests:
            raise DataError(
                f"no good pair in {settings.images_dir} and "
                f"{settings.annotations_dir}{f' for {name}' * bool(name)}, "
                "nothing was written"
            )


def other_splits(settings: Settings) -> list[plausibility.SplitFacts]:
    """The splits in the output folder that are not about to be replaced.

    Those whose records are those of others are left out.
    """
    found = plausibility.other_splits(
        settings.output_dir, settings.choice.splits
    )
    return [each for each in found if not folds.is_training_split(each.split)]


def check_splits(
    settings: Settings,
    divided: Mapping[str, Sequence[Pair]],
    wholes: Mapping[str, workers.Part],
    others: Sequence[plausibility.SplitFacts],
) -> None:
    """Refuses splits that cannot be right, and warns of what is odd.

    Args:
      settings: What to do.
      divided: The pairs of each split.
      wholes: What became of them.
      others: The splits that are there already.

    Raises:
      DataError: Colours clash, or a split has no labelled pixel.
    """
    voided = [settings.class_names[label] for label in _voided(settings)]
    facts = {
        name: _facts(settings, name, whole) for name, whole in wholes.items()
    }
    for name, whole in wholes.items():
        if settings.annotation_mode == "blue":
            whole.colours.check_blue()
        plausibility.check_labelled(facts[name])
    for name, whole in wholes.items():
        total = len(facts[name].image_digests)
        for note in whole.findings.notes(total, settings.bit_depth):
            print(f"note: {one_line(note)}")
        beside = [*others, *(facts[x] for x in facts if x != name)]
        found = [
            *whole.findings.warnings(total),
            *whole.colours.index_warnings(),
            *plausibility.one_class(facts[name]),
            *plausibility.unused_classes(facts[name], beside, voided),
        ]
        files = _files(divided[name], whole)
        for other in _compared(settings, facts, name, others):
            found += plausibility.split_classes(facts[name], other)
            # A split such as trainval or train_small is meant to share them.
            if not (name in other.split or other.split in name):
                found += plausibility.shared_images(facts[name], other, files)
        for kind, message in found:
            warn(kind, message, settings.silence)


def _compared(
    settings: Settings,
    facts: Mapping[str, plausibility.SplitFacts],
    name: str,
    others: Sequence[plausibility.SplitFacts],
) -> list[plausibility.SplitFacts]:
    """What a new split is compared with; a fold with all the others."""
    names = list(facts)
    number = names.index(name)
    if settings.choice.num_folds:
        rest = [facts[each] for each in names if each != name]
        return [plausibility.joined(folds.training_split(number), rest)]
    return [*others, *(facts[each] for each in names[:number])]


def _facts(
    settings: Settings, name: str, whole: workers.Part
) -> plausibility.SplitFacts:
    return plausibility.SplitFacts(
        name,
        settings.class_names,
        tuple(whole.statistics.pixel_counts),
        tuple(whole.statistics.image_digests),
    )


def _files(chosen: Collection[Pair], whole: workers.Part) -> dict[str, str]:
    """An image file for each digest."""
    bad = {problem.file for problem in whole.problems}
    good = [
        str(pair.image)
        for pair in chosen
        if bad.isdisjoint((str(pair.image), str(pair.annotation)))
    ]
    return dict(zip(whole.statistics.image_digests, good, strict=True))


def skipped_entry(problem: Problem) -> dict[str, str]:
    """For the manifest: FOLDER/NAME, wherever the folders lie."""
    name = "/".join(pathlib.Path(problem.file).parts[-2:])
    file = one_line(problem.file)
    reason = one_line(problem.message).removeprefix(f"{file}: ")
    return {"file": name, "reason": reason}
