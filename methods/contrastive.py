"""Contrastive prompt regularisation (CPR): wrong prompts must not restore well.

CPL (arXiv 2504.09973) states the principle and draws it: the same features decoded under
prompts that were not chosen give negatives, from which the output is pushed away while it is
pulled to the ground truth. The formula is not public, so its form is a choice here, after the
authors' documented precedents. With d(a, b) = sum over feature layers of w * mean |f(a) - f(b)|:

- ``ratio``: sum over layers of w * d+ / (mean over negatives of d- + 1e-7), the form of
  PCL (Aitical/PCL-SISR, src/loss/cl.py), also OneRestore's;
- ``difference``: d+ - push * mean d-, the form of MCIR (Aitical/MCLIR,
  basicsr/models/sr_neg_model.py), where the distance to negatives is subtracted;
- ``margin``: mean over samples and negatives of max(0, margin + d+ - d-), bounded below by zero;
- ``margin-db``: the same of max(0, margin - 20 log10(e- / e+)), in dB: e is the distance to the
  ground truth, so that an image which is easy to restore is pushed as far as a hard one;
- ``infonce``: mean over samples of log(1 + sum over negatives of exp((d+ - d-) / tau)), the form of
  van den Oord et al., 2018 (arXiv 1807.03748) with distances for similarities.

d+ is d(output, clean), d- is d(output, negative).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from harness.method import OptionError
from methods.features import Pixels, Vgg16
from methods.options import PromptOptions

_EPSILON = 1e-7
_LEAST = 1e-4
"""Distances below a fortieth of a grey level of 255 count as one, where a logarithm is taken."""


class PromptContrast(nn.Module):
    """CPR with the form and features of the options; has no parameters to train."""

    def __init__(self, options: PromptOptions) -> None:
        super().__init__()
        self.options = options
        if options.cpr_features != "encoder":
            self.space = Vgg16() if options.cpr_features == "vgg16" else Pixels()

    def compare(
        self,
        output: Tensor,
        clean: Tensor,
        negatives: list[Tensor],
        weights: Tensor | None = None,
        network: Any = None,
    ) -> Tensor:
        """Return the unweighted loss of ``output`` against ``clean`` and the negatives.

        Args:
            output: (N, 3, H, W).
            clean: the same.
            negatives: each the same.
            weights: (negatives, N), how much each counts; all alike without.
            network: whose encoder gives the features, where the options say so.
        """
        options = self.options
        ours, layers = self._features(output, network)
        with torch.no_grad():
            target, _ = self._features(clean, network)
        others = [self._features(negative, network)[0] for negative in negatives]
        pull = _distances(ours, target)  # (layers, N)
        push = torch.stack([_distances(ours, other) for other in others])  # (negatives, layers, N)
        of_layers = pull.new_tensor(layers)[:, None]
        if weights is None:
            weights = pull.new_ones(len(negatives), len(output))
        error = None
        if options.cpr_form == "margin-db":
            error = torch.stack([(of_layers * _distances(o, target)).sum(dim=0) for o in others])
        if options.cpr_hardest:
            hardness = torch.stack([_distances(o, target).mean(dim=0) for o in others])
            hardest = hardness.argmin(dim=0, keepdim=True)
            push = push.gather(0, hardest[:, None].expand(1, *push.shape[1:]))
            weights = weights.gather(0, hardest)
            error = None if error is None else error.gather(0, hardest)
        positive, negative = (of_layers * pull).sum(dim=0), (of_layers * push).sum(dim=1)
        if options.cpr_form == "ratio":
            by_layer = pull.mean(dim=-1) / (push.mean(dim=(0, -1)) + _EPSILON)
            return (of_layers[:, 0] * by_layer).sum() * weights.mean()
        if options.cpr_form == "difference":
            return positive.mean() - options.cpr_push * (weights * negative).mean()
        if options.cpr_form == "infonce":
            ratios = weights * ((positive - negative) / options.cpr_tau).exp()
            return ratios.sum(dim=0).log1p().mean()
        if error is not None:
            apart = (error.clamp_min(_LEAST) / positive.clamp_min(_LEAST)).log() * 20 / math.log(10)
            return (weights * (options.cpr_margin_db - apart).clamp_min(0)).mean()
        return (weights * (options.cpr_margin + positive - negative).clamp_min(0)).mean()

    def _features(self, image: Tensor, network: Any) -> tuple[list[Tensor], tuple[float, ...]]:
        """Return feature maps of ``image`` and the weight of each."""
        if self.options.cpr_features != "encoder":
            return self.space(image), self.space.weights
        # The encoder measures here; it must not learn to find wrong restorations far away.
        with frozen(network.parameters()):
            encoded = network.encode(image)
        if not hasattr(encoded, "maps"):
            raise OptionError(
                f"cpr_features=encoder needs an encoder whose features have maps(), and "
                f"{type(encoded).__name__} has none; use cpr_features=pixels"
            )
        maps = encoded.maps()
        return maps, (1 / len(maps),) * len(maps)


def _distances(a: list[Tensor], b: list[Tensor]) -> Tensor:
    """Return the mean absolute difference per layer and sample, (layers, N)."""
    return torch.stack([(x - y).abs().flatten(1).mean(dim=1) for x, y in zip(a, b, strict=True)])


@contextmanager
def frozen(parameters: Iterable[nn.Parameter]) -> Iterator[None]:
    """Keep ``parameters`` out of graphs recorded meanwhile; earlier graphs still train them."""
    held = [p for p in parameters if p.requires_grad]
    for parameter in held:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in held:
            parameter.requires_grad_(True)
