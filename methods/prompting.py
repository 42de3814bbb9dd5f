"""What prompted networks have in common: who chooses the prompts, and the objective.

A network holds a :class:`Prompting` and is split into ``encode`` and ``decode``; where its
prompts go in is its own affair (methods/promptir.py, methods/plugged.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.method import Batch, Override, Routing
from methods.contrastive import PromptContrast, frozen
from methods.negatives import Usage, wrong_prompts
from methods.options import PromptOptions
from methods.prompts import PromptModule, exploring
from methods.routing import PrivilegedRouter, SharedRouter


class Prompting(nn.Module):
    """Chooses prompts and computes losses for a prompted network that is handed to it.

    Args:
        options: prompts and objective.
        tasks: task names; with a forced choice, task i answers to prompt i.
        levels: where the network's prompts go in.
        channels: of the encoder's first map.
        classifier: frozen module with ``classify``, for ``chooser=classifier``.
    """

    def __init__(
        self,
        options: PromptOptions,
        tasks: tuple[str, ...],
        levels: tuple[str, ...],
        channels: int,
        classifier: nn.Module | None,
    ) -> None:
        super().__init__()
        self.options = options
        self.tasks, self.levels = tasks, levels
        self.classifier = classifier.requires_grad_(False) if classifier is not None else None
        self.contrast = PromptContrast(options) if options.cpr_weight > 0 else None
        self.router = SharedRouter(channels, options) if options.shared_router else None
        self.privileged = PrivilegedRouter(options) if options.privileged_weight else None
        compares = options.cpr_weight > 0 or options.outcome_weight > 0
        remembers = compares and options.cpr_negatives in Usage.KINDS
        self.usage = Usage(levels, tasks, options) if remembers else None

    def train(self, mode: bool = True) -> Prompting:
        """Set the mode; a frozen classifier stays in evaluation mode."""
        super().train(mode)
        if self.classifier is not None:
            self.classifier.eval()
        return self

    def choose(
        self, degraded: Tensor, tasks: tuple[str, ...] | None, levels: tuple[str, ...]
    ) -> Override | None:
        """Return one-hot prompts where the true task or the classifier chooses.

        Raises:
            ValueError: the true task chooses and ``tasks`` were not given.
        """
        if self.options.chooser == "router":
            return None
        if self.classifier is not None:
            with torch.no_grad():
                index = self.classifier.classify(degraded).argmax(dim=-1)  # type: ignore[operator]
        elif tasks is None:
            raise ValueError("prompts are chosen by the true task, and no tasks were given")
        else:
            index = torch.tensor([self.tasks.index(t) for t in tasks], device=degraded.device)
        one_hot = F.one_hot(index, self.options.prompts).to(degraded.dtype)
        return dict.fromkeys(levels, one_hot)

    def share(self, features: Any, override: Override | None) -> tuple[Override, Routing | None]:
        """Return the prompts to force, and the shared router's routing where it chose them."""
        if self.router is None or override:
            return override or {}, None
        routing = self.router(features.maps()[0])
        return dict.fromkeys(self.levels, routing.weights), routing

    def auxiliary(self, routing: Mapping[str, Routing]) -> dict[str, Tensor]:
        """Return the weighted load balance of all routers that decided."""
        routed = [r.load_balancing for r in routing.values() if r.load_balancing is not None]
        terms = {id(term): term for term in routed}
        return {"balance": torch.stack(list(terms.values())).sum()} if terms else {}

    def losses(self, network: Any, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Return L1, auxiliary terms, and what wrong prompts teach: CPR, and the router's outcome.

        The outcome is the mean over samples of the sum over prompts of q log(e / e of the chosen
        ones): q is the router's softmax over the chosen and the wrong prompts, e the mean absolute
        error of what they restored, held fixed. So a router learns from the very passes that CPR
        needs which prompts serve a sample, and no label says it.
        """
        options = self.options
        features = network.encode(batch.degraded, rng)
        override = network.choose(batch.degraded, batch.tasks)
        told = self.privileged(batch.degraded, batch.clean) if self.privileged else None
        if told is not None and options.privileged_choice:
            override = dict.fromkeys(self.levels, told.weights)
        with exploring(network, batch.step, rng):
            decoded = network.decode(features, override)
            if told is not None:
                routing = decoded.routing
                if options.privileged_choice:
                    routing = {"shared": self.router(features.maps()[0])}
        terms = {"l1": F.l1_loss(decoded.restored, batch.clean), **decoded.auxiliary}
        if told is not None:
            terms |= self._follow(told, routing)
        if self.usage is not None:
            self.usage.follow(decoded.routing, batch.tasks)
        in_force = batch.step - options.cpr_start_step
        contrast = self.contrast if in_force >= 0 else None
        if contrast is None and not options.outcome_weight:
            return terms
        negatives = wrong_prompts(decoded.routing, batch.tasks, options, self.usage, rng)
        if negatives is None:
            return {**terms, "cpr": decoded.restored.new_zeros(())}
        # All in one pass: narrow networks spend less on many images at once than one by one.
        count = len(negatives.weights)
        restored = self._decode_negative(
            network, features.repeat(count), negatives.override, contrast is not None
        ).restored
        wrong = list(restored.chunk(count))
        if options.outcome_weight:
            error = torch.stack(
                [_error(image, batch.clean) for image in (decoded.restored, *wrong)]
            )
            gain = (error / error[:1]).log()
            chances = _chances(decoded.routing, negatives.override, count)
            terms["outcome"] = options.outcome_weight * (chances * gain).sum(dim=0).mean()
        if contrast is not None:
            cpr = contrast.compare(decoded.restored, batch.clean, wrong, negatives.weights, network)
            ramp = options.cpr_warmup_steps
            weight = options.cpr_weight * (min(1.0, (in_force + 1) / ramp) if ramp else 1.0)
            terms["cpr"] = weight * cpr
        return terms

    def _follow(self, told: Routing, routing: Mapping[str, Routing]) -> dict[str, Tensor]:
        """Return the privileged router's balance, and how far the others are from it."""
        routers = {id(p): p for r in routing.values() if (p := r.probabilities) is not None}
        target = told.probabilities.detach()
        apart = [-(target * (p + 1e-9).log()).sum(dim=-1).mean() for p in routers.values()]
        following = torch.stack(apart).sum()
        return {
            "balance": told.load_balancing,
            "privileged": self.options.privileged_weight * following,
        }

    def _decode_negative(
        self, network: Any, features: Any, override: Override, teaches: bool
    ) -> Any:
        """Decode under wrong prompts; gradients reach what ``cpr_gradient`` names."""
        if not teaches or self.options.cpr_gradient == "detached":
            with torch.no_grad():
                return network.decode(features, override)
        if self.options.cpr_gradient == "full":
            return network.decode(features, override)
        modules = (m for m in network.modules() if isinstance(m, PromptModule))
        prompts = {id(module.prompt_param) for module in modules}
        with frozen(p for p in network.parameters() if id(p) not in prompts):
            return network.decode(features.detach(), override)


@torch.no_grad()
def _error(restored: Tensor, clean: Tensor) -> Tensor:
    """Return the mean absolute error of each sample, (N,)."""
    return (restored - clean).abs().flatten(1).mean(dim=1).clamp_min(1e-6)


def _chances(routing: Mapping[str, Routing], override: Override, count: int) -> Tensor:
    """Return the router's softmax over chosen and wrong prompts, (1 + count, N).

    The score of a set of prompts is the mean log-probability of its parts, by their weights, summed
    over routers: levels that share a router count once.
    """
    scores: dict[int, Tensor] = {}
    for level, routed in routing.items():
        if routed.probabilities is None:
            raise ValueError("an outcome teaches a router, and none chose")
        log = (routed.probabilities + 1e-9).log()
        chosen = torch.stack([routed.weights, *override[level].chunk(count)]).detach()
        shares = chosen / chosen.sum(dim=-1, keepdim=True).clamp_min(1e-9)
        scores[id(routed.probabilities)] = (shares * log).sum(dim=-1)
    return torch.stack(list(scores.values())).sum(dim=0).softmax(dim=0)
