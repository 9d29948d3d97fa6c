"""What stands and walks beside the road: people, trees and signs."""

from __future__ import annotations

import math

import numpy as np

from .board import Board, rectangle, scaled
from .canvas import PEDESTRIAN, SIGN, TREE, Canvas
from .view import Colour, jitter, pick

__all__ = ["draw_pedestrian", "draw_sign", "draw_tree"]

_CLOTHES = (
    (175, 35, 45),
    (35, 65, 145),
    (225, 190, 60),
    (235, 232, 225),
    (40, 45, 50),
    (45, 125, 75),
    (200, 100, 150),
    (120, 75, 50),
    (90, 160, 200),
)
_TROUSERS = ((35, 45, 75), (30, 30, 34), (95, 85, 70), (70, 75, 82))
_SKINS = ((235, 195, 165), (205, 155, 120), (150, 105, 75), (95, 65, 48))
_LEAVES = (
    (58, 105, 42),
    (85, 130, 50),
    (40, 82, 48),
    (120, 140, 55),
    (165, 120, 45),
)


def draw_pedestrian(canvas: Canvas, x: float, depth: float) -> None:
    """Draws a walking or standing person in random clothes."""
    rng = canvas.rng
    board = Board(canvas, x, depth, PEDESTRIAN)
    tall = rng.uniform(0.9, 1.08)
    stride = rng.uniform(0.02, 0.3) * pick(rng, (-1, 1))
    coat, legs = pick(rng, _CLOTHES), pick(rng, _TROUSERS)
    coat, legs = jitter(rng, coat, 20), jitter(rng, legs, 15)
    skin = jitter(rng, pick(rng, _SKINS), 8)
    hem = rng.uniform(0.55, 0.92)

    def shape(corners: list, colour: Colour) -> None:
        board.part([(dx * tall, h * tall) for dx, h in corners], colour)

    board.cast(0.5, 1.7)
    for sign in (-1, 1):
        foot, hip = sign * (0.1 + abs(stride)) + stride / 3, sign * 0.11
        shape(
            [
                (hip - 0.13, 0.9),
                (hip + 0.13, 0.9),
                (foot + 0.11, 0.0),
                (foot - 0.11, 0.0),
            ],
            legs,
        )
        shape(rectangle(foot - 0.12, foot + 0.16, 0.0, 0.09), (30, 26, 24))
    arm = scaled(coat, 0.8)
    for sign in (-1, 1):
        hand = sign * 0.36 + stride * sign * 0.6
        shape(
            [
                (sign * 0.2, 1.44),
                (sign * 0.34, 1.4),
                (hand + 0.07, 0.8),
                (hand - 0.09, 0.8),
            ],
            arm,
        )
        board.disc(hand * tall, 0.78 * tall, (0.08, 0.08), skin)
    shape([(-0.27, 1.45), (0.27, 1.45), (0.26, hem), (-0.26, hem)], coat)
    shape(rectangle(-0.07, 0.07, 1.4, 1.55), skin)
    board.disc(0.0, 1.63 * tall, (0.155 * tall, 0.18 * tall), skin)
    hair = pick(rng, ((40, 28, 20), (105, 70, 35), (160, 150, 140), coat))
    shape(
        [(-0.16, 1.64), (-0.1, 1.82), (0.1, 1.82), (0.16, 1.64), (0.0, 1.74)],
        hair,
    )


def _plate(
    board: Board, rng: np.random.Generator, high: float, size: float
) -> None:
    """Draws the plate of a road sign around the height `high`."""
    red, white = jitter(rng, (205, 30, 35), 14), (240, 240, 236)
    blue = jitter(rng, (25, 85, 185), 14)
    kind = int(rng.integers(5))
    if kind == 0:
        board.disc(0, high, (size, size), red)
        board.disc(0, high, (size * 0.68, size * 0.68), white)
        dark = (35, 35, 40)
        board.part(rectangle(-size / 3, size / 3, high - 0.1, high + 0.1), dark)
    elif kind == 1:
        for part, colour in ((1.15, red), (0.66, white)):
            reach = size * part
            low = high - reach * 0.55
            corners = [(-reach, low), (reach, low), (0, low + 1.75 * reach)]
            board.part(corners, colour)
    elif kind == 2:
        board.part(rectangle(-size, size, high - size, high + size), white)
        edge = size * 0.88
        board.part(rectangle(-edge, edge, high - edge, high + edge), blue)
        board.part(
            rectangle(-0.1, 0.12, high - size / 2, high + size / 2), white
        )
    elif kind == 3:
        board.disc(0, high, (size, size), red)
        bar = size * 0.68
        board.part(rectangle(-bar, bar, high - 0.13, high + 0.13), white)
    else:
        wide = size * 1.1
        for part, colour in ((1.0, white), (0.72, (240, 190, 30))):
            reach = wide * part
            corners = [(-reach, high), (0, high - reach), (reach, high)]
            board.part([*corners, (0, high + reach)], colour)


def draw_sign(canvas: Canvas, x: float, depth: float) -> None:
    """Draws a road sign: a pole with a round, square or triangular plate."""
    rng = canvas.rng
    board = Board(canvas, x, depth, SIGN)
    high = rng.uniform(2.1, 2.7)
    grey = jitter(rng, (135, 138, 142), 20)
    board.cast(0.2, high)
    board.part(rectangle(-0.09, 0.09, 0.0, high), grey)
    board.part(rectangle(0.02, 0.09, 0.0, high), scaled(grey, 0.7))
    _plate(board, rng, high + 0.2, rng.uniform(0.5, 0.64))


def draw_tree(canvas: Canvas, x: float, depth: float) -> None:
    """Draws a broad-leaved tree or a conifer."""
    rng = canvas.rng
    board = Board(canvas, x, depth, TREE)
    high = rng.uniform(3.8, 6.5)
    trunk = jitter(rng, (92, 70, 50), 16)
    leaves = jitter(rng, pick(rng, _LEAVES), 16)
    board.cast(1.6, high * 0.8)
    girth = rng.uniform(0.13, 0.22)
    board.part(
        [
            (-girth * 1.3, 0),
            (girth * 1.3, 0),
            (girth, high * 0.6),
            (-girth, high * 0.6),
        ],
        trunk,
    )
    board.part(rectangle(0.0, girth, 0.0, high * 0.6), scaled(trunk, 0.7))
    if rng.random() < 0.2:
        for layer in range(5):
            low = high * (0.2 + 0.15 * layer)
            wide = (1.5 - 0.24 * layer) * high / 5
            tip = [(-wide, low), (wide, low), (0, low + high * 0.3)]
            board.part(tip, scaled(leaves, 0.62 + 0.1 * layer))
        return
    crown, wide = high * 0.68, rng.uniform(0.24, 0.34) * high
    sun = canvas.light.sun_side
    # From the dark inside to small light dabs on the sunny side.
    for step in range(34):
        share = step / 33
        turn, reach = rng.uniform(0, math.tau), math.sqrt(rng.random())
        dx = wide * reach * math.cos(turn) * 0.8 + 0.15 * wide * sun * share
        up = wide * reach * math.sin(turn) * 0.85 + 0.2 * wide * share
        size = wide * (0.5 - 0.34 * share) * rng.uniform(0.8, 1.2)
        colour = scaled(leaves, 0.6 + 0.65 * share + rng.uniform(-0.1, 0.1))
        board.disc(dx, crown + up, (size, size * 0.85), colour)
