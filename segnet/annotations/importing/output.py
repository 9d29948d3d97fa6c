"""The folder that an import writes: aside first, then renamed, a list last."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
from collections.abc import Mapping, Sequence

from segnet import locks
from segnet.constants import is_split_name
from segnet.errors import DataError
from segnet.files import read_text, write_errors, write_text
from segnet.json_text import parse_json

__all__ = ["ANNOTATIONS", "CONTENTS", "IMAGES", "NAMES_FILE", "ImportFolder"]

IMAGES, ANNOTATIONS = "images", "annotations"
NAMES_FILE = "class_names.txt"
# Says what is in the folder; it is written last and removed first.
CONTENTS = "import.json"


class ImportFolder:
    """Writes two folders and some texts; only `commit` makes them appear.

    Use it as a context. Leaving it without `commit` removes what was written;
    what a killed process left is removed by the next one. A lock keeps a second
    process out. Signals are to be held back (`signals.signals_held`).
    """

    def __init__(self, folder: str, *, overwrite: bool = False) -> None:
        """Prepares the folder.

        Args:
          folder: Made if need be.
          overwrite: Whether an earlier import in it may be replaced.

        Raises:
          DataError: Something is there that may not be replaced.
          RunError: It cannot be written, or another import is writing it.
        """
        self._folder = pathlib.Path(folder)
        self._aside = self._folder / ".import.tmp"
        self._lock = locks.Lock(
            str(self._folder / ".import.lock"),
            f"{folder}: another import into this folder is running",
            "wait for it, stop it, or give another --output_dir",
        )
        with write_errors(folder):
            self._check(overwrite)
            self._lock.acquire()
            try:
                self._check(overwrite)  # what another one has just written
                if self._aside.exists():
                    shutil.rmtree(self._aside)
                for name in (IMAGES, ANNOTATIONS):
                    (self._aside / name).mkdir(parents=True)
            except BaseException:
                self._lock.release()
                raise

    def __enter__(self) -> ImportFolder:
        """Gives the folder."""
        return self

    def __exit__(self, *unused: object) -> None:
        """Removes what was not committed, then leaves the lock."""
        try:
            with write_errors(str(self._folder)):
                if self._aside.exists():
                    shutil.rmtree(self._aside)
        finally:
            self._lock.release()

    @property
    def images_dir(self) -> pathlib.Path:
        """Where images are to be written."""
        return self._aside / IMAGES

    @property
    def annotations_dir(self) -> pathlib.Path:
        """Where annotations are to be written."""
        return self._aside / ANNOTATIONS

    def commit(
        self, class_names: Sequence[str], lists: Mapping[str, Sequence[str]]
    ) -> None:
        """Puts everything in place; an earlier import goes.

        Args:
          class_names: In the order of the ids.
          lists: Stems of each split.

        Raises:
          RunError: Something cannot be written.
        """
        texts = {NAMES_FILE: class_names}
        texts |= {f"{split}.txt": stems for split, stems in lists.items()}
        for name, lines in texts.items():
            write_text(
                str(self._aside / name), "".join(f"{x}\n" for x in lines)
            )
        contents = [IMAGES, ANNOTATIONS, *texts]
        with write_errors(str(self._folder)):
            old = self._contents()
            (self._folder / CONTENTS).unlink(missing_ok=True)
            for name in old:
                _remove(self._folder / name)
            for name in contents:
                os.rename(self._aside / name, self._folder / name)
        text = json.dumps({"written": contents}, indent=2, ensure_ascii=False)
        write_text(str(self._folder / CONTENTS), f"{text}\n")

    def _check(self, overwrite: bool) -> None:
        """Refuses a folder with anything that is not to be replaced."""
        if not self._folder.exists():
            return
        own = self._contents()
        there = sorted(
            name
            for name in os.listdir(self._folder)
            if not name.startswith(".import.") and name != CONTENTS
        )
        if own and not overwrite:
            raise DataError(
                f"{self._folder}: has an import already; give --overwrite to "
                "replace it, or another --output_dir"
            )
        if others := [name for name in there if name not in own]:
            raise DataError(
                f"{self._folder}: has {others[0]}, which no import wrote; give "
                "an empty or a new folder as --output_dir"
            )

    def _contents(self) -> list[str]:
        """Names of what an earlier import wrote; nothing if there is none."""
        path = self._folder / CONTENTS
        if not path.exists():
            return []
        try:
            found = parse_json(read_text(path))["written"]
            if all(_is_ours(name) for name in found):
                return found
        except (ValueError, KeyError, TypeError):
            pass
        raise DataError(
            f"{path}: does not say what an import wrote here; give another "
            "--output_dir"
        )


def _is_ours(name: object) -> bool:
    """Whether an import writes files or folders of this name."""
    return isinstance(name, str) and (
        name in (IMAGES, ANNOTATIONS)
        or (name.endswith(".txt") and is_split_name(name))
    )


def _remove(path: pathlib.Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
