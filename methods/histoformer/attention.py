"""Histogram attention: pixels are sorted by intensity, and attend within and across bins.

Follows Sun et al., "Restoring Images in Adverse Weather Conditions via Histogram Transformer",
ECCV 2024 (arXiv 2407.10172), repository sunshangquan/Histoformer,
basicsr/models/archs/histoformer_arch.py, with its state-dict keys.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.convolutions import conv1x1, conv_per_channel


class SortedPlane(NamedTuple):
    """A map sorted along its columns and then along its rows, and how to undo that.

    Attributes:
        values: (N, C, H, W).
        rows: row that each value came from, at the first sort.
        columns: column that each value came from, at the second.
    """

    values: Tensor
    rows: Tensor
    columns: Tensor

    def restore_places(self, x: Tensor) -> Tensor:
        """Put the values of ``x`` (N, C, H, W) back where those of this map came from."""
        unsorted = torch.zeros_like(x).scatter(-1, self.columns, x)
        return torch.zeros_like(x).scatter(-2, self.rows, unsorted)


def sort_plane(x: Tensor) -> SortedPlane:
    """Sort (N, C, H, W) upwards along the height, and the result along the width."""
    by_height, rows = x.sort(dim=-2)
    values, columns = by_height.sort(dim=-1)
    return SortedPlane(values, rows, columns)


class HistogramAttention(nn.Module):
    """Channel attention over bins of pixels that are sorted by the intensity of their values.

    There are as many bins as heads. In one of two attentions a bin is a run of consecutive pixels,
    in the other it holds pixels at equal distances. The two results are multiplied.

    Args:
        channels: channels of the map.
        heads: attention heads, which divide the channels, and bins.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = conv1x1(channels, 5 * channels)
        self.qkv_dwconv = conv_per_channel(5 * channels)
        self.project_out = conv1x1(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        half = x.shape[1] // 2
        plane = sort_plane(x[:, :half])
        mixed = self.qkv_dwconv(self.qkv(torch.cat([plane.values, x[:, half:]], dim=1)))
        q1, k1, q2, k2, v = mixed.flatten(2).chunk(5, dim=1)
        values, order = v.sort(dim=-1)
        # Both results are in sorted order, so their product is brought back once.
        runs = self._attend(q1.gather(-1, order), k1.gather(-1, order), values, strided=False)
        strided = self._attend(q2.gather(-1, order), k2.gather(-1, order), values, strided=True)
        product = runs * strided
        attended = torch.zeros_like(product).scatter(-1, order, product).unflatten(-1, x.shape[2:])
        out = self.project_out(attended)
        return torch.cat([plane.restore_places(out[:, :half]), out[:, half:]], dim=1)

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, strided: bool) -> Tensor:
        """Attend between the bins of (N, C, L), whose pixels are in sorted order."""
        pixels = q.shape[-1]
        queries, keys, values = (self._bins(x, strided) for x in (q, k, v))
        similarity = F.normalize(queries, dim=-1) @ F.normalize(keys, dim=-1).transpose(-2, -1)
        # The published softmax has one more logit of zero, and subtracts no maximum.
        weights = (similarity * self.temperature).exp()
        attention = weights / (weights.sum(dim=-1, keepdim=True) + 1)
        return self._pixels(attention @ values, q.shape[1], strided)[..., :pixels]

    def _bins(self, x: Tensor, strided: bool) -> Tensor:
        """Arrange (N, C, L) as (N, heads, C / heads * bins, pixels of a bin).

        The last bin is filled with zeros.
        """
        heads = len(self.temperature)
        padded = F.pad(x, (0, -x.shape[-1] % heads))
        if strided:
            bins = padded.unflatten(-1, (-1, heads)).transpose(-2, -1)
        else:
            bins = padded.unflatten(-1, (heads, -1))
        return bins.unflatten(1, (heads, -1)).flatten(2, 3)

    def _pixels(self, bins: Tensor, channels: int, strided: bool) -> Tensor:
        """Undo :meth:`_bins`, but for the zeros."""
        heads = len(self.temperature)
        x = bins.unflatten(2, (channels // heads, heads)).flatten(1, 2)
        return (x.transpose(-2, -1) if strided else x).flatten(2)
