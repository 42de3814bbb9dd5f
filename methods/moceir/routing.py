"""The router: which experts restore an image, and how evenly a batch uses them.

Follows Zamfir et al., "Complexity Experts are Task-Discriminative Learners for Any Image
Restoration", CVPR 2025 (arXiv 2411.18466), repository eduardzamfir/MoCE-IR, net/moce_ir.py, with
the same state-dict keys. Importance and load are those of Shazeer et al., "Outrageously Large
Neural Networks", ICLR 2017 (arXiv 1701.06538), section 4 and appendix A.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_EPSILON = 1e-8


@dataclass(frozen=True)
class Choice:
    """Experts chosen for each sample.

    Attributes:
        gates: (N, experts) float32, the softmax over all experts; not renormalised.
        kept: (N, k), the experts that run, the likeliest first.
        balance: how unevenly the batch uses the experts, 0 where it is even; a scalar.
    """

    gates: Tensor
    kept: Tensor
    balance: Tensor


class Router(nn.Module):
    """Scores experts by the mean feature and by the frequencies of the deepest features.

    Args:
        channels: C of the features.
        embedding: channels of the frequency embedding.
        complexity: parameters of each expert; kept as shares of the largest.
        expert_top_k: how many experts run for a sample.
        with_complexity: whether importance counts in proportion to the complexity.
    """

    def __init__(
        self,
        channels: int,
        embedding: int,
        complexity: Sequence[int],
        expert_top_k: int,
        with_complexity: bool,
    ) -> None:
        super().__init__()
        experts = len(complexity)
        self.top_k = expert_top_k
        self.with_complexity = with_complexity
        # Published checkpoints hold the gate as the third of a sequence, and the complexity.
        self.gate = nn.ModuleDict({"2": nn.Linear(channels, experts, bias=False)})
        self.freq_gate = nn.Linear(embedding, experts, bias=False)
        parameters = torch.tensor([float(count) for count in complexity])
        self.register_buffer("complexity", parameters / parameters.max())

    @property
    def noise_std(self) -> float:
        """Standard deviation of the noise on the scores, for which the load is defined too."""
        return 1 / self.freq_gate.out_features

    def forward(self, x: Tensor, embedding: Tensor, noise: Tensor | None) -> Choice:
        """Choose experts for (N, H, W, C) and frequency embeddings (N, D).

        ``noise`` (N, experts) is standard normal; None chooses by the scores alone.
        """
        # Near ties decide which expert runs: not a matter for bfloat16.
        with torch.autocast(x.device.type, enabled=False):
            mean = x.mean(dim=(1, 2), dtype=torch.float32)
            scores = self.gate["2"](mean) + self.freq_gate(embedding.float())
            noisy = scores if noise is None else scores + noise * self.noise_std
            gates = noisy.softmax(dim=-1)
            kept = gates.topk(self.top_k, dim=-1).indices
            balance = 0.5 * self._importance(scores) + 0.5 * self._load(scores, noisy)
        return Choice(gates, kept, balance)

    def _importance(self, scores: Tensor) -> Tensor:
        """Return how unevenly the batch's probabilities fall on the experts."""
        importance = scores.softmax(dim=-1).sum(dim=0)
        return variation(importance * self.complexity if self.with_complexity else importance)

    def _load(self, scores: Tensor, noisy: Tensor) -> Tensor:
        """Return how unevenly the experts would be kept, were the noise drawn anew.

        An expert is kept if its score and noise pass the least of those kept now.
        """
        least = noisy.topk(self.top_k, dim=-1).values[:, -1:]
        kept = torch.special.ndtr((scores - least) / self.noise_std)
        return variation(kept.mean(dim=0))


def variation(values: Tensor) -> Tensor:
    """Return the squared coefficient of variation of (experts,), variance over n - 1."""
    return values.var() / (values.mean() + _EPSILON).square()


def keyed_noise(images: Tensor, blocks: int, experts: int) -> Tensor:
    """Return standard normal noise (N, blocks, experts), keyed by each image's content."""
    drawn = []
    for image in images.detach().float().cpu():
        rng = torch.Generator().manual_seed(zlib.crc32(image.contiguous().numpy().tobytes()))
        drawn.append(torch.randn(blocks, experts, generator=rng))
    return torch.stack(drawn).to(images.device)


class FrequencyEmbedding(nn.Module):
    """Summarises the high frequencies of the deepest features.

    The published code means to freeze the high-pass kernel, but assigns to a method's name, so
    it trains; so it does here.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.high_conv = nn.Sequential(_HighPass(channels), nn.GELU())
        self.mlp = nn.Sequential(
            nn.Linear(channels, 2 * channels), nn.GELU(), nn.Linear(2 * channels, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C)."""
        return self.mlp(self.high_conv(x).mean(dim=(-2, -1)))


class _HighPass(nn.Module):
    """Starts as the Laplacian of each channel, diagonals included."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        laplacian = F.pad(torch.full((1, 1), 9.0), (1, 1, 1, 1)) - 1
        with torch.no_grad():
            self.conv.weight.copy_(laplacian.expand_as(self.conv.weight))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)
