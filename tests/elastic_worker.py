"""main.py that is killed again and again; run by runtime/test_elastic.py.

horovodrun ... python tests/elastic_worker.py FOLDER --elastic [flags]
Of two workers, one dies at the moment that the next of `KILLS` names. Where
that worker's host is not to return at once, it is struck off
FOLDER/hosts.txt, and the one that is then alone puts it back once it has
evaluated alone. Each kill leaves a file FOLDER/kill-NUMBER, each evaluation a
line `workers images` in FOLDER/evaluations.txt.
"""

from __future__ import annotations

import dataclasses
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import main

HOSTS = ("localhost", "127.0.0.1")
# Seconds that the one left alone waits for the other: the launcher keeps a
# host off its list for up to 4 of them.
_MAX_WAIT_SECS = 60


@dataclasses.dataclass(frozen=True)
class Kill:
    """A worker's end.

    Attributes:
      moment: `joining` (both get equal variables), `step`, `evaluation` (an
        image is scored), `saving` (a checkpoint is written) or `commit`.
      rank: Of the worker.
      count: At the moment of this number, from 1, since both are there.
      delay_ms: Milliseconds from there.
      returns: Whether its host may be used again at once.
    """

    moment: str
    rank: int
    count: int
    delay_ms: int
    returns: bool


def draw_kills(seed: int) -> list[Kill]:
    """20 ends at random; the same ones for a seed."""
    generator = random.Random(seed)
    # How often, and within how many such moments.
    limits = {
        "step": (8, 8),
        "evaluation": (5, 4),
        "saving": (4, 2),
        "commit": (1, 3),
        "joining": (2, 1),
    }
    kills = [
        Kill(
            moment,
            # Rank 0 alone saves.
            rank=0 if moment == "saving" else generator.randrange(2),
            count=generator.randint(1, limit),
            delay_ms=generator.choice((0, generator.randrange(60))),
            returns=generator.random() < 0.7,
        )
        for moment, (number, limit) in limits.items()
        for _ in range(number)
    ]
    generator.shuffle(kills)
    return kills


KILLS = draw_kills(seed=12)


def write_hosts(folder: Path, hosts: tuple[str, ...]) -> None:
    """Says which hosts there are, one worker each."""
    aside = folder / f"hosts-{os.getpid()}.tmp"
    aside.write_text("".join(f"{host}:1\n" for host in hosts))
    aside.replace(folder / "hosts.txt")


class Killer:
    """Ends this process when its moment has come."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._kill: Kill | None = None
        self._number = 0
        self._seen = 0
        self._all_hosts = (folder / "hosts.txt").read_text().count(":") == 2
        # The launcher has another host.
        self._hosts_updated = threading.Event()

    def install(self) -> None:
        """Has the functions in which the moments are note them."""
        import tensorflow as tf
        from horovod.common.elastic import State

        from segnet.evaluation import metrics
        from segnet.runtime import distributed

        self._size, self._rank = distributed.size, distributed.rank
        _call_before(distributed, "broadcast_variables", self._joined)
        _call_before(distributed, "broadcast_json", lambda: self._at("commit"))
        _call_before(
            metrics, "confusion_matrix", lambda: self._at("evaluation")
        )
        _call_before(tf.train.Checkpoint, "write", lambda: self._at("saving"))
        _call_before(State, "on_hosts_updated", self._hosts_updated.set)
        reduce_array = distributed.allreduce_array

        def counting(array: Any, name: str) -> Any:
            total = reduce_array(array, name)
            if name == "images":
                self._evaluated(int(total[0]))
            return total

        distributed.allreduce_array = counting

    def after_step(self, step: int) -> None:
        """To be called after each step; alone, waits for the other worker."""
        self._at("step")
        more = self._all_hosts and self._num_kills() < len(KILLS)
        if more and self._size() == 1:
            self._hosts_updated.wait(_MAX_WAIT_SECS)

    def _num_kills(self) -> int:
        return len(list(self._folder.glob("kill-*")))

    def _joined(self) -> None:
        """Looks up how this process is to end, if it is one of two."""
        self._number, self._seen, self._kill = self._num_kills(), 0, None
        self._hosts_updated.clear()
        hosts = (self._folder / "hosts.txt").read_text()
        self._all_hosts = hosts.count(":") == len(HOSTS)
        if self._size() == 2 and self._number < len(KILLS):
            kill = KILLS[self._number]
            if kill.rank == self._rank():
                self._kill = kill
        self._at("joining")

    def _evaluated(self, images: int) -> None:
        if self._rank() == 0:
            with (self._folder / "evaluations.txt").open("a") as file:
                file.write(f"{self._size()} {images}\n")
        if self._size() == 1:
            write_hosts(self._folder, HOSTS)
            self._all_hosts = True

    def _at(self, moment: str) -> None:
        """Notes a moment; some are noted by several threads."""
        with self._lock:
            kill = self._kill
            if kill is None or kill.moment != moment:
                return
            self._seen += 1
            if self._seen < kill.count:
                return
            self._kill = None
        if kill.delay_ms:
            threading.Thread(target=self._die, args=[kill], daemon=True).start()
        else:
            self._die(kill)

    def _die(self, kill: Kill) -> None:
        time.sleep(kill.delay_ms / 1000)
        if not kill.returns:
            own = os.environ["HOROVOD_HOSTNAME"]
            write_hosts(
                self._folder, tuple(host for host in HOSTS if host != own)
            )
        (self._folder / f"kill-{self._number}").touch()
        os.kill(os.getpid(), signal.SIGKILL)


def _call_before(owner: Any, name: str, call: Callable[[], None]) -> None:
    """Has a function of a module or class call another one first."""
    function = getattr(owner, name)

    def both(*arguments: Any, **options: Any) -> Any:
        call()
        return function(*arguments, **options)

    setattr(owner, name, both)


if __name__ == "__main__":
    from segnet.runtime.device import quiet_tensorflow

    quiet_tensorflow()
    killer = Killer(Path(sys.argv[1]))
    killer.install()
    sys.exit(
        main.main(["main.py", *sys.argv[2:]], after_step=killer.after_step)
    )
