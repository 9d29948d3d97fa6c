"""The sky of a sample scene."""

from __future__ import annotations

import numpy as np
from PIL import Image

from .view import Camera, Light

__all__ = ["paint_sky"]


def paint_sky(
    rng: np.random.Generator, light: Light, camera: Camera, size: tuple
) -> np.ndarray:
    """Paints a sky with clouds and sun or moon.

    Args:
      rng: Where all chance comes from.
      light: Colours and cloudiness.
      camera: Tells where the horizon is.
      size: Rows and columns of the canvas.

    Returns:
      uint8 RGB `[rows, columns, 3]`.
    """
    # Soft shapes only: half the canvas size is enough, and four times faster.
    rows, columns = size[0] // 2, size[1] // 2
    horizon = camera.horizon / 2
    down = np.clip(np.arange(rows) / horizon, 0, 1)[:, None, None]
    top, low, cloud = np.array(
        (light.sky_top, light.sky_low, light.cloud), np.float32
    )
    down = down.astype(np.float32) ** 1.3
    sky = np.repeat(top + (low - top) * down, columns, axis=1)
    noise = np.zeros((rows, columns), np.float32)
    for cells, weight in ((3, 0.55), (7, 0.3), (16, 0.15)):
        grid = rng.random((cells + 1, cells + 1)).astype(np.float32)
        layer = Image.fromarray(grid).resize((columns, rows), Image.BICUBIC)
        noise += weight * np.asarray(layer)
    edge = 0.75 - 0.5 * light.cloudiness
    cover = 0.85 * np.clip((noise - edge) / 0.22, 0, 1)[..., None]
    sky += (cloud - sky) * cover
    if light.shadow > 0.1 or light.lit > 0.5:
        _add_sun(rng, light.sun_side, horizon, sky)
    whole = Image.fromarray(np.clip(sky, 0, 255).astype(np.uint8))
    return np.asarray(whole.resize(size[::-1], Image.BILINEAR))


def _add_sun(
    rng: np.random.Generator, side: float, horizon: float, sky: np.ndarray
) -> None:
    """Adds the sun or the moon to `sky`, float32 RGB, in place."""
    rows, columns = sky.shape[:2]
    across = columns * (0.5 + side * rng.uniform(0.1, 0.45))
    up = horizon * rng.uniform(0.05, 0.6)
    y, x = np.ogrid[:rows, :columns]
    far = (np.hypot(x - across, y - up) / rows).astype(np.float32)
    radius = rng.uniform(0.025, 0.05)
    glow = np.exp(-far / 0.12) * 0.4 + np.clip((radius - far) * 90, 0, 1)
    glow = np.clip(glow, 0, 1)[..., None]
    sky += (np.array((255, 246, 220), np.float32) - sky) * glow
