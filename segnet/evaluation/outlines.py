"""Polygons of predictions, written while pictures are labelled."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Sequence

import numpy as np

from segnet.constants import MAX_PIXELS
from segnet.errors import DataError
from segnet.evaluation import polygon_files, results
from segnet.evaluation.inputs import Source
from segnet.evaluation.polygons import find_polygons
from segnet.files import write_bytes

__all__ = ["Outcome", "Outlines", "finish"]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of a prediction.

    Attributes:
      images: Pictures that were labelled.
      frames: Frames of films that were.
      problems: One line for each that was not, and for a file of all pictures
        that could not be written.
    """

    images: int
    frames: int
    problems: list[str]


class Outlines:
    """Writes the polygons of each picture in one format.

    Its methods may be called from several threads.
    """

    def __init__(
        self,
        output_dir: str,
        class_names: tuple[str, ...],
        options: results.Options,
    ) -> None:
        """Has seen nothing yet.

        Args:
          output_dir: Folder of the results.
          class_names: One for each class.
          options: Which format, if any, and how exactly.
        """
        self._output_dir, self._names = output_dir, class_names
        self._kind = options.polygons
        self._tolerance = options.polygon_tolerance
        self._pictures: dict[str, tuple] = {}
        self._lock = threading.Lock()

    def __bool__(self) -> bool:
        """Whether any polygons are wanted."""
        return bool(self._kind)

    def targets(self, source: Source) -> list[str]:
        """The files of a picture alone."""
        ending = polygon_files.ENDINGS.get(self._kind)
        if ending is None:
            return []
        return [results.result_path(self._output_dir, source.name, ending)]

    def check_size(self, source: Source, num_pixels: int) -> None:
        """Refuses what takes more memory than whole pictures do.

        Raises:
          DataError: The picture has more pixels.
        """
        if self and num_pixels > MAX_PIXELS:
            raise DataError(
                f"{source.path}: has more than {MAX_PIXELS:,} pixels, too many "
                "for polygons; leave --format out"
            )

    def add(self, source: Source, label: np.ndarray) -> None:
        """Writes the polygons of a picture, or keeps them for COCO's file.

        Args:
          source: The picture.
          label: uint8 `[height, width]`.

        Raises:
          RunError: They cannot be written.
        """
        if not self:
            return
        polygons = find_polygons(label, self._tolerance)
        height, width = label.shape
        if self._kind == "coco":
            with self._lock:
                self._pictures[source.file] = (polygons, (height, width))
            return
        (target,) = self.targets(source)
        folder = os.path.dirname(os.path.abspath(target))
        picture = os.path.relpath(os.path.abspath(source.path), folder)
        encode = polygon_files.encode_geojson
        if self._kind == "labelme":
            encode = polygon_files.encode_labelme
        write_bytes(
            target, encode(polygons, (height, width), self._names, picture)
        )

    def finish(self) -> None:
        """Writes the file of all pictures, if the format has one.

        Raises:
          DataError: Another file has its name.
          RunError: It cannot be written.
        """
        if self._kind != "coco":
            return
        path = os.path.join(self._output_dir, polygon_files.COCO_FILE)
        results.check_own(path)
        coco = polygon_files.Coco(self._names)
        for file, (polygons, size) in sorted(self._pictures.items()):
            coco.add(polygons, size, file)
        write_bytes(path, coco.encode())


def finish(
    output_dir: str,
    rows: Sequence[results.Row],
    problems: Sequence[str],
    class_names: tuple[str, ...],
    outlines: Outlines,
) -> Outcome:
    """Writes what is about all pictures.

    Args:
      output_dir: Folder of the results.
      rows: One for each picture and each frame.
      problems: One line for each that was not labelled.
      class_names: One for each class.
      outlines: Of the pictures.

    Raises:
      RunError: A file cannot be written.
    """
    problems = list(problems)
    for write in (
        lambda: results.write_table(output_dir, rows, class_names),
        outlines.finish,
    ):
        try:
            write()
        except DataError as error:
            problems.append(str(error))
    frames = sum(row.is_frame for row in rows)
    return Outcome(len(rows) - frames, frames, problems)
