"""The reference computes with networks of the same size as ours."""

from __future__ import annotations

import pytest

from segnet import models
from segnet.constants import ARCHITECTURES


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_torch_reference_has_as_many_weights(architecture):
    pytest.importorskip("torch", reason="torch is only there for `make bench`")
    from benchmarks.contenders import torch_reference

    ours = models.create_model(architecture, 5, width_multiplier=0.1)
    theirs = torch_reference.create_network(architecture, 5, 0.1)
    learning = sum(
        weight.shape.num_elements() for weight in ours.trainable_weights
    )
    assert learning == sum(each.numel() for each in theirs.parameters())
