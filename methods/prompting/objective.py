"""Choice of prompts and objective of prompted networks.

A prompted network holds a :class:`Prompting` and is split into ``encode`` and ``decode``. The
network itself inserts the prompts (methods/promptir/network.py, methods/prompting/adapter.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from harness.method import Batch, Decoded, Override, Routing
from methods.prompting.contrastive import PromptContrast, frozen
from methods.prompting.expert_load import ExpertLoad
from methods.prompting.negative_memory import NegativeMemory, decoded_in_chunks
from methods.prompting.negatives import Negatives, draw_negatives
from methods.prompting.options import PromptOptions, steps_of
from methods.prompting.outcome import candidate_probabilities, outcome_loss
from methods.prompting.prompt_module import PromptModule, exploring
from methods.prompting.reconstruction import reconstruction_losses
from methods.prompting.routers import SharedRouter
from methods.prompting.routing import Exploration
from methods.prompting.teacher import TeacherRouter, teacher_loss
from methods.task_indices import one_hot, task_indices


@dataclass(frozen=True)
class _ForwardPass:
    """A batch decoded under the chosen prompts.

    Attributes:
        features: what the network's encoder returned.
        decoded: what its decoder returned.
        teacher: routing of the teacher router, if there is one.
        students: routing of the routers that learn from it.
    """

    features: Any
    decoded: Decoded
    teacher: Routing | None
    students: Mapping[str, Routing]


class Prompting(nn.Module):
    """Chooses the prompts of a network and computes its losses; the network is an argument.

    Args:
        options: prompts and objective.
        tasks: task names; with a forced choice, task i has prompt i.
        levels: the network's levels that have prompts.
        channels: channels of the encoder's first map.
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
        self.teacher = TeacherRouter(options) if options.teacher_weight else None
        self.negative_memory = NegativeMemory()
        self.expert_load = ExpertLoad(levels, tasks, options) if options.needs_expert_load else None

    def train(self, mode: bool = True) -> Prompting:
        """Set the mode; a frozen classifier stays in evaluation mode."""
        super().train(mode)
        if self.classifier is not None:
            self.classifier.eval()
        return self

    def choose(
        self, degraded: Tensor, tasks: tuple[str, ...] | None, levels: tuple[str, ...]
    ) -> Override | None:
        """Return one-hot prompts where the true task or the classifier chooses, else None.

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
            index = task_indices(tasks, self.tasks, degraded.device)
        chosen = one_hot(index, self.options.prompts).to(degraded.dtype)
        return dict.fromkeys(levels, chosen)

    def route_shared(
        self, features: Any, override: Override | None
    ) -> tuple[Override, Routing | None]:
        """Return the prompts to force per level, and the shared router's routing if it chose."""
        if self.router is None or override:
            return override or {}, None
        routing = self.router(features.maps()[0])
        return dict.fromkeys(self.levels, routing.weights), routing

    def auxiliary(self, routing: Mapping[str, Routing]) -> dict[str, Tensor]:
        """Return the weighted load-balancing loss, summed over the routers that chose."""
        losses: dict[int, Tensor] = {}
        for routed in routing.values():
            if routed.load_balancing is not None:
                # Levels that share a router share its loss, which counts once.
                losses[id(routed.load_balancing)] = routed.load_balancing
        if not losses:
            return {}
        return {"load_balancing": torch.stack(list(losses.values())).sum()}

    def losses(self, network: Any, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        """Return the terms of the network, of its routers, and of negatives: CPR, the outcome.

        Those of the network are its reconstruction's, L1 unless it has its own, and those that
        arise in its decoder.
        """
        passed = self._forward_pass(network, batch, rng)
        decoded = passed.decoded
        reconstruction = reconstruction_losses(network, decoded.restored, batch.clean)
        terms = {**reconstruction, **decoded.auxiliary}
        if passed.teacher is not None:
            terms |= self._teacher_terms(passed.teacher, passed.students)
        if self.expert_load is not None:
            self.expert_load.observe(decoded.routing, batch.tasks)
        if not self._contrasts(batch) and not self.options.outcome_weight:
            return terms
        negatives = draw_negatives(
            decoded.routing, batch.tasks, self.options, self.expert_load, rng
        )
        if negatives is None:
            return {**terms, "cpr": decoded.restored.new_zeros(())}
        return {**terms, **self._negative_terms(network, batch, passed, negatives)}

    def _contrasts(self, batch: Batch) -> bool:
        """Return whether CPR is part of the loss at the step of ``batch``."""
        start = steps_of(self.options.cpr_start, batch.steps)
        return self.contrast is not None and batch.step >= start

    def _measured(self, batch: Batch) -> AbstractContextManager[None]:
        """Return a context that measures a decoding, if several negatives are to keep theirs."""
        options = self.options
        if options.cpr_count > 1 and options.cpr_gradient != "detached" and self._contrasts(batch):
            return self.negative_memory.measured(batch.degraded)
        return nullcontext()

    def _forward_pass(self, network: Any, batch: Batch, rng: torch.Generator) -> _ForwardPass:
        """Decode a batch under the prompts that training uses."""
        features = network.encode(batch.degraded, rng)
        override = network.choose(batch.degraded, batch.tasks)
        teacher = self.teacher(batch.degraded, batch.clean) if self.teacher is not None else None
        if teacher is not None and self.options.teacher_choice:
            override = dict.fromkeys(self.levels, teacher.weights)
        with exploring(network, Exploration(batch.step, batch.steps, rng)):
            with self._measured(batch):
                decoded = network.decode(features, override)
            students = decoded.routing
            if self.router is not None and self.options.teacher_choice:
                # The teacher chose, so the router that learns from it has not seen the batch yet.
                students = {"shared": self.router(features.maps()[0])}
        return _ForwardPass(features, decoded, teacher, students)

    def _teacher_terms(
        self, teacher: Routing, students: Mapping[str, Routing]
    ) -> dict[str, Tensor]:
        """Return the teacher's load-balancing loss, and the loss of the routers that follow it."""
        following = teacher_loss(teacher, students)
        terms = {"teacher": self.options.teacher_weight * following}
        if teacher.load_balancing is not None:
            terms = {"load_balancing": teacher.load_balancing, **terms}
        return terms

    def _negative_terms(
        self, network: Any, batch: Batch, passed: _ForwardPass, negatives: Negatives
    ) -> dict[str, Tensor]:
        """Decode under the negatives and return CPR and the outcome loss, weighted."""
        options = self.options
        contrast = self.contrast if self._contrasts(batch) else None
        count = len(negatives.weights)
        # All negatives in one pass, which takes a narrow network less time than one by one.
        size = count if contrast is None else self.negative_memory.at_once(batch.degraded, count)

        def decode(override: Override, times: int) -> Tensor:
            features = passed.features if times == 1 else passed.features.repeat(times)
            return self._decode_negatives(network, features, override, contrast is not None)

        restored = decoded_in_chunks(decode, negatives, size)
        images = list(restored.chunk(count))
        output = passed.decoded.restored
        terms = {}
        if options.outcome_weight:
            probabilities = candidate_probabilities(
                passed.decoded.routing, negatives.override, count
            )
            outcome = outcome_loss([output, *images], batch.clean, probabilities)
            terms["outcome"] = options.outcome_weight * outcome
        if contrast is not None:
            cpr = contrast.compare(output, batch.clean, images, negatives.weights, network)
            terms["cpr"] = self._cpr_weight(batch) * cpr
        return terms

    def _cpr_weight(self, batch: Batch) -> float:
        """Return the weight of CPR at the step of ``batch``: it grows linearly over its warm-up."""
        options = self.options
        warmup = steps_of(options.cpr_warmup, batch.steps)
        if not warmup:
            return options.cpr_weight
        done = (batch.step - steps_of(options.cpr_start, batch.steps) + 1) / warmup
        return options.cpr_weight * min(1.0, done)

    def _decode_negatives(
        self, network: Any, features: Any, override: Override, trains: bool
    ) -> Tensor:
        """Return the restorations under negatives; gradients reach what ``cpr_gradient`` names."""
        if not trains or self.options.cpr_gradient == "detached":
            with torch.no_grad():
                decoded = network.decode(features, override)
        elif self.options.cpr_gradient == "full":
            decoded = network.decode(features, override)
        else:
            with frozen(_all_but_prompts(network)):
                decoded = network.decode(features.detach(), override)
        restored: Tensor = decoded.restored
        return restored


def _all_but_prompts(network: nn.Module) -> list[nn.Parameter]:
    """Return the parameters of ``network`` that are not prompts."""
    prompts = set()
    for module in network.modules():
        if isinstance(module, PromptModule):
            prompts.add(id(module.prompt_param))
    return [parameter for parameter in network.parameters() if id(parameter) not in prompts]
