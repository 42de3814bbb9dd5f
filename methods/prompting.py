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

from harness.method import Batch, Decoded, Override, Prompted, Routing
from methods.contrastive import PromptContrast, frozen
from methods.options import PromptOptions
from methods.prompts import PromptModule, balance


class Prompting(nn.Module):
    """Chooses prompts and computes losses for a prompted network that is handed to it.

    Args:
        options: prompts and objective.
        tasks: task names; with a forced choice, task i answers to prompt i.
        classifier: frozen module with ``classify``, for ``chooser=classifier``.
    """

    def __init__(
        self, options: PromptOptions, tasks: tuple[str, ...], classifier: nn.Module | None
    ) -> None:
        super().__init__()
        self.options = options
        self.tasks = tasks
        self.classifier = classifier.requires_grad_(False) if classifier is not None else None
        self.contrast = PromptContrast(options) if options.cpr_weight > 0 else None

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

    def auxiliary(self, routing: Mapping[str, Routing]) -> dict[str, Tensor]:
        """Return the weighted load balance of all levels that a router decided."""
        weight = self.options.balance_weight
        routed = [r.probabilities for r in routing.values() if r.probabilities is not None]
        if not weight or not routed:
            return {}
        return {"balance": weight * torch.stack([balance(p) for p in routed]).sum()}

    def losses(self, network: Prompted, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Return L1, auxiliary terms, and CPR under prompts that were not chosen."""
        features = network.encode(batch.degraded, rng)
        decoded = network.decode(features, network.choose(batch.degraded, batch.tasks))
        terms = {"l1": F.l1_loss(decoded.restored, batch.clean), **decoded.auxiliary}
        if self.contrast is not None:

            def negative(features: Any, override: Override) -> Decoded:
                return self._decode_negative(network, features, override)

            terms["cpr"] = self.contrast(negative, features, decoded, batch, rng)
        return terms

    def _decode_negative(self, network: Any, features: Any, override: Override) -> Decoded:
        """Decode under wrong prompts; gradients reach what ``cpr_gradient`` names."""
        if self.options.cpr_gradient == "full":
            return network.decode(features, override)
        if self.options.cpr_gradient == "detached":
            with torch.no_grad():
                return network.decode(features, override)
        modules = (m for m in network.modules() if isinstance(m, PromptModule))
        prompts = {id(module.prompt_param) for module in modules}
        with frozen(p for p in network.parameters() if id(p) not in prompts):
            return network.decode(features.detach(), override)
