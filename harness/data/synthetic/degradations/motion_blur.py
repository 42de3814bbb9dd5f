"""Motion blur by camera shake, averaged in linear light along a path with sub-pixel steps.

GoPro (Nah et al., CVPR 2017) averages 7 to 13 consecutive sharp frames of a hand-held video and
takes the middle one for clean. So does this: the middle of the path has no offset. The camera
also rolls about a point of a scene larger than the image, so that blur differs from place to
place and a crop shows one part of it. Things that move on their own are not modelled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from harness.config.degradation import Degradation
from harness.config.spec import Range, within
from harness.data.images.arrays import Float
from harness.data.synthetic.draws import uniform
from harness.data.synthetic.light import pixels, to_display, to_linear

_SCENE_PX = 640
"""Side of the scene that an image is a window of; the roll's pivot lies inside it."""
_STEP_PX = 0.75


class MotionBlur(Degradation):
    """Camera shake during the exposure, averaged in linear light.

    Attributes:
        length_px: length of the path that the image moves along.
        bend_deg: how much the path's direction turns from end to end.
        roll_deg: how far the camera turns about its axis meanwhile.
    """

    version: ClassVar[int] = 1
    kind: Literal["motion-blur"]
    length_px: Annotated[Range, within(0, 1000)]
    bend_deg: Annotated[Range, within(-3600, 3600)]
    roll_deg: Annotated[Range, within(-180, 180)]

    def apply(self, clean: Float, rngs: Sequence[np.random.Generator]) -> Float:
        """See :meth:`Degradation.apply`."""
        return shake(clean, self, rngs)


def shake(clean: Float, ranges: MotionBlur, rngs: Sequence[np.random.Generator]) -> Float:
    """Blur (N, 3, H, W) in [0, 1]; returns the same shape, not rounded. Borders are mirrored."""
    blurred = np.empty_like(clean)
    for image, target, rng in zip(clean, blurred, rngs, strict=True):
        length, bend, roll = uniform(rng, ranges.length_px, ranges.bend_deg, ranges.roll_deg)
        pivot = rng.uniform(-0.5, 0.5, 2) * max(_SCENE_PX - min(image.shape[1:]), 0)
        swing = float(np.deg2rad(abs(roll)) * np.hypot(*pivot))
        steps = 2 * int(np.ceil((length + swing) / 2 / _STEP_PX)) + 1
        offsets = path(length, np.deg2rad(bend), steps, rng)
        turns = np.deg2rad(roll) * np.linspace(-0.5, 0.5, steps)
        light = _exposed(to_linear(pixels(image)), offsets, turns, pivot)
        target[...] = to_display(light).transpose(2, 0, 1)
    return blurred


def path(length: float, bend: float, steps: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return (steps, 2) offsets (y, x) in pixels along a path of ``length``, zero in the middle.

    A hand drifts and trembles: the direction turns by ``bend`` radians and sways by up to half
    a radian, and the speed varies between 0.4 and 1.6 of its mean.
    """
    direction, sway_phase, speed_phase = rng.uniform(0, 2 * np.pi, 3)
    sway, sway_turns = rng.uniform(0, 0.5), rng.uniform(0.7, 1.6)
    if steps == 1:
        return np.zeros((1, 2))
    time = (np.arange(steps - 1) + 0.5) / (steps - 1) - 0.5
    heading = direction + bend * time + sway * np.sin(2 * np.pi * sway_turns * time + sway_phase)
    speed = 1 + 0.6 * np.sin(2 * np.pi * time + speed_phase)
    speed *= length / speed.sum()
    moves = np.stack([speed * np.sin(heading), speed * np.cos(heading)], axis=1)
    offsets = np.concatenate([np.zeros((1, 2)), np.cumsum(moves, axis=0)])
    centred: NDArray[np.float64] = offsets - offsets[steps // 2]
    return centred


def _exposed(
    light: Float,
    offsets: NDArray[np.float64],
    turns: NDArray[np.float64],
    pivot: NDArray[np.float64],
) -> Float:
    """Average (H, W, 3) over its positions; ``pivot`` is (y, x) from the image's centre."""
    import cv2

    height, width = light.shape[:2]
    y, x = height / 2 - 0.5 + pivot[0], width / 2 - 0.5 + pivot[1]
    total = np.zeros_like(light)
    for (down, right), turn in zip(offsets, turns, strict=True):
        cos, sin = np.cos(turn), np.sin(turn)
        back = np.array(
            [[cos, -sin, x - cos * x + sin * y - right], [sin, cos, y - sin * x - cos * y - down]]
        )
        cv2.accumulate(
            cv2.warpAffine(
                light,
                back,
                (width, height),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REFLECT_101,
            ),
            total,
        )
    total /= np.float32(len(offsets))
    return total
