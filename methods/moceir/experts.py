"""Experts of rising width and window, and the layer that sends each sample to its own.

Follows Zamfir et al., CVPR 2025 (arXiv 2411.18466), repository eduardzamfir/MoCE-IR,
net/moce_ir.py, with the same state-dict keys. Maps are (N, H, W, C).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.blocks import LayerNorm
from methods.convolutions import conv1x1, pointwise
from methods.kernels.depthwise import depthwise
from methods.moceir.routing import Choice, Router
from methods.moceir.spec import MoCEIROptions


class WindowAttention(nn.Module):
    """Circular convolution of queries with keys in each window, then a product with values.

    Windows that reach beyond the map are padded with zeros.

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
        projected = pointwise(x, self.q.weight)
        q = depthwise(projected, self.q_dwconv.weight, gated=False, bias=self.q_dwconv.bias)
        projected = pointwise(x, self.kv.weight)
        kv = self.kv_dwconv(projected.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        k, v = kv.chunk(2, dim=-1)
        out = self.norm(self.convolve(q, k)) * v
        return pointwise(out, self.proj_out.weight, self.proj_out.bias)

    def convolve(self, q: Tensor, k: Tensor) -> Tensor:
        """Convolve (N, H, W, C) with ``k`` of the same shape, circularly in each window."""
        (_, height, width, _), side = q.shape, self.window_px
        # torch.fft has no bfloat16.
        q_spectrum = torch.fft.rfft2(self._windows(q.float()), dim=(2, 4))
        k_spectrum = torch.fft.rfft2(self._windows(k.float()), dim=(2, 4))
        out = torch.fft.irfft2(q_spectrum * k_spectrum, s=(side, side), dim=(2, 4))
        return out.flatten(3, 4).flatten(1, 2)[:, :height, :width].to(q.dtype)

    def _windows(self, x: Tensor) -> Tensor:
        """View (N, H, W, C) as (N, rows, side, columns, side, C)."""
        height, width, side = *x.shape[1:3], self.window_px
        x = F.pad(x, (0, 0, 0, -width % side, 0, -height % side))
        return x.unflatten(2, (-1, side)).unflatten(1, (-1, side))


class Expert(nn.Module):
    """Attends in a subspace of ``rank`` channels, gated by the shared branch; residual.

    Args:
        channels: C.
        rank: channels of the subspace.
        window_px: side of the attention windows.
    """

    def __init__(self, channels: int, rank: int, window_px: int) -> None:
        super().__init__()
        self.proj = nn.ModuleList(
            [conv1x1(channels, rank), conv1x1(channels, rank), conv1x1(rank, channels)]
        )
        self.body = WindowAttention(rank, window_px)

    def forward(self, x: Tensor, shared: Tensor) -> Tensor:
        """Map two (N, H, W, C) to one."""
        inwards, gate, outwards = self.proj
        attended = self.body(pointwise(x, inwards.weight))
        gated = attended * F.silu(pointwise(shared, gate.weight))
        return pointwise(gated, outwards.weight) + x


class ExpertLayer(nn.Module):
    """Runs each sample through the experts that the router selects for it.

    Args:
        channels: C.
        embedding: channels of the frequency embedding.
        options: number of experts and how they are chosen.
    """

    def __init__(self, channels: int, embedding: int, options: MoCEIROptions) -> None:
        super().__init__()
        self.experts = nn.ModuleList()
        complexity = []
        for index in range(options.experts):
            rank = channels // 2 ** (options.experts - 1 - index)
            expert = Expert(channels, rank, window_px=2 ** (index + 2))
            # Published keys hold each expert as the only one of a sequence.
            self.experts.append(nn.Sequential(expert))
            complexity.append(sum(p.numel() for p in expert.parameters()))
        self.proj_out = conv1x1(channels, channels)
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
            The map, and the router's load balancing.
        """
        choice = self.routing(x, embedding, noise)
        restored = self._restore(x, shared, choice)
        return pointwise(restored, self.proj_out.weight), choice.load_balancing

    def _restore(self, x: Tensor, shared: Tensor, choice: Choice) -> Tensor:
        """Return the sum over selected experts of gate x expert, per sample."""
        samples_of = _samples_of_experts(choice.selected, len(self.experts))
        gates = self._with_idle_gradients(choice.gates, samples_of)
        outputs, indices = [], []
        for index, samples in enumerate(samples_of):
            if not samples:
                continue
            (expert,) = self.experts[index]
            chosen = torch.tensor(samples).to(x.device, non_blocking=True)
            all_samples = len(samples) == len(x)
            y = expert(x, shared) if all_samples else expert(x[chosen], shared[chosen])
            outputs.append(y * gates[chosen, index].to(y.dtype)[:, None, None, None])
            indices.append(chosen)
        if len(outputs) == 1:
            return outputs[0]
        merged = torch.cat(outputs)
        return torch.zeros_like(x, dtype=merged.dtype).index_add(0, torch.cat(indices), merged)

    def _with_idle_gradients(self, gates: Tensor, samples_of: list[list[int]]) -> Tensor:
        """Return ``gates``, of which experts without a sample have the gradient zero.

        Without it they would have no gradient at all, and data-parallel workers, whose samples
        choose other experts, sum the gradients of all of them.
        """
        if not torch.is_grad_enabled():
            return gates
        sums = []
        for expert, samples in zip(self.experts, samples_of, strict=True):
            if not samples:
                sums.extend(parameter.sum() for parameter in expert.parameters())
        return gates + 0 * torch.stack(sums).sum() if sums else gates


def _samples_of_experts(selected: Tensor, experts: int) -> list[list[int]]:
    """Return for each expert the indices of the samples that selected it, in (N, k)."""
    samples_of: list[list[int]] = [[] for _ in range(experts)]
    for sample, chosen in enumerate(selected.tolist()):
        for index in chosen:
            samples_of[index].append(sample)
    return samples_of
