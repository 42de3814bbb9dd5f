"""Synthetic depth maps: a receding ground, soft relief, and objects in front of it.

Haze of the real benchmarks follows measured or estimated depth (RESIDE's outdoor set). Here
every image gets its own scene: a horizon somewhere, a ground that recedes to it with a random
tilt, smooth relief, and three to seven objects at depths nearer than what is behind them.
An image is a window onto a scene that may be larger than it, so that a small training crop
shows, as a crop of a photograph would, mostly one surface or the edge of an object.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.data.images.arrays import Float

_GRID = 8
"""Squares per side of the coarse grid that the relief is interpolated from."""


def depth_maps(height: int, width: int, rngs: Sequence[np.random.Generator]) -> Float:
    """Return (N, H, W) float32 depths in [0.05, 1]; 1 is the farthest point of a scene."""
    return np.stack([_depth(height, width, rng) for rng in rngs])


def _depth(height: int, width: int, rng: np.random.Generator) -> Float:
    # The window's position in a scene of unit side. A small image is taken for a crop of a larger
    # one: at 256 pixels and above it shows 35 to 100 % of a scene's side, at 64 half of that.
    zoom = rng.uniform(0.35, 1.0) * min(1.0, (min(height, width) / 256) ** 0.5)
    top, left = rng.uniform(0, 1 - zoom, 2)
    y = (top + zoom * (np.arange(height) + 0.5) / height)[:, None].astype(np.float32)
    x = (left + zoom * (np.arange(width) + 0.5) / width)[None].astype(np.float32)
    horizon = rng.uniform(0.1, 0.5)
    tilt = rng.uniform(-0.25, 0.25)
    # Distance on a plane grows as the inverse of the height below the horizon.
    below = np.maximum(y - horizon + tilt * (x - 0.5), 0)
    near = rng.uniform(0.08, 0.3)
    scene = near / (below + near) + _relief(y, x, rng.uniform(0.05, 0.2), rng)
    for _ in range(rng.integers(3, 8)):
        _place_object(scene, y, x, rng)
    return np.asarray(np.clip(scene, 0.05, 1.0), dtype=np.float32)


def _relief(y: Float, x: Float, amplitude: float, rng: np.random.Generator) -> Float:
    """Interpolate random heights smoothly over the scene."""
    grid = rng.standard_normal((_GRID + 1, _GRID + 1)).astype(np.float32) * np.float32(amplitude)
    rows, columns = _interpolation(y[:, 0]), _interpolation(x[0])
    return rows @ grid @ columns.T


def _interpolation(position: Float) -> Float:
    """Return the (n, grid + 1) matrix of weights at positions in [0, 1], without creases."""
    on_grid = np.clip(position, 0, 1) * _GRID
    near = np.maximum(0, 1 - np.abs(on_grid[:, None] - np.arange(_GRID + 1)))
    return np.asarray(near * near * (3 - 2 * near), dtype=np.float32)


def _place_object(scene: Float, y: Float, x: Float, rng: np.random.Generator) -> None:
    """Draw a box, an ellipse or a tree before the scene, nearer than it."""
    cy, cx = rng.uniform(0.1, 1.0), rng.uniform(0.0, 1.0)
    size = rng.uniform(0.06, 0.3)
    aspect = np.exp(rng.uniform(-0.7, 0.7))
    depth = np.float32(rng.uniform(0.08, 0.85))
    dy, dx = (y - cy) / size, (x - cx) / (size * aspect)
    kind = rng.integers(3)
    if kind == 0:
        inside = 1 - np.maximum(np.abs(dy), np.abs(dx))
    elif kind == 1:
        wobble = 0.2 * np.sin(3 * np.arctan2(dy, dx) + rng.uniform(0, 6.3))
        inside = 1 + wobble - np.hypot(dy, dx)
    else:
        crown = 0.6 - np.hypot(dy + 0.5, dx)
        inside = np.maximum(crown, np.minimum(0.12 - np.abs(dx), 1 - np.abs(dy)))
    softness = max(0.12, float(abs(y[1, 0] - y[0, 0])) / size)
    mask = np.clip(inside / softness + 0.5, 0, 1) * (depth < scene)
    scene += mask * (depth - scene)
