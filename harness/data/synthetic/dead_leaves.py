"""Dead-leaves images: occluding shapes with the scale statistics of photographs.

Model: Lee, Mumford and Huang, "Occlusion models for natural images", IJCV 2001: shapes whose
radii follow a power law, laid over each other until nothing of the ground is left. Colours and
textures come from the training photographs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness.config.settings import DeadLeavesSpec
from harness.data.images.arrays import Float, Image8

VERSION = 1
"""Raised whenever the same key gives other pixels; it is part of every training that uses them."""


def canvas(spec: DeadLeavesSpec, photographs: Sequence[Image8], rng: np.random.Generator) -> Image8:
    """Return one (canvas_px, canvas_px, 3) uint8 image; depends on ``rng`` alone.

    Painted back to front, from large shapes on average to whatever the law gives: the area
    painted is four times the canvas, which leaves a share of about exp(-4) of the ground, and
    the ground itself is a piece of a photograph.
    """
    side = spec.canvas_px
    image = _patch(photographs, side, side, rng).astype(np.float32)
    low, high = spec.radius_px
    painted = 0.0
    while painted < 4 * side * side:
        radius = power_law(low, min(high, side / 2), spec.exponent, rng)
        painted += np.pi * radius * radius
        centre = rng.uniform(-0.1 * side, 1.1 * side, 2)
        reach = radius * 1.5 + 1
        top, left = np.maximum(0, (centre - reach).astype(int)).tolist()
        bottom, right = np.minimum(side, (centre + reach).astype(int) + 1).tolist()
        if top >= bottom or left >= right:
            continue
        y, x = np.ogrid[top:bottom, left:right]
        mask = _shape(y - centre[0], x - centre[1], radius, rng)[..., None]
        fill = _fill(bottom - top, right - left, spec.textured, photographs, rng)
        region = image[top:bottom, left:right]
        region += mask * (fill - region)
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def power_law(low: float, high: float, exponent: float, rng: np.random.Generator) -> float:
    """Draw from p(r) proportional to r ** -exponent on [low, high] by inversion."""
    power = 1.0 - exponent
    u = rng.random()
    if abs(power) < 1e-9:
        return float(low * (high / low) ** u)
    return float((low**power + u * (high**power - low**power)) ** (1 / power))


def _shape(
    y: NDArray[np.float64], x: NDArray[np.float64], radius: float, rng: np.random.Generator
) -> Float:
    """Return a mask in [0, 1], 1 inside, with an edge one to two pixels wide."""
    angle = rng.uniform(0, np.pi)
    aspect = np.exp(rng.uniform(-0.5, 0.5))
    u = (x * np.cos(angle) + y * np.sin(angle)) * aspect
    v = (y * np.cos(angle) - x * np.sin(angle)) / aspect
    kind = rng.integers(4)
    if kind == 0:
        inside = radius - np.hypot(u, v)
    elif kind == 1:
        inside = 0.85 * radius - np.maximum(np.abs(u), np.abs(v))
    elif kind == 2:
        # A triangle to hexagon: the nearest of its sides.
        turns = np.arange(rng.integers(3, 7)) + rng.random()
        sides = turns * 2 * np.pi / len(turns)
        distances = [u * np.cos(s) + v * np.sin(s) for s in sides]
        inside = 0.75 * radius - np.max(distances, axis=0)
    else:
        theta = np.arctan2(v, u)
        amplitudes = rng.uniform(-0.15, 0.15, 3)
        phases = rng.uniform(0, 2 * np.pi, 3)
        wobble = np.zeros_like(theta)
        for number, (amplitude, phase) in enumerate(zip(amplitudes, phases, strict=True)):
            wobble += amplitude * np.sin((number + 2) * theta + phase)
        inside = radius * (1 + wobble) - np.hypot(u, v)
    softness = rng.uniform(0.5, 1.0)
    return np.asarray(np.clip(inside / softness + 0.5, 0, 1), dtype=np.float32)


def _fill(
    height: int,
    width: int,
    textured: float,
    photographs: Sequence[Image8],
    rng: np.random.Generator,
) -> Float:
    """Return a surface: a texture at another contrast and colour, or a plain colour gradient."""
    colour = _patch(photographs, 1, 1, rng)[0, 0].astype(np.float32)
    if rng.random() < textured:
        patch = _patch(photographs, height, width, rng).astype(np.float32)
        own = patch.mean(axis=(0, 1))
        keep = rng.uniform(0, 1)
        surface = (patch - own) * rng.uniform(0.4, 1.2) + keep * own + (1 - keep) * colour
        return np.asarray(surface, dtype=np.float32)
    slope = rng.uniform(-30, 30, 2)
    ramp = (
        slope[0] * np.linspace(-1, 1, height)[:, None] + slope[1] * np.linspace(-1, 1, width)[None]
    )
    return np.asarray(colour + ramp[..., None], dtype=np.float32)


def _patch(
    photographs: Sequence[Image8], height: int, width: int, rng: np.random.Generator
) -> Image8:
    """Cut a random piece; what sticks out of a small photograph is mirrored."""
    photograph = photographs[int(rng.integers(len(photographs)))]
    step = int(rng.integers(1, 3))
    rows = rng.integers(photograph.shape[0]) + step * np.arange(height)
    columns = rng.integers(photograph.shape[1]) + step * np.arange(width)
    rows, columns = mirror(rows, photograph.shape[0]), mirror(columns, photograph.shape[1])
    patch: Image8 = photograph[rows[:, None], columns]
    return patch


def mirror(index: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Fold indices from 0 into [0, size) as if the image went on mirrored."""
    folded = index % (2 * size)
    return np.where(folded < size, folded, 2 * size - 1 - folded)
