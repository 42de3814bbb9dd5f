"""Maps that are computed some rows at a time where no gradient is needed.

The widest maps of a block are several times as wide as what goes in and out. In parts they need not
be in memory whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from methods.convolutions import pointwise
from methods.kernels.depthwise import Taps, depthwise, depthwise_rows

WHOLE_ELEMENTS = 2**24
"""Elements of the widest map that is computed whole: bands save memory and take some percent more
time."""
BAND_ELEMENTS = {"cpu": 2**22, "cuda": 2**25}
"""Elements of the widest map inside a band, per device; on a CPU it fits the last-level cache."""
LEAST_BAND_ROWS = 16
"""Fewest rows of a band."""


@dataclass(frozen=True)
class Band:
    """Rows of a map that are computed together.

    Attributes:
        rows: the rows of the output.
        read: the rows of the input: the same and the halo of the kernels.
        kept: ``rows`` as a slice of ``read``.
    """

    rows: slice
    read: slice
    kept: slice


def bands(x: Tensor, channels: int, halo: int) -> Iterator[Band]:
    """Cut (N, H, W, C) into bands whose inner maps have ``channels`` channels.

    Args:
        x: the map.
        channels: of the widest map that is computed from it.
        halo: how many rows on either side an output row depends on.
    """
    n, height, width, _ = x.shape
    row_elements = n * width * channels
    rows = max(LEAST_BAND_ROWS, _limit(BAND_ELEMENTS, x) // row_elements)
    if height * row_elements <= WHOLE_ELEMENTS:
        rows = height
    for top in range(0, height, rows):
        bottom = min(height, top + rows)
        first, last = max(0, top - halo), min(height, bottom + halo)
        yield Band(slice(top, bottom), slice(first, last), slice(top - first, bottom - first))


STREAMED_ELEMENTS = {"cpu": 2**23, "cuda": 2**25}
"""Elements of the widest map of which rows are computed at a time, per device. Fewer save more
memory, and calls of the products' kernels cost more than the cache gains."""
_LEAST_ROWS = 2  # the rows that the next ones need


def _limit(elements: Mapping[str, int], x: Tensor) -> int:
    """Return the elements of the device that ``x`` is on."""
    return elements.get(x.device.type, elements["cuda"])


def unchanged(x: Tensor) -> Tensor:
    """Return ``x``: stands where a norm may stand."""
    return x


@dataclass(frozen=True)
class WideConvolution:
    """Pixels are widened, each by itself, and the wide map is convolved depth-wise by 3x3 pixels.

    Attributes:
        widen: maps (N, rows, W, C) to (N, rows, W, K) with K > C.
        taps: the depth-wise convolution of K channels, and its gate.
    """

    widen: Callable[[Tensor], Tensor]
    taps: Taps

    @classmethod
    def of(
        cls,
        point: nn.Conv2d,
        depth: nn.Conv2d,
        norm: Callable[[Tensor], Tensor] = unchanged,
    ) -> WideConvolution:
        """Return that of a 1x1 and a depth-wise 3x3 layer; ``norm`` is applied before both."""
        return cls(
            lambda x: pointwise(norm(x), point.weight, point.bias),
            Taps(depth.weight, gated=False, bias=depth.bias),
        )

    def whole(self, x: Tensor) -> Tensor:
        """Map (N, H, W, C) to (N, H, W, K), or K/2 if gated; gradients flow."""
        return depthwise(self.widen(x), self.taps.weight, self.taps.gated, self.taps.bias)

    def by_rows(self, x: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """Yield consecutive rows of :meth:`whole`, without gradients.

        Rows of ``x`` that were read are not read again, and those that come have been: each may be
        replaced by what is made of it.
        """
        n, height, width, _ = x.shape
        row_elements = n * width * self.taps.weight.shape[0]
        step = max(_LEAST_ROWS, _limit(STREAMED_ELEMENTS, x) // row_elements)
        above: Tensor | None = None
        done = 0
        for top in range(0, height, step):
            bottom = min(height, top + step)
            wide = self.widen(x[:, top:bottom])
            part = depthwise_rows(wide, above, bottom < height, self.taps)
            yield slice(done, done + part.shape[1]), part
            done += part.shape[1]
            above = wide[:, -_LEAST_ROWS:].clone()
            del wide, part  # the next rows have their room
