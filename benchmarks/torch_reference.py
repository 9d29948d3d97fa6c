"""The training step of the same networks in PyTorch, as fast as it has it.

Channels-last, bfloat16 by autocast, fused Adam, the usual layers: nearest x2
`Upsample` before the convolution in `vgg_segnet`, `MaxUnpool2d` with indices
in `segnet`. Same channels, batch norm and losses as in `segnet.models`.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from benchmarks.contender import Work
from benchmarks.network import Network

__all__ = ["create_network", "create_step"]

_BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
_MEANS = (103.939, 116.779, 123.68)


def create_step(*, network: Mapping[str, Any], steps: int) -> Work:
    """Prepares training steps on one random batch.

    Args:
      network: Of `Network`.
      steps: Steps a round.

    Returns:
      Work that does `steps` steps and gives the number of images.
    """
    shown = Network(**network)
    torch.manual_seed(0)
    module = create_network(
        shown.architecture, shown.num_classes, shown.width_multiplier
    )
    module = module.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.Adam(module.parameters(), fused=True)
    shape = (shown.batch_size, 3, shown.height, shown.width)
    images = torch.randint(0, 256, shape, dtype=torch.uint8)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, shown.num_classes, (shape[0], *shape[2:]))
    half = shown.precision == "bfloat16"

    def work() -> int:
        for _ in range(steps):
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                logits = module(images)
            loss = nn.functional.cross_entropy(
                logits.float(), labels, ignore_index=255
            )
            loss.backward()
            optimizer.step()
            if not loss.isfinite():
                raise RuntimeError(f"loss {loss.item()}")
        return steps * shown.batch_size

    return work


def create_network(
    architecture: str, num_classes: int, width_multiplier: float = 1.0
) -> nn.Module:
    """The network of that name, uint8 RGB `[batch, 3, height, width]` in."""
    blocks = [
        (repeats, max(1, round(filters * width_multiplier)))
        for repeats, filters in _BLOCKS
    ]
    if architecture == "segnet":
        return _SegNet(blocks, num_classes)
    return _VggSegNet(blocks[:4], num_classes)


def _normalize(images: torch.Tensor) -> torch.Tensor:
    """RGB to BGR minus the means."""
    means = torch.tensor(_MEANS).view(1, 3, 1, 1)
    return images.flip(1).float() - means


def _convolution(
    inputs: int, outputs: int, *, batch_norm: bool, relu: bool
) -> list[nn.Module]:
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, 3, padding=1)]
    if batch_norm:
        layers.append(nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01))
    if relu:
        layers.append(nn.ReLU(inplace=True))
    return layers


class _VggSegNet(nn.Module):
    """As `segnet.models.vgg_segnet`."""

    def __init__(self, blocks: list[tuple[int, int]], classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for repeats, filters in blocks:
            for _ in range(repeats):
                layers += _convolution(
                    channels, filters, batch_norm=False, relu=True
                )
                channels = filters
            layers.append(nn.MaxPool2d(2))
        deepest = [filters for _, filters in blocks]
        for number, filters in enumerate(reversed(deepest)):
            if number:
                layers.append(nn.Upsample(scale_factor=2))
            layers += _convolution(
                channels, filters, batch_norm=True, relu=False
            )
            channels = filters
        layers.append(nn.Conv2d(channels, classes, 3, padding=1))
        layers.append(nn.Upsample(scale_factor=2, mode="bilinear"))
        self.layers = nn.Sequential(*layers)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits."""
        return self.layers(_normalize(images))


class _SegNet(nn.Module):
    """As `segnet.models.segnet`."""

    def __init__(self, blocks: list[tuple[int, int]], classes: int) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        channels = 3
        for number, (repeats, filters) in enumerate(blocks):
            widths = [channels] + [filters] * repeats
            self.encoder.append(self._convolutions(widths))
            widths = [filters] * repeats
            if number:
                widths.append(blocks[number - 1][1])
            self.decoder.insert(0, self._convolutions(widths))
            channels = filters
        self.logits = nn.Conv2d(blocks[0][1], classes, 3, padding=1)

    @staticmethod
    def _convolutions(widths: list[int]) -> nn.Sequential:
        layers: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(widths):
            layers += _convolution(inputs, outputs, batch_norm=True, relu=True)
        return nn.Sequential(*layers)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits."""
        values = _normalize(images)
        places = []
        for block in self.encoder:
            values, indices = nn.functional.max_pool2d(
                block(values), 2, return_indices=True
            )
            places.append(indices)
        for block in self.decoder:
            values = nn.functional.max_unpool2d(values, places.pop(), 2)
            values = block(values)
        return self.logits(values)
