"""What a run asks of the sums over its workers."""

from __future__ import annotations

import pytest
import tensorflow as tf
from conftest import run_flags

import main
from segnet.runtime import distributed


@pytest.mark.parametrize("deterministic", [True, False])
def test_deterministic_runs_reduce_gradients_as_one_bundle(
    deterministic, data_dir, tmp_path, monkeypatch
):
    # It could not be taken back in this process.
    monkeypatch.setattr(
        tf.config.experimental, "enable_op_determinism", lambda: None
    )
    bundled = []

    def reduce(gradients, compression, *, grouped):
        bundled.append(grouped)
        return list(gradients)

    monkeypatch.setattr(distributed, "allreduce_gradients", reduce)
    flags = run_flags(
        data_dir,
        tmp_path / "run",
        "--max_steps=1",
        f"--deterministic={deterministic}",
    )
    assert main.main(flags) == 0
    assert bundled == [deterministic]
