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


class Prompting(nn.Module):
    """Chooses prompts and computes losses for a prompted network that is handed to it.

    Args:
        options: prompts and objective.
        tasks: task names; with a forced choice, task i answers to prompt i.
        levels: where the network's prompts go in.
        classifier: frozen module with ``classify``, for ``chooser=classifier``.
    """

    def __init__(
        self,
        options: PromptOptions,
        tasks: tuple[str, ...],
        levels: tuple[str, ...],
        classifier: nn.Module | None,
    ) -> None:
        super().__init__()
        self.options = options
        self.tasks = tasks
        self.classifier = classifier.requires_grad_(False) if classifier is not None else None
        self.contrast = PromptContrast(options) if options.cpr_weight > 0 else None
        remembers = self.contrast is not None and options.cpr_negatives in Usage.KINDS
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

    def auxiliary(self, routing: Mapping[str, Routing]) -> dict[str, Tensor]:
        """Return the weighted load balance of all levels that a router decided."""
        terms = [routed.balance for routed in routing.values() if routed.balance is not None]
        return {"balance": torch.stack(terms).sum()} if terms else {}

    def losses(self, network: Any, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Return L1, auxiliary terms, and CPR under prompts that were not chosen."""
        features = network.encode(batch.degraded, rng)
        with exploring(network, batch.step, rng):
            decoded = network.decode(features, network.choose(batch.degraded, batch.tasks))
        terms = {"l1": F.l1_loss(decoded.restored, batch.clean), **decoded.auxiliary}
        if self.contrast is None:
            return terms
        if self.usage is not None:
            self.usage.follow(decoded.routing, batch.tasks)
        in_force = batch.step - self.options.cpr_start_step
        if in_force < 0:
            return terms
        negatives = wrong_prompts(decoded.routing, batch.tasks, self.options, self.usage, rng)
        if negatives is None:
            return {**terms, "cpr": decoded.restored.new_zeros(())}
        # All in one pass: narrow networks spend less on many images at once than one by one.
        count = len(negatives.weights)
        restored = self._decode_negative(network, features.repeat(count), negatives.override)
        cpr = self.contrast.compare(
            decoded.restored,
            batch.clean,
            list(restored.restored.chunk(count)),
            negatives.weights,
            network,
        )
        ramp = self.options.cpr_warmup_steps
        weight = self.options.cpr_weight * (min(1.0, (in_force + 1) / ramp) if ramp else 1.0)
        return {**terms, "cpr": weight * cpr}

    def _decode_negative(self, network: Any, features: Any, override: Override) -> Any:
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
