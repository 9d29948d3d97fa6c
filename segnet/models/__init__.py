"""The networks and the files that their weights can come from."""

from __future__ import annotations

from segnet.models.factory import ARCHITECTURES, create_model, size_multiple
from segnet.models.folding import fold_batch_norm
from segnet.models.weights import load_keras_weights, load_vgg16_weights

__all__ = [
    "ARCHITECTURES",
    "create_model",
    "fold_batch_norm",
    "load_keras_weights",
    "load_vgg16_weights",
    "size_multiple",
]
