"""Channel attention of one feature map to another, as AdaIR, MoCE-IR and DFPIR use it.

Follows c-yn/AdaIR, net/model.py, and eduardzamfir/MoCE-IR, net/moce_ir.py, with the state-dict
keys of both. Maps are (N, H, W, C).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from methods.attention import attend, attend_by_parts
from methods.convolutions import conv1x1, conv_per_channel, pointwise
from methods.kernels.depthwise import depthwise
from methods.row_bands import bands


class CrossAttention(nn.Module):
    """Channel attention whose queries come from one map, its keys and values from another.

    Args:
        channels: C of both maps.
        heads: attention heads, which divide C.
        kv_kernel_px: side of the depth-wise kernel of keys and values: 3 in AdaIR, 7 in MoCE-IR.
    """

    def __init__(self, channels: int, heads: int, kv_kernel_px: int = 3) -> None:
        super().__init__()
        self.kv_kernel_px = kv_kernel_px
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.q = conv1x1(channels, channels)
        self.q_dwconv = conv_per_channel(channels)
        self.kv = conv1x1(channels, 2 * channels)
        self.kv_dwconv = conv_per_channel(2 * channels, kv_kernel_px)
        self.project_out = conv1x1(channels, channels)

    def forward(self, query_map: Tensor, value_map: Tensor) -> Tensor:
        """Attend from ``query_map`` (N, H, W, C) to ``value_map``; all shapes are the same."""
        weight = self.project_out.weight.flatten(1)
        if torch.is_grad_enabled():
            qkv = self.mix(query_map, value_map).flatten(1, 2)
            out = attend(qkv, self.temperature, weight)
        else:
            pixels = query_map.shape[1] * query_map.shape[2]
            parts = self.mix_by_bands(query_map, value_map)
            out = attend_by_parts(parts, pixels, self.temperature, weight)
        return out.unflatten(1, query_map.shape[1:3])

    def mix(self, query_map: Tensor, value_map: Tensor) -> Tensor:
        """Return queries, keys and values (N, H, W, 3C), next to each other."""
        projected = pointwise(query_map, self.q.weight)
        q = depthwise(projected, self.q_dwconv.weight, gated=False)
        projected = pointwise(value_map, self.kv.weight)
        if self.kv_kernel_px == 3:
            kv = depthwise(projected, self.kv_dwconv.weight, gated=False)
        else:
            kv = self.kv_dwconv(projected.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return torch.cat([q, kv], dim=-1)

    def mix_by_bands(self, query_map: Tensor, value_map: Tensor) -> Iterator[Tensor]:
        """Yield what :meth:`mix` returns as (N, pixels, 3C), one band of rows after the other."""
        width = 3 * query_map.shape[-1]
        for band in bands(query_map, width, halo=self.kv_kernel_px // 2):
            mixed = self.mix(query_map[:, band.read], value_map[:, band.read])
            yield mixed[:, band.kept].flatten(1, 2)
