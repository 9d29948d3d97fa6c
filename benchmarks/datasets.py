"""What the benchmarks read: CamVid if it is there, else drawn scenes."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

__all__ = ["Dataset", "draw_scenes", "open_camvid"]

_ROOT = Path(__file__).resolve().parents[1]


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Folders of pairs and the shards made of them.

    Attributes:
      name: For people.
      folder: Holds `train/images`, `train/annotations` and the same of `val`.
      records: Folder of the shards.
      num_classes: Classes.
      void_labels: As the converter's flag.
    """

    name: str
    folder: str
    records: str
    num_classes: int
    void_labels: str

    @property
    def train_folders(self) -> dict[str, str]:
        """Settings of contenders that read the training pairs."""
        return {
            "images_dir": f"{self.folder}/train/images",
            "annotations_dir": f"{self.folder}/train/annotations",
        }

    @property
    def val_images(self) -> str:
        """Folder of the evaluation images."""
        return f"{self.folder}/val/images"


def open_camvid(folder: Path, target: Path) -> Dataset:
    """CamVid in the folders of the SegNet tutorial, 11 classes and void.

    Args:
      folder: Holds `train/images` and so on.
      target: Where the shards go.
    """
    data = Dataset("CamVid", str(folder), str(target / "records"), 11, "11")
    _convert(data)
    return data


def draw_scenes(
    target: Path, *, num_train: int, num_val: int, height: int, width: int
) -> Dataset:
    """Drawn street scenes.

    Args:
      target: Where scenes and shards go.
      num_train: Pairs to train with.
      num_val: Pairs to evaluate with.
      height: Pixels.
      width: Pixels.
    """
    _call(
        "make_sample_dataset.py",
        f"--output_dir={target / 'scenes'}",
        f"--num_train={num_train}",
        f"--num_val={num_val}",
        f"--height={height}",
        f"--width={width}",
    )
    folder, shards = str(target / "scenes"), str(target / "records")
    data = Dataset("drawn scenes", folder, shards, 9, "9")
    _convert(data)
    return data


def _convert(data: Dataset) -> None:
    """Packs both splits into shards."""
    for split in ("train", "val"):
        _call(
            "convert_to_tfrecord.py",
            f"--images_dir={data.folder}/{split}/images",
            f"--annotations_dir={data.folder}/{split}/annotations",
            f"--output_dir={data.records}",
            f"--split={split}",
            f"--num_classes={data.num_classes}",
            f"--void_labels={data.void_labels}",
        )


def _call(program: str, *arguments: str) -> None:
    command = [sys.executable, str(_ROOT / "tools" / program), *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
