"""main.py whose worker on 127.0.0.1 dies once; run by test_elastic.py.

horovodrun ... python tests/elastic_worker.py NOTE --elastic [flags of main.py]
The worker writes the file NOTE and kills itself in the middle of an epoch.
The one that is then alone takes its time, so that there is something left to
do when the other one comes back.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import main

KILLED_AFTER_STEPS = 9
_SECS_A_STEP_ALONE = 0.5


def install(note: Path) -> None:
    """Makes the loop over steps die once, and slow where it is alone."""
    from segnet.runtime import distributed
    from segnet.training import trainer

    after_step = trainer.Trainer._after_step

    def killed_or_slow(self: trainer.Trainer, stage: Any) -> None:
        dies = os.environ["HOROVOD_HOSTNAME"] == "127.0.0.1"
        if dies and self.step == KILLED_AFTER_STEPS and not note.exists():
            note.write_text("killed")
            os.kill(os.getpid(), signal.SIGKILL)
        if distributed.size() == 1:
            time.sleep(_SECS_A_STEP_ALONE)
        after_step(self, stage)

    trainer.Trainer._after_step = killed_or_slow


if __name__ == "__main__":
    install(Path(sys.argv[1]))
    sys.exit(main.main(["main.py", *sys.argv[2:]]))
