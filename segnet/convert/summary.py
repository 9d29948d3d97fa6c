"""What the converter prints about a split: its classes, and what comes next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from segnet.errors import one_line
from segnet.progress import command_line, project_path
from segnet.records import splits
from segnet.records.manifest import Manifest

__all__ = ["Counts", "class_table", "closing_line", "next_step"]

# The columns of more splits than these would be wider than most terminals.
_SPLITS_WITH_IMAGES = 3


class Counts(Protocol):
    """What is counted in a split; see `Manifest`."""

    @property
    def pixel_counts(self) -> Sequence[int]:
        """Pixels of each class."""

    @property
    def present_images(self) -> Sequence[int]:
        """For each class, the images that have it."""

    @property
    def ignored_pixels(self) -> int:
        """Pixels of no class."""


def class_table(
    class_names: Sequence[str], counts: Mapping[str, Counts]
) -> str:
    """The share of each class in the pixels, and the images that have it.

    Args:
      class_names: One for each class.
      counts: Of each split, by name. The names are shown if there are several,
        the images if the splits are few.
    """
    class_names = [one_line(name) for name in class_names]
    width = max(len("ignored"), *map(len, class_names))
    with_images = len(counts) <= _SPLITS_WITH_IMAGES
    columns = [_column(each, with_images) for each in counts.values()]
    titles = ["class", *class_names, "ignored"]
    rows = zip(titles, *columns, strict=True)
    lines = [
        f"{title:{width}}{''.join(cells)}".rstrip() for title, *cells in rows
    ]
    if len(counts) > 1:
        wide = len(columns[0][0])
        names = "".join(f" {name[: wide - 1]:>{wide - 1}}" for name in counts)
        lines.insert(0, " " * width + names)
    return "\n".join(lines)


def _column(counts: Counts, with_images: bool) -> list[str]:
    """The cells of a split, with a heading."""
    total = max(sum(counts.pixel_counts) + counts.ignored_pixels, 1)
    cells = [f"{'pixels':>9}"]
    cells += [f"{pixels / total:9.2%}" for pixels in counts.pixel_counts]
    cells.append(f"{counts.ignored_pixels / total:9.2%}")
    if with_images:
        images = ["images", *map(str, counts.present_images), ""]
        cells = [
            f"{cell}{count:>9}"
            for cell, count in zip(cells, images, strict=True)
        ]
    return cells


def closing_line(manifest: Manifest, output_dir: str, seconds: float) -> str:
    """What was written, where, and how long it took."""
    size = sum(shard.bytes for shard in manifest.shards) / 1e6
    images, shards, skipped = (
        f"{count} {unit}{'s' * (count != 1)}"
        for count, unit in (
            (manifest.num_records, "image"),
            (len(manifest.shards), "shard"),
            (len(manifest.skipped), "file"),
        )
    )
    line = (
        f"{manifest.split}: {images} in {shards}, {size:.1f} MB, "
        f"{seconds:.1f} s: {one_line(output_dir)}"
    )
    if manifest.skipped:
        line += f"\nleft out: {skipped}, listed above"
    return line


def next_step(output_dir: str, num_folds: int = 0) -> str:
    """What to do once splits are written; a command can be pasted."""
    if num_folds:
        return f"next: {_train_folds(output_dir, num_folds)}"
    for split in ("train", "val"):
        if not splits.has_manifest(output_dir, split):
            return f"next: convert the other split with --split={split}"
    return f"next: {_train(output_dir)} --workdir=runs/first"


def _train(output_dir: str) -> str:
    return command_line(
        "main.py",
        f"--flagfile={project_path('configs/own.flags')}",
        f"--data_dir={output_dir}",
    )


def _train_folds(output_dir: str, num_folds: int) -> str:
    """Trains and scores one fold after the other, then sums up."""
    numbers = " ".join(map(str, range(num_folds)))
    train = (
        f"{_train(output_dir)} --train_split=fold${{k}}_train "
        "--eval_split=fold${k}_val --workdir=runs/fold$k"
    )
    evaluate = (
        f"{command_line('main.py', '--mode=evaluate')} --workdir=runs/fold$k"
    )
    summarize = command_line("tools/summarize_folds.py")
    folders = " ".join(f"runs/fold{k}" for k in range(num_folds))
    return (
        f"for k in {numbers}; do {train} && {evaluate} || break; done; "
        f"{summarize} {folders}"
    )
