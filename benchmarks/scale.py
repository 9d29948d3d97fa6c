"""How large the benchmarks are: in full, or tiny to try them."""

from __future__ import annotations

import dataclasses

__all__ = ["FULL", "SMOKE", "Scale"]


@dataclasses.dataclass(frozen=True)
class Scale:
    """How large everything is.

    Attributes:
      size: Height and width of the training step's input, pixels.
      input_size: Height and width for the input alone.
      batch_size: Images a batch.
      width_multiplier: Factor on the channels of the networks.
      steps: Steps a round.
      end_to_end_steps: The same where a round begins with an empty pipeline.
      batches: Batches a round of the input.
      forward_batches: Batches a round of the forward pass.
      rounds: Rounds that count.
      warmups: Rounds before them.
      repeats: How many times larger a data set of the converter is whose
        memory is compared.
      many_repeats: The same of one that takes so long that the start, 0.2 s,
        counts little.
      architectures: Networks to measure.
    """

    size: tuple[int, int] = (160, 320)
    input_size: tuple[int, int] = (320, 640)
    batch_size: int = 4
    width_multiplier: float = 1.0
    steps: int = 3
    end_to_end_steps: int = 12
    batches: int = 100
    forward_batches: int = 20
    rounds: int = 7
    warmups: int = 2
    repeats: int = 10
    many_repeats: int = 30
    architectures: tuple[str, ...] = ("vgg_segnet", "segnet")


FULL = Scale()
SMOKE = Scale(
    size=(32, 64),
    input_size=(32, 64),
    batch_size=2,
    width_multiplier=1 / 16,
    steps=1,
    end_to_end_steps=2,
    batches=2,
    forward_batches=2,
    rounds=1,
    warmups=0,
    repeats=2,
    many_repeats=3,
    architectures=("vgg_segnet",),
)
