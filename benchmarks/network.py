"""A network and what it is shown: settings that many contenders share."""

from __future__ import annotations

import dataclasses

from segnet.runtime import hardware

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
      filtered_gradient: Likewise; by default as in a training here.
    """

    architecture: str
    precision: str
    height: int
    width: int
    batch_size: int
    num_classes: int
    width_multiplier: float = 1.0
    folded_upsampling: bool = True
    filtered_gradient: bool = dataclasses.field(
        default_factory=hardware.cpu_gains_from_filtering
    )
