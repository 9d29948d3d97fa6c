"""Two processes under horovodrun, on this machine."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
HOROVODRUN = Path(sys.executable).with_name("horovodrun")

needs_horovod = pytest.mark.skipif(
    importlib.util.find_spec("horovod") is None
    and os.environ.get("CI") != "true",
    reason="Horovod is not installed: make setup-horovod",
)
pytestmark = [pytest.mark.dist, needs_horovod]


def run_workers(size, arguments, *, script="tests/dist_worker.py", env=None):
    """Runs a script in `size` processes, or in one without a launcher."""
    command = [sys.executable, str(ROOT / script), *map(str, arguments)]
    if size > 1:
        # Addresses of this machine alone.
        command = [
            str(HOROVODRUN), "-np", str(size), "-H", f"localhost:{size}",
            "--network-interfaces", "lo", *command,
        ]  # fmt: skip
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
        env={**os.environ, **(env or {})},
    )


def flags(data_dir, workdir, *extra):
    return [
        f"--data_dir={data_dir}",
        f"--workdir={workdir}",
        "--input_height=32",
        "--input_width=48",
        "--device=cpu",
        "--precision=float32",
        "--log_every_steps=1",
        *extra,
    ]


def losses(workdir):
    lines = (Path(workdir) / "metrics.jsonl").read_text().splitlines()
    return [line["loss"] for line in map(json.loads, lines) if "loss" in line]


@pytest.fixture(scope="module")
def two_workers(data_dir, tmp_path_factory):
    """Output folder of a run of two workers, and what it printed."""
    output = tmp_path_factory.mktemp("dist")
    result = run_workers(
        2,
        [
            output,
            *flags(
                data_dir,
                output / "run",
                "--batch_size=2",
                "--epochs=2",
                "--augment=basic",
            ),
        ],
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return output, result.stdout + result.stderr


def test_both_ranks_end_with_the_same_weights(two_workers):
    output, _ = two_workers
    with (
        np.load(output / "rank-0.npz") as first,
        np.load(output / "rank-1.npz") as second,
    ):
        assert first.files == second.files
        for name in first.files:
            np.testing.assert_array_equal(first[name], second[name])


def test_rank_0_alone_writes_and_prints(two_workers):
    output, printed = two_workers
    assert sorted(p.name for p in (output / "run").iterdir()) == [
        "checkpoints",
        "config.json",
        "metrics.jsonl",
        "tensorboard",
    ]
    assert len(list((output / "run" / "tensorboard").iterdir())) == 1
    # 10 images, 2 workers with 2: 2 steps an epoch, each logged once.
    assert len(losses(output / "run")) == 4
    assert printed.count("2 worker(s)") == 1
    assert "peak learning rate 0.002" in printed


@pytest.mark.parametrize(
    ("compression", "tolerance"), [("none", 1e-4), ("bf16", 0.01)]
)
@pytest.mark.slow
def test_two_workers_train_like_one_with_both_batches(
    compression, tolerance, data_dir, two_with_sync, tmp_path_factory
):
    """Losses of 2 workers with 2 images and 1 with 4, uneven void pixels."""
    output = two_with_sync(compression)
    alone = tmp_path_factory.mktemp("alone")
    result = run_workers(
        1, [alone, *flags(data_dir, alone / "run", "--batch_size=4", *SAME)]
    )
    assert result.returncode == 0, result.stdout + result.stderr
    together, expected = losses(output / "run"), losses(alone / "run")
    assert len(together) == len(expected) == 20
    np.testing.assert_allclose(together, expected, rtol=tolerance)


# Small steps: what differs is rounding, which large ones blow up. Not Adam: it
# makes steps of full size out of gradients that are rounding errors, such as
# those of a bias before batch norm.
SAME = (
    "--epochs=10",
    "--optimizer=sgd",
    "--learning_rate=1e-4",
    "--evaluate_every_epochs=0",
    "--checkpoint_every_steps=1000",
    "--sync_batch_norm",
    "--noscale_learning_rate",
    "--warmup_epochs=0",
    "--class_weights=median_frequency",
)


@pytest.fixture
def two_with_sync(data_dir, tmp_path_factory):
    """Runs two workers with synchronised batch norm."""

    def run(compression):
        output = tmp_path_factory.mktemp("sync")
        result = run_workers(
            2,
            [
                output,
                *flags(data_dir, output / "run", "--batch_size=2", *SAME),
                f"--allreduce_compression={compression}",
            ],
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return output

    return run
