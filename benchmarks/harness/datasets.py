"""What the benchmarks read: CamVid if it is there, else drawn scenes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from benchmarks.harness.programs import run_program

__all__ = ["Dataset", "draw_scenes", "pack_camvid"]


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Folders of pairs and the shards made of them.

    Attributes:
      name: For people.
      folder: Holds `train/images`, `train/annotations` and the same of `val`.
      records: Folder of the shards.
      num_classes: Classes; the void label is the next number.
    """

    name: str
    folder: str
    records: str
    num_classes: int

    def pairs(self, split: str) -> dict[str, str]:
        """The folders of a split, by the names of the converter's flags."""
        return {
            "images_dir": f"{self.folder}/{split}/images",
            "annotations_dir": f"{self.folder}/{split}/annotations",
        }


def pack_camvid(folder: str, target: Path) -> Dataset:
    """Packs CamVid as the SegNet tutorial has it: 11 classes and void."""
    return _convert(Dataset("CamVid", folder, str(target / "records"), 11))


def draw_scenes(
    target: Path, num_train: int, num_val: int, height: int, width: int
) -> Dataset:
    """Draws street scenes of so many pixels into a folder and packs them."""
    folder, records = str(target / "scenes"), str(target / "records")
    run_program(
        "tools/make_sample_dataset.py",
        f"--output_dir={folder}",
        f"--num_train={num_train}",
        f"--num_val={num_val}",
        f"--height={height}",
        f"--width={width}",
    )
    return _convert(Dataset("drawn scenes", folder, records, 9))


def _convert(data: Dataset) -> Dataset:
    """Packs both splits into shards; returns the data set."""
    for split in ("train", "val"):
        run_program(
            "tools/convert_to_tfrecord.py",
            *(f"--{name}={path}" for name, path in data.pairs(split).items()),
            f"--output_dir={data.records}",
            f"--split={split}",
            f"--num_classes={data.num_classes}",
            f"--void_labels={data.num_classes}",
        )
    return data
