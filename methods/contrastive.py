"""Contrastive prompt regularisation (CPR): wrong prompts must not restore well.

CPL (arXiv 2504.09973) states the principle and draws it: the same features decoded under
prompts that were not chosen give negatives, from which the output is pushed away while it is
pulled to the ground truth. The formula is not public, so its form is a choice here, after the
authors' documented precedents. With d(a, b) = sum over feature layers of w * mean |f(a) - f(b)|:

- ``ratio``: sum over layers of w * d+ / (mean over negatives of d- + 1e-7), the form of
  PCL (Aitical/PCL-SISR, src/loss/cl.py), also OneRestore's;
- ``difference``: d+ - push * mean d-, the form of MCIR (Aitical/MCLIR,
  basicsr/models/sr_neg_model.py), where the distance to negatives is subtracted;
- ``margin``: mean over negatives of max(0, margin + d+ - d-), bounded below by zero.

d+ is d(output, clean), d- is d(output, negative).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from harness.method import Batch, Decoded, Override, Routing
from methods.features import Pixels, Vgg16
from methods.options import PromptOptions

_EPSILON = 1e-7
Decode = Callable[[Any, Override], Decoded]


class PromptContrast(nn.Module):
    """CPR with the form, features and negatives of the options; has no parameters to train."""

    def __init__(self, options: PromptOptions) -> None:
        super().__init__()
        self.options = options
        self.features = Vgg16() if options.cpr_features == "vgg16" else Pixels()

    def forward(
        self,
        decode: Decode,
        features: Any,
        decoded: Decoded,
        batch: Batch,
        rng: torch.Generator,
    ) -> Tensor:
        """Return the weighted CPR term of a batch; zero where no negative is defined in it.

        Args:
            decode: the network's decoder, with gradients to what the negatives teach.
            features: the positive pass's encoder features, shared by the negatives.
            decoded: the positive pass.
            batch: clean images and, for negatives of another task, the tasks.
            rng: source of the choice of negatives.
        """
        overrides = wrong_prompts(decoded.routing, batch.tasks, self.options, rng)
        if not overrides:
            return decoded.restored.new_zeros(())
        # All in one pass: narrow networks spend less on many images at once than one by one.
        together = {level: torch.cat([o[level] for o in overrides]) for level in overrides[0]}
        restored = decode(features.repeat(len(overrides)), together).restored
        negatives = list(restored.chunk(len(overrides)))
        ramp = self.options.cpr_warmup_steps
        weight = self.options.cpr_weight * (min(1.0, (batch.step + 1) / ramp) if ramp else 1.0)
        return weight * self.compare(decoded.restored, batch.clean, negatives)

    def compare(self, output: Tensor, clean: Tensor, negatives: list[Tensor]) -> Tensor:
        """Return the unweighted loss of ``output`` against ``clean`` and the negatives."""
        ours = self.features(output)
        with torch.no_grad():
            target = self.features(clean)
        pull = self._distances(ours, target)
        push = torch.stack([self._distances(ours, self.features(n)) for n in negatives])
        weights = pull.new_tensor(self.features.weights)
        if self.options.cpr_form == "ratio":
            return (weights * pull / (push.mean(dim=0) + _EPSILON)).sum()
        positive, negative = (weights * pull).sum(), (weights * push).sum(dim=-1)
        if self.options.cpr_form == "difference":
            return positive - self.options.cpr_push * negative.mean()
        return (self.options.cpr_margin + positive - negative).clamp_min(0).mean()

    @staticmethod
    def _distances(a: list[Tensor], b: list[Tensor]) -> Tensor:
        return torch.stack([(x - y).abs().mean() for x, y in zip(a, b, strict=True)])


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


def wrong_prompts(
    routing: Any, tasks: tuple[str, ...], options: PromptOptions, rng: torch.Generator
) -> list[Override]:
    """Return up to ``cpr_count`` sets of prompts that the samples did not choose.

    Weights carry no gradient to the router. A wrong prompt gets the total weight of the
    kept ones, so that its loudness does not give it away.
    """
    if options.cpr_negatives == "other-task":
        return _other_task(routing, tasks, options.cpr_count, rng)
    overrides: list[dict[str, Tensor]] = [{} for _ in range(options.cpr_count)]
    for level, routed in routing.items():
        weights = routed.weights.detach()
        unselected = (weights == 0).to(weights.dtype)
        total = weights.sum(dim=-1, keepdim=True)
        if options.cpr_negatives == "mixture":
            # A router that is certain leaves nothing to the others: then they share alike.
            mixed = (_probabilities(routed) + 1e-6) * unselected
            overrides[0][level] = total * mixed / mixed.sum(dim=-1, keepdim=True)
            continue
        keys = torch.rand(weights.shape, generator=rng).to(weights.device) + unselected
        order = keys.argsort(dim=-1, descending=True)
        for number, override in enumerate(overrides):
            chosen = order[:, number : number + 1]
            override[level] = torch.zeros_like(weights).scatter(-1, chosen, 1.0) * total
    return list(overrides)


def _probabilities(routed: Routing) -> Tensor:
    if routed.probabilities is None:
        raise ValueError("a mixture of unselected prompts needs a router")
    return routed.probabilities.detach()


def _other_task(
    routing: Any, tasks: tuple[str, ...], count: int, rng: torch.Generator
) -> list[Override]:
    """Give every sample the routing of a random sample of another task in the batch."""
    different = torch.tensor([[a != b for b in tasks] for a in tasks], dtype=torch.float32)
    if not bool(different.any(dim=-1).all()):
        # Some sample has no other task beside it; such a batch says nothing on wrong prompts.
        return []
    donors = torch.multinomial(different, count, replacement=True, generator=rng)
    return [
        {
            level: routed.weights.detach()[donors[:, number].to(routed.weights.device)]
            for level, routed in routing.items()
        }
        for number in range(count)
    ]
