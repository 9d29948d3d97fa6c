"""What the converter prints about a split: its classes, and what comes next."""

from __future__ import annotations

from collections.abc import Sequence

from segnet.errors import one_line
from segnet.progress import command_line, project_path
from segnet.records import splits
from segnet.records.manifest import Manifest

__all__ = ["class_table", "closing_line", "next_step"]


def class_table(
    class_names: Sequence[str],
    pixel_counts: Sequence[int],
    present_images: Sequence[int],
    ignored_pixels: int,
) -> str:
    """The share of each class in the pixels, and the images that have it.

    Args:
      class_names: One for each class.
      pixel_counts: Likewise.
      present_images: Likewise.
      ignored_pixels: Of no class.
    """
    class_names = [one_line(name) for name in class_names]
    total = max(sum(pixel_counts) + ignored_pixels, 1)
    width = max(len("ignored"), *map(len, class_names))
    lines = [f"{'class':{width}}   pixels   images"]
    lines += [
        f"{name:{width}} {pixels / total:8.2%} {images:8}"
        for name, pixels, images in zip(
            class_names, pixel_counts, present_images, strict=True
        )
    ]
    lines.append(f"{'ignored':{width}} {ignored_pixels / total:8.2%}")
    return "\n".join(lines)


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


def next_step(output_dir: str) -> str:
    """What to do once a split is written; a command can be pasted."""
    for split in ("train", "val"):
        if not splits.has_manifest(output_dir, split):
            return f"next: convert the other split with --split={split}"
    command = command_line(
        "main.py",
        f"--flagfile={project_path('configs/own.flags')}",
        f"--data_dir={output_dir}",
        "--workdir=runs/first",
    )
    return f"next: {command}"
