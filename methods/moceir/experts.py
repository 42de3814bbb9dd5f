"""Experts of rising width and window, and the layer that sends each sample to its own.

Follows Zamfir et al., CVPR 2025 (arXiv 2411.18466), repository eduardzamfir/MoCE-IR,
net/moce_ir.py, with the same state-dict keys. Maps are (N, H, W, C).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.blocks import LayerNorm, conv1x1, pointwise
from methods.kernels.depthwise import depthwise
from methods.moceir.routing import Choice, Router
from methods.moceir.spec import MoCEIROptions


def depthwise7(x: Tensor, layer: nn.Conv2d) -> Tensor:
    """Convolve each channel of (N, H, W, C) with its own 7x7 taps, zeros outside."""
    y = F.conv2d(x.permute(0, 3, 1, 2), layer.weight, layer.bias, padding=3, groups=x.shape[-1])
    return y.permute(0, 2, 3, 1)


class WindowAttention(nn.Module):
    """Circular convolution of queries with keys in each window, then a product with values.

    Windows that reach beyond the map are filled up with zeros.

    Args:
        channels: C.
        window_px: side of a window.
    """

    def __init__(self, channels: int, window_px: int) -> None:
        super().__init__()
        self.window_px = window_px
        self.q = conv1x1(channels, channels)
        self.q_dwconv = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.kv = conv1x1(channels, 2 * channels)
        self.kv_dwconv = nn.Conv2d(2 * channels, 2 * channels, 7, padding=3, groups=2 * channels)
        self.norm = LayerNorm(channels)
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, H, W, C) to the same shape."""
        mixed = pointwise(x, self.q.weight)
        q = depthwise(mixed, self.q_dwconv.weight, gated=False, bias=self.q_dwconv.bias)
        k, v = depthwise7(pointwise(x, self.kv.weight), self.kv_dwconv).chunk(2, dim=-1)
        out = self.norm(self._convolve(q, k)) * v
        return pointwise(out, self.proj_out.weight, self.proj_out.bias)

    def _convolve(self, q: Tensor, k: Tensor) -> Tensor:
        (_, height, width, _), side = q.shape, self.window_px
        # Transforms know no bfloat16.
        spectra = [torch.fft.rfft2(self._windows(x.float()), dim=(2, 4)) for x in (q, k)]
        out = torch.fft.irfft2(spectra[0] * spectra[1], s=(side, side), dim=(2, 4))
        return out.flatten(3, 4).flatten(1, 2)[:, :height, :width].to(q.dtype)

    def _windows(self, x: Tensor) -> Tensor:
        """View (N, H, W, C) as (N, rows, side, columns, side, C)."""
        height, width, side = *x.shape[1:3], self.window_px
        x = F.pad(x, (0, 0, 0, -width % side, 0, -height % side))
        return x.unflatten(2, (-1, side)).unflatten(1, (-1, side))


class Expert(nn.Module):
    """Attends in a subspace of ``rank`` channels, gated by the shared branch; residual."""

    def __init__(self, channels: int, rank: int, window_px: int) -> None:
        super().__init__()
        self.proj = nn.ModuleList(
            [conv1x1(channels, rank), conv1x1(channels, rank), conv1x1(rank, channels)]
        )
        self.body = WindowAttention(rank, window_px)

    def forward(self, x: Tensor, shared: Tensor) -> Tensor:
        """Map two (N, H, W, C) to one."""
        inwards, gate, outwards = (layer.weight for layer in self.proj)
        y = self.body(pointwise(x, inwards)) * F.silu(pointwise(shared, gate))
        return pointwise(y, outwards) + x


class ExpertLayer(nn.Module):
    """Runs each sample through the experts that the router keeps for it.

    Args:
        channels: C.
        embedding: channels of the frequency embedding.
        options: number of experts and how they are chosen.
    """

    def __init__(self, channels: int, embedding: int, options: MoCEIROptions) -> None:
        super().__init__()
        ranks = [channels // 2**i for i in reversed(range(options.experts))]
        # Published keys hold each expert as the only one of a sequence.
        self.experts = nn.ModuleList(
            nn.Sequential(Expert(channels, rank, window_px=2 ** (i + 2)))
            for i, rank in enumerate(ranks)
        )
        self.proj_out = conv1x1(channels, channels)
        complexity = [sum(p.numel() for p in expert.parameters()) for expert in self.experts]
        self.routing = Router(
            channels, embedding, complexity, options.expert_top_k, options.with_complexity
        )

    def forward(
        self, x: Tensor, embedding: Tensor, shared: Tensor, noise: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Map (N, H, W, C), gated by ``shared`` of the same shape, to the same shape.

        Args:
            x: what is restored.
            embedding: (N, D), the frequency embedding.
            shared: what gates the experts.
            noise: (N, experts) standard normal, or None.

        Returns:
            The map, and the router's balance.
        """
        choice = self.routing(x, embedding, noise)
        return pointwise(self._dispatch(x, shared, choice), self.proj_out.weight), choice.balance

    def _dispatch(self, x: Tensor, shared: Tensor, choice: Choice) -> Tensor:
        """Return the sum over kept experts of gate x expert, per sample."""
        kept: list[list[int]] = choice.kept.tolist()
        users = [
            [sample for sample, experts in enumerate(kept) if index in experts]
            for index in range(len(self.experts))
        ]
        gates = choice.gates
        if torch.is_grad_enabled() and not all(users):
            # An expert that nobody needs has the gradient zero, and not none: data parallel
            # workers, whose samples choose otherwise, sum over all of them.
            idle = [e for e, samples in zip(self.experts, users, strict=True) if not samples]
            gates = gates + 0 * torch.stack([p.sum() for e in idle for p in e.parameters()]).sum()
        outputs, places = [], []
        for index, samples in enumerate(users):
            if not samples:
                continue
            (expert,) = self.experts[index]
            place = torch.tensor(samples, device=x.device)
            everyone = len(samples) == len(kept)
            y = expert(x, shared) if everyone else expert(x[place], shared[place])
            outputs.append(y * gates[place, index].to(y.dtype)[:, None, None, None])
            places.append(place)
        if len(outputs) == 1:
            return outputs[0]
        merged = torch.cat(outputs)
        return torch.zeros_like(x, dtype=merged.dtype).index_add(0, torch.cat(places), merged)
