"""What to label next: the pictures about which a network knows least."""

from __future__ import annotations

import concurrent.futures
import csv
import dataclasses
import io
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from segnet.errors import DataError
from segnet.evaluation import inference
from segnet.evaluation.ahead import Budget, map_ahead
from segnet.evaluation.inputs import Source
from segnet.images import image_files
from segnet.progress import Progress
from segnet.report import pictures
from segnet.report.measured import Network

__all__ = ["Ranking", "rank"]

_MOST_SHOWN = 24
# Pictures that are read ahead, and what is decoded at a time, in threads.
_MAX_WAITING = 8
_MAX_PIXELS = 2**26


@dataclasses.dataclass(frozen=True)
class Ranking:
    """Pictures without labels, the most uncertain first.

    Attributes:
      rows: File, mean entropy (0 to 1) and mean confidence of each.
      cards: What the template shows of the first ones.
      problems: A line for each picture that cannot be read.
    """

    rows: list[tuple[str, float, float]]
    cards: list[dict[str, Any]]
    problems: list[str]

    def to_csv(self) -> str:
        """A line for each picture, in this order."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["file", "uncertainty", "confidence"])
        for file, *numbers in self.rows:
            writer.writerow([file, *(f"{number:.6f}" for number in numbers)])
        return text.getvalue()


def rank(
    network: Network, sources: Sequence[Source], max_pixels: int
) -> Ranking:
    """Looks at pictures, and sorts them by how undecided the network is.

    Args:
      network: What looks at them.
      sources: The pictures.
      max_pixels: That a picture may have.
    """
    problems: list[str] = []
    found: list[tuple[float, float, Source]] = []
    are_logits = not network.predictor.gives_probabilities
    with Progress(len(sources), unit="image", label="rank") as progress:
        for logits, (source, _) in network.look(
            _read(network, sources, max_pixels, problems, progress.advance),
            len(sources),
        ):
            entropy = inference.entropy_of(logits, are_logits=are_logits)
            sure = inference.confidence_of(logits, are_logits=are_logits)
            found.append((entropy, sure, source))
    found.sort(key=lambda item: (-item[0], item[2].shown))
    return Ranking(
        [(source.shown, entropy, sure) for entropy, sure, source in found],
        _cards(network, found[:_MOST_SHOWN], max_pixels),
        problems,
    )


def _read(
    network: Network,
    sources: Sequence[Source],
    max_pixels: int,
    problems: list[str],
    advance: Callable[[int], None] = lambda count: None,
) -> Iterator[tuple[tf.Tensor, tuple[Source, np.ndarray]]]:
    """What the network sees of each picture, with it as the page shows it."""
    budget = Budget(_MAX_PIXELS)

    def load(source: Source) -> DataError | tuple[Any, ...]:
        try:
            with budget.taken(image_files.count_pixels(source.path)):
                image = image_files.load_image(source.path, max_pixels)
                seen = network.shrunk(inference.to_tensor(image))
                return seen, source, pictures.shrink(image)
        except DataError as error:
            return error

    with concurrent.futures.ThreadPoolExecutor() as pool:
        for loaded in map_ahead(pool, load, sources, limit=_MAX_WAITING):
            advance(1)
            if isinstance(loaded, DataError):
                problems.append(str(loaded))
                continue
            seen, source, image = loaded
            yield seen, (source, image)


def _cards(
    network: Network,
    found: Sequence[tuple[float, float, Source]],
    max_pixels: int,
) -> list[dict[str, Any]]:
    """The pictures that come first."""
    numbers = {source: (entropy, sure) for entropy, sure, source in found}
    cards = []
    for logits, (source, image) in network.look(
        _read(network, list(numbers), max_pixels, []), len(numbers)
    ):
        entropy, sure = numbers[source]
        cards.append(
            {
                "name": source.shown,
                "text": f"uncertainty {entropy:.3f}, confidence {sure:.3f}",
                "pictures": pictures.make_unlabelled(
                    image,
                    logits,
                    network.palette,
                    are_logits=not network.predictor.gives_probabilities,
                ),
            }
        )
    return cards
