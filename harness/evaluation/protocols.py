"""Scoring restored images against clean ones under protocols."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from harness.config.errors import HarnessError
from harness.config.protocols import Protocol, Resize
from harness.data.images.arrays import Image8
from harness.evaluation.metrics.arrays import Image, ImageTooSmallError
from harness.evaluation.metrics.definition import Metric
from harness.evaluation.metrics.registry import known_metrics

Size = tuple[int, int]
"""Height and width in pixels."""

_not_concurrent = threading.Lock()
"""Held while a metric runs that cannot measure several images at once."""


def score_pair(
    restored: Image, clean: Image, protocol: Protocol, metrics: Sequence[Metric]
) -> dict[str, float]:
    """Return metric id to value for (H, W, 3) RGB images in [0, 1], of ``metrics`` alone.

    Raises:
        HarnessError: sizes do not fit, or nothing is left inside the protocol's border.
    """
    a, b = apply_protocol(restored, clean, protocol)
    return {metric.id: metric.measure(a, b) for metric in metrics}


def score_pairs(
    restored: Sequence[Image],
    clean: Sequence[Image],
    protocol: Protocol,
    metrics: Sequence[Sequence[Metric]],
    pool: ThreadPoolExecutor,
) -> list[dict[str, float]]:
    """Return what :func:`score_pair` returns of each pair, measured in the threads of ``pool``.

    ``metrics`` are those of each pair. Metrics that are not concurrent run here, one by one.
    """
    pending = []
    for a, b, of_pair in zip(restored, clean, metrics, strict=True):
        concurrent = [metric for metric in of_pair if metric.concurrent]
        pending.append(pool.submit(score_pair, a, b, protocol, concurrent))
    scores = [future.result() for future in pending]
    for values, a, b, of_pair in zip(scores, restored, clean, metrics, strict=True):
        alone = [metric for metric in of_pair if not metric.concurrent]
        if alone:
            values |= score_pair(a, b, protocol, alone)
    return scores


def score_under(
    restored: Image,
    clean: Image,
    protocols: Iterable[Protocol],
    known: Mapping[str, Metric] | None = None,
    too_small: dict[str, str] | None = None,
) -> dict[str, dict[str, float]]:
    """Score one pair under several protocols: protocol id to metric id to value.

    Protocols that make the same two images of the pair share them, and a metric that is in
    several of those is computed once. May be called from several threads.

    Args:
        restored: (H, W, 3) RGB, float; values may leave [0, 1].
        clean: (H, W, 3) RGB, float in [0, 1].
        protocols: their ids must differ.
        known: metric by the names that the protocols use; None for those that need no pyiqa.
        too_small: receives, by protocol id, why the pair is too small for it; such a protocol is
            left out. None raises instead.

    Raises:
        HarnessError: sizes do not fit, or nothing is left inside a protocol's border.
    """
    known = known_metrics() if known is None else known
    scoring = _PairScoring(restored, clean, known)
    scores: dict[str, dict[str, float]] = {}
    for protocol in protocols:
        try:
            scores[protocol.id] = scoring.values(protocol)
        except ImageTooSmallError as error:
            if too_small is None:
                raise
            too_small[protocol.id] = str(error)
    return scores


@dataclass
class _PairScoring:
    """What protocols share of one pair: the two images that they make, and values on them."""

    restored: Image
    clean: Image
    known: Mapping[str, Metric]
    images: dict[Protocol, tuple[Image, Image]] = field(default_factory=dict)
    measured: dict[tuple[Protocol, str], float] = field(default_factory=dict)

    def values(self, protocol: Protocol) -> dict[str, float]:
        """Return metric id to value under one protocol."""
        rule = protocol.model_copy(update={"id": "", "metrics": ()})
        if rule not in self.images:
            self.images[rule] = apply_protocol(self.restored, self.clean, protocol)
        values: dict[str, float] = {}
        for name in protocol.metrics:
            metric = self.known[name]
            if (rule, name) not in self.measured:
                self.measured[rule, name] = _measure(metric, *self.images[rule])
            values[metric.id] = self.measured[rule, name]
        return values


def apply_protocol(restored: Image, clean: Image, protocol: Protocol) -> tuple[Image, Image]:
    """Return the two images that metrics compare under ``protocol``.

    ``restored`` has the size of ``clean``, or the size to which the protocol resizes and crops
    it: published code often saves what it has cropped already.

    Raises:
        HarnessError: it has neither size, or nothing is left inside the border.
    """
    size, reference = _size(restored), _size(clean)
    if size not in scored_sizes(reference, protocol):
        raise HarnessError(
            f"restored and clean image differ in size: {size[1]}x{size[0]} and "
            f"{reference[1]}x{reference[0]}; a method must return the size of its input"
        )
    if protocol.resize is not None:
        target = resized_size(reference, protocol.resize)
        restored = _resized(restored, target) if size == reference else restored
        clean = _resized(clean, target)
    if protocol.crop_multiple > 1:
        _check_crop(_size(clean), protocol)
        is_whole = _size(restored) == _size(clean)
        clean = _cropped(clean, protocol)
        restored = _cropped(restored, protocol) if is_whole else restored
    if protocol.clamp:
        restored = np.clip(restored, 0, 1)
    restored = _quantised(restored, protocol)
    return _without_border(restored, protocol), _without_border(clean, protocol)


def eight_bits(image: Image, quantise: str = "round") -> Image8:
    """Return (H, W, 3) in [0, 1] as 8-bit levels, as a file of it holds them.

    Values are clamped. ``quantise`` is that of a protocol: levels are truncated where it truncates,
    and rounded otherwise. An image that is not finite has no levels.
    """
    levels = np.clip(image, 0, 1) * 255
    return (np.floor(levels) if quantise == "truncate" else np.rint(levels)).astype(np.uint8)


def scored_sizes(clean: Size, protocol: Protocol) -> tuple[Size, ...]:
    """Return the sizes of restored images that fit a clean one of size ``clean``."""
    sizes = [clean]
    if protocol.resize is not None:
        sizes.append(resized_size(clean, protocol.resize))
    multiple = protocol.crop_multiple
    sizes.append((sizes[-1][0] // multiple * multiple, sizes[-1][1] // multiple * multiple))
    return tuple(sizes)


def resized_size(size: Size, rule: Resize) -> Size:
    """Return the size after ``rule``: the shorter side and then both are rounded up."""
    height, width = size
    longest = max(size)
    if longest > rule.long_side_px:
        # Whole numbers, since a product in floats could land above one.
        height = _divided_up(height * rule.long_side_px, longest)
        width = _divided_up(width * rule.long_side_px, longest)
    rows = _divided_up(height, rule.multiple) * rule.multiple
    columns = _divided_up(width, rule.multiple) * rule.multiple
    return rows, columns


def _divided_up(number: int, divisor: int) -> int:
    return -(-number // divisor)


def _measure(metric: Metric, restored: Image, clean: Image) -> float:
    if metric.concurrent:
        return metric.measure(restored, clean)
    with _not_concurrent:
        return metric.measure(restored, clean)


def _size(image: Image) -> Size:
    return image.shape[0], image.shape[1]


def _resized(image: Image, size: Size) -> Image:
    from PIL import Image as Pillow

    if _size(image) == size:
        return image
    if not np.isfinite(image).all():
        return np.full((*size, image.shape[2]), np.nan, image.dtype)  # 8 bits hold no NaN
    levels = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    resized = Pillow.fromarray(levels).resize((size[1], size[0]), Pillow.Resampling.LANCZOS)
    return np.asarray(resized).astype(image.dtype) / image.dtype.type(255)


def _check_crop(size: Size, protocol: Protocol) -> None:
    if min(size) < protocol.crop_multiple:
        raise ImageTooSmallError(
            f"protocol {protocol.id} cuts images to multiples of {protocol.crop_multiple} pixels, "
            f"and an image has {size[1]}x{size[0]}"
        )


def _cropped(image: Image, protocol: Protocol) -> Image:
    """Crop to multiples of the protocol's, at the place that it names."""
    parts = []
    for length in _size(image):
        size = length // protocol.crop_multiple * protocol.crop_multiple
        spare = length - size
        start = {"top-left": 0, "centre": spare // 2, "bottom-right": spare}[protocol.crop_at]
        parts.append(slice(start, start + size))
    return image[parts[0], parts[1]]


def _quantised(image: Image, protocol: Protocol) -> Image:
    """Round or truncate to 8-bit levels, which stay floats in [0, 1]."""
    if protocol.quantise == "none":
        return image
    levels = image * 255
    quantised: Image = (np.rint if protocol.quantise == "round" else np.floor)(levels) / 255
    return quantised


def _without_border(image: Image, protocol: Protocol) -> Image:
    border = protocol.border_px
    if not border:
        return image
    if min(_size(image)) <= 2 * border:
        raise ImageTooSmallError(
            f"protocol {protocol.id} removes {border} pixels on each side, and an image "
            f"has only {min(_size(image))}"
        )
    return image[border:-border, border:-border]
