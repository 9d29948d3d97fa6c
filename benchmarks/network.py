"""A network and what it is shown: settings that many contenders share."""

from __future__ import annotations

import dataclasses

__all__ = ["Network"]


@dataclasses.dataclass(frozen=True)
class Network:
    """Settings of a contender with a network.

    Attributes:
      architecture: `vgg_segnet` or `segnet`.
      precision: `float32` or `bfloat16`.
      height: Of the images, pixels.
      width: Of the images, pixels.
      batch_size: Images a step.
      num_classes: Classes.
      width_multiplier: Factor on the channels.
      folded_upsampling: See `models.create_model`.
    """

    architecture: str
    precision: str
    height: int
    width: int
    batch_size: int
    num_classes: int
    width_multiplier: float = 1.0
    folded_upsampling: bool = True
