"""The networks and the files that their weights can come from."""

from __future__ import annotations

from segnet.models.factory import create_model, encoder_layers
from segnet.models.folding import fold_batch_norm
from segnet.models.keras_checkpoint import is_keras_checkpoint
from segnet.models.sampling import DropoutSamples
from segnet.models.weights import load_keras_weights, load_vgg16_weights

__all__ = [
    "DropoutSamples",
    "create_model",
    "encoder_layers",
    "fold_batch_norm",
    "is_keras_checkpoint",
    "load_keras_weights",
    "load_vgg16_weights",
]
