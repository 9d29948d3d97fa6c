"""A worker is killed and comes back; the job goes on. Two names, one host."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import elastic_worker
import pytest
from conftest import ROOT, lines, run_flags
from horovod_launcher import HOROVODRUN, needs_horovod

from segnet.errors import ConfigError
from segnet.runtime import elastic

EPOCHS = 12


def test_elastic_needs_an_elastic_launcher():
    with pytest.raises(ConfigError, match="--host-discovery-script"):
        elastic.run_elastic(lambda commit: None, [])


@pytest.mark.dist
@pytest.mark.slow
@needs_horovod
def test_a_killed_worker_comes_back_and_no_epoch_is_lost(data_dir, tmp_path):
    hosts = tmp_path / "hosts.txt"
    hosts.write_text("localhost:1\n127.0.0.1:1\n")
    workdir = tmp_path / "run"
    result = subprocess.run(
        [
            str(HOROVODRUN), "-np", "2", "--min-np", "1", "--max-np", "2",
            "--network-interfaces", "lo",
            "--host-discovery-script", str(ROOT / "tools/discover_hosts.sh"),
            "--blacklist-cooldown-range", "2", "4",
            sys.executable, elastic_worker.__file__, str(tmp_path / "note"),
            *run_flags(data_dir, workdir, f"--epochs={EPOCHS}")[1:],
            "--batch_size=1", "--width_multiplier=0.1", "--elastic",
        ],
        env={**os.environ, "SEGNET_HOSTS": str(hosts)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )  # fmt: skip
    printed = result.stdout + result.stderr
    assert result.returncode == 0, printed
    assert (tmp_path / "note").exists(), printed
    # Two, one of them killed, two again.
    workers = re.findall(r"(\d) worker\(s\)", result.stdout)
    assert workers == ["2", "1", "2"], printed
    # 10 images: 5 steps an epoch with two workers, so the second epoch was
    # cut short; what follows the last commit, after step 8, was done again.
    assert "step 8 of" in printed
    logged = [line["step"] for line in lines(workdir) if "loss" in line]
    assert logged == sorted(set(logged)), printed
    scored = [line for line in lines(workdir) if "val_mean_iou" in line]
    epochs = [line["epoch"] for line in scored]
    assert epochs == list(range(1, EPOCHS + 1)), printed
