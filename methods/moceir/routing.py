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
from torch import Tensor, nn

from methods.moceir.losses import squared_variation


@dataclass(frozen=True)
class Choice:
    """Experts chosen for each sample.

    Attributes:
        gates: (N, experts) float32, the softmax over all experts; not renormalised.
        selected: (N, k), the experts that run, the most probable first.
        load_balancing: how unevenly the batch uses the experts, 0 where it is even; a scalar.
    """

    gates: Tensor
    selected: Tensor
    load_balancing: Tensor


class Router(nn.Module):
    """Scores experts by the mean feature and by the frequencies of the deepest features.

    Args:
        channels: C of the features.
        embedding: channels of the frequency embedding.
        complexity: parameters of each expert; the buffer holds them as shares of the largest.
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
        # Near ties decide which expert runs, and bfloat16 cannot resolve them.
        with torch.autocast(x.device.type, enabled=False):
            mean = x.mean(dim=(1, 2), dtype=torch.float32)
            scores = self.gate["2"](mean) + self.freq_gate(embedding.float())
            noisy = scores if noise is None else scores + noise * self.noise_std
            gates = noisy.softmax(dim=-1)
            selected = gates.topk(self.top_k, dim=-1).indices
            load_balancing = 0.5 * self.importance(scores) + 0.5 * self.load(scores, noisy)
        return Choice(gates, selected, load_balancing)

    def importance(self, scores: Tensor) -> Tensor:
        """Return how unevenly the probabilities of ``scores`` (N, experts) are distributed."""
        importance = scores.softmax(dim=-1).sum(dim=0)
        if self.with_complexity:
            importance = importance * self.complexity
        return squared_variation(importance)

    def load(self, scores: Tensor, noisy: Tensor) -> Tensor:
        """Return how unevenly the experts would be selected if the noise were drawn anew.

        An expert is selected if its score and noise exceed the least of those selected now.
        ``scores`` and ``noisy``, the scores with their noise, are (N, experts).
        """
        least = noisy.topk(self.top_k, dim=-1).values[:, -1:]
        probability = torch.special.ndtr((scores - least) / self.noise_std)
        return squared_variation(probability.mean(dim=0))


def keyed_noise(images: Tensor, blocks: int, experts: int) -> Tensor:
    """Return standard normal noise (N, blocks, experts), keyed by each image's content."""
    drawn = []
    for image in images.detach().float().cpu():
        rng = torch.Generator().manual_seed(zlib.crc32(image.contiguous().numpy().tobytes()))
        drawn.append(torch.randn(blocks, experts, generator=rng))
    return torch.stack(drawn).to(images.device, non_blocking=True)
