"""What the twins do to photographs: one class per kind of degradation, with its ranges."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from harness.spec.base import Range, Spec


class NoiseRange(Spec):
    """White Gaussian noise; ``sigma_255`` in grey levels of 8-bit images."""

    kind: Literal["noise"]
    sigma_255: Range


class HazeRange(Spec):
    """Atmospheric scattering: ``I = J t + A (1 - t)``, ``t = exp(-beta d)``, ``d`` in [0, 1]."""

    kind: Literal["haze"]
    beta: Range
    airlight: Range


class RainRange(Spec):
    """Additive streaks: seeds per pixel, length and width in pixels, angle from vertical."""

    kind: Literal["rain"]
    density: Range
    length_px: Range
    width_px: Range
    angle_deg: Range
    strength: Range


class GaussianBlurRange(Spec):
    """Isotropic Gaussian of ``sigma_px``, cut to a square whose side is one of ``kernel_px``."""

    kind: Literal["gaussian-blur"]
    sigma_px: Range
    kernel_px: tuple[Annotated[int, Field(ge=3)], ...] = Field(min_length=1)

    @field_validator("kernel_px")
    @classmethod
    def _odd(cls, sides: tuple[int, ...]) -> tuple[int, ...]:
        if any(side % 2 == 0 for side in sides):
            raise ValueError("a kernel has a centre, so its side must be odd")
        return sides


class DefocusRange(Spec):
    """A lens out of focus: a disc of ``radius_px``, averaged in linear light."""

    kind: Literal["defocus"]
    radius_px: Range


class MotionBlurRange(Spec):
    """Camera shake: how far the image moves during the exposure, averaged in linear light.

    ``length_px`` is the length of the path, ``bend_deg`` how much its direction turns from end
    to end, ``roll_deg`` how far the camera turns about its axis meanwhile.
    """

    kind: Literal["motion-blur"]
    length_px: Range
    bend_deg: Range
    roll_deg: Range


class LowLightRange(Spec):
    """A dark photograph: ``J ** gamma`` on display values, ``exposure`` on linear light, noise.

    ``illumination_px`` above 0 applies gamma to the light that falls on a neighbourhood of that
    radius (Retinex), not to each pixel. White at full exposure gives ``white_electrons``, which
    arrive as Poisson's law says and are read with ``read_electrons`` of noise; without
    ``white_electrons`` a sensor adds nothing. ``noise_255`` is noise in grey levels of the result.
    """

    kind: Literal["low-light"]
    gamma: Range = (1.0, 1.0)
    exposure: Range = (1.0, 1.0)
    illumination_px: int = Field(default=0, ge=0)
    white_electrons: Range | None = None
    read_electrons: Range = (0.0, 0.0)
    noise_255: Range = (0.0, 0.0)


class SnowRange(Spec):
    """Semi-transparent flakes: ``density`` per pixel, ``diameter_px`` from small to large.

    Diameters follow ``d ** -3``, as flakes at all distances do. A flake covers up to ``opacity``
    and moves up to ``motion`` diameters, at ``angle_deg`` from the vertical; ``veil`` is the share
    of white light that snow too far to be seen adds.
    """

    kind: Literal["snow"]
    density: Range
    diameter_px: Range
    opacity: Range
    motion: Range
    angle_deg: Range
    veil: Range


class RaindropsRange(Spec):
    """Drops on a lens or pane: ``coverage`` of the image, radii in pixels.

    A drop shows the scene upside down, ``shrinking`` times smaller, and ``blur_px`` (a standard
    deviation) out of focus.
    """

    kind: Literal["raindrops"]
    coverage: Range
    radius_px: Range
    shrinking: Range
    blur_px: Range


class JpegRange(Spec):
    """JPEG of an integer ``quality`` in libjpeg's scale from 1 to 100, 4:2:0 chroma."""

    kind: Literal["jpeg"]
    quality: Range


class ResampleRange(Spec):
    """Bicubic down by ``factor`` and bicubic up again to the same size.

    ``point`` takes samples without low-pass filter, as torch's interpolation does (a = -0.75);
    ``antialiased`` widens the kernel by the factor, as MATLAB's imresize does (a = -0.5).
    """

    kind: Literal["resample"]
    factor: int = Field(ge=2)
    kernel: Literal["point", "antialiased"]


SingleRange = Annotated[
    NoiseRange
    | HazeRange
    | RainRange
    | GaussianBlurRange
    | DefocusRange
    | MotionBlurRange
    | LowLightRange
    | SnowRange
    | RaindropsRange
    | JpegRange
    | ResampleRange,
    Field(discriminator="kind"),
]


class ComposedRange(Spec):
    """Degradations one after another, in the order of ``parts``; 8-bit only at the end."""

    kind: Literal["composed"]
    parts: tuple[SingleRange, ...] = Field(min_length=1)


DegradationRange = Annotated[SingleRange | ComposedRange, Field(discriminator="kind")]
