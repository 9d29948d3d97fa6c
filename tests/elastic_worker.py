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

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import main

KILLED_AFTER_STEPS = 9
_SECS_A_STEP_ALONE = 0.5


def die_or_wait(step: int) -> None:
    """Dies once, and is slow where it is alone."""
    from segnet.runtime import distributed

    note = Path(sys.argv[1])
    dies = os.environ["HOROVOD_HOSTNAME"] == "127.0.0.1"
    if dies and step == KILLED_AFTER_STEPS and not note.exists():
        note.write_text("killed")
        os.kill(os.getpid(), signal.SIGKILL)
    if distributed.size() == 1:
        time.sleep(_SECS_A_STEP_ALONE)


if __name__ == "__main__":
    sys.exit(main.main(["main.py", *sys.argv[2:]], after_step=die_or_wait))
