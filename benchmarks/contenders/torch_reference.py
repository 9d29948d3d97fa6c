"""The training step of the same networks in PyTorch, as fast as it has it.

Channels-last, bfloat16 by autocast, fused Adam, the usual layers: nearest x2
`Upsample` before the convolution in `vgg_segnet`, `MaxUnpool2d` with indices
in `segnet`. Same channels, batch norm and losses as in `segnet.models`.
"""

from __future__ import annotations

import itertools

import torch
from torch import nn

from benchmarks.harness.timing import Work
from segnet.config import Config

__all__ = ["create_network", "training"]

_BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
_MEANS = (103.939, 116.779, 123.68)


def training(*, config: Config, steps: int) -> Work:
    """Training steps on one random batch.

    Args:
      config: As for `own.training`.
      steps: Steps a round.
    """
    torch.manual_seed(config.seed)
    num_classes = len(config.class_names)
    module = create_network(
        config.architecture, num_classes, config.width_multiplier
    )
    module = module.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.Adam(module.parameters(), fused=True)
    size = (config.input_height, config.input_width)
    images = torch.randint(
        0, 256, (config.batch_size, 3, *size), dtype=torch.uint8
    ).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, num_classes, (config.batch_size, *size))
    half = config.precision == "bfloat16"

    def run(prepared: None) -> int:
        for _ in range(steps):
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                logits = module(images)
            loss = nn.functional.cross_entropy(
                logits.float(), labels, ignore_index=255
            )
            loss.backward()
            optimizer.step()
        return steps * config.batch_size

    return Work(run)


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


def _convolutions(
    channels: list[int], *, batch_norm: bool, relu: bool
) -> list[nn.Module]:
    """A chain of convolutions through numbers of channels."""
    layers: list[nn.Module] = []
    for inputs, outputs in itertools.pairwise(channels):
        layers.append(nn.Conv2d(inputs, outputs, 3, padding=1))
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
            widths = [channels] + [filters] * repeats
            layers += _convolutions(widths, batch_norm=False, relu=True)
            layers.append(nn.MaxPool2d(2))
            channels = filters
        for number, (_, filters) in enumerate(reversed(blocks)):
            if number:
                layers.append(nn.Upsample(scale_factor=2))
            widths = [channels, filters]
            layers += _convolutions(widths, batch_norm=True, relu=False)
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
        channels = blocks[0][1]
        for number, (repeats, filters) in enumerate(blocks):
            there = [channels if number else 3] + [filters] * repeats
            back = [filters] * repeats + [channels] * bool(number)
            for part, widths in ((self.encoder, there), (self.decoder, back)):
                layers = _convolutions(widths, batch_norm=True, relu=True)
                part.append(nn.Sequential(*layers))
            channels = filters
        self.logits = nn.Conv2d(blocks[0][1], classes, 3, padding=1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits."""
        values = _normalize(images)
        indices = []
        for block in self.encoder:
            values, found = nn.functional.max_pool2d(
                block(values), 2, return_indices=True
            )
            indices.append(found)
        for block in reversed(self.decoder):
            values = nn.functional.max_unpool2d(values, indices.pop(), 2)
            values = block(values)
        return self.logits(values)
