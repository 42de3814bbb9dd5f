"""One optimisation step: losses of micro-batches, gradients, clipping, and the optimiser."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor

from harness.config.errors import RunError, is_out_of_memory, reason_of
from harness.config.recipes import Optimisation
from harness.config.run_specs import PlacedStage, TrainSpec, stage_at
from harness.config.seeding import integer_seed
from harness.data.images.arrays import Float
from harness.data.sources.samples import Samples
from harness.method import Batch, Method
from harness.training.schedule import learning_rate


class NotFiniteError(Exception):
    """A loss or gradient is not finite.

    Attributes:
        what: ``loss`` or ``gradient``.
        terms: the loss terms, to be shown.
    """

    def __init__(self, what: str, terms: str) -> None:
        super().__init__(f"the {what} is not finite ({terms})")
        self.what, self.terms = what, terms


@dataclass
class _Losses:
    """Loss terms of the micro-batches so far, each divided by the number of micro-batches."""

    total: float = 0.0
    terms: dict[str, float] = field(default_factory=dict)

    def check_finite(self, value: float, what: str) -> None:
        """Raise :class:`NotFiniteError` where ``value`` is infinite or NaN."""
        if not math.isfinite(value):
            text = ", ".join(f"{name} {term:g}" for name, term in self.terms.items())
            raise NotFiniteError(what, text)


class Optimiser:
    """Takes the optimisation steps of one training.

    Args:
        method: what is trained; its parameters are on ``device``.
        spec: stages and seed.
        optimisation: optimiser, batch and precision.
        device: where the method computes.
        log: receives a line where a stage begins.

    Attributes:
        terms: the loss terms of the last step by name, mean over its micro-batches.
    """

    def __init__(
        self,
        method: Method,
        spec: TrainSpec,
        optimisation: Optimisation,
        device: torch.device,
        log: Callable[[str], None],
    ) -> None:
        self.method, self.spec, self.optimisation = method, spec, optimisation
        self.device, self.log = device, log
        self.terms: dict[str, float] = {}
        self.trainable = [p for p in method.parameters() if p.requires_grad]
        self.adamw = torch.optim.AdamW(
            self.trainable,
            lr=optimisation.lr,
            betas=optimisation.betas,
            weight_decay=optimisation.weight_decay,
            fused=device.type in ("cpu", "cuda"),
        )

    def step(self, samples: Samples) -> float:
        """Take one step and return the total loss.

        Raises:
            NotFiniteError: the loss or the gradient; parameters are as before the step.
            RunError: there is no memory for the batch.
        """
        placed = stage_at(self.spec.stages, samples.step)
        self._begin(placed, samples.step - placed.first_step)
        losses = _Losses()
        parts = self.optimisation.batch // self._micro_batch
        try:
            for part in range(parts):
                self._add_gradients(samples, placed, part, losses)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise RunError(self._no_memory(samples.step, error)) from error
        norm = torch.nn.utils.clip_grad_norm_(
            self.trainable, self.optimisation.grad_clip_norm or float("inf"), foreach=True
        )
        losses.check_finite(float(norm), "gradient")
        self.adamw.step()
        self.terms = losses.terms
        return losses.total

    def _no_memory(self, step: int, error: BaseException) -> str:
        """Return the sentence on a batch for which there is no memory."""
        recipe, size = self.optimisation, self._micro_batch
        smaller = f"micro_batch: {size // 2}" if size > 1 else "a smaller patch_px"
        return (
            f"{self.spec.method}: there is not enough memory for {size} patches of "
            f"{recipe.patch_px} px at step {step + 1}, batch {recipe.batch} ({reason_of(error)}); "
            "run the same command again with fewer --jobs or --workers 0, and it goes on from its "
            f"last checkpoint, or put {smaller} into a recipe of your own, which trains it anew"
        )

    @property
    def lr(self) -> float:
        """The learning rate of the last step."""
        return float(self.adamw.param_groups[0]["lr"])

    @property
    def _micro_batch(self) -> int:
        return self.optimisation.micro_batch or self.optimisation.batch

    def _begin(self, placed: PlacedStage, step_in_stage: int) -> None:
        """Set the learning rate and clear gradients; a later stage restarts the optimiser."""
        if placed.number and step_in_stage == 0:
            self.adamw.state.clear()
            self.log(f"stage {placed.number + 1} of {len(self.spec.stages)} begins")
        self.method.train()
        for group in self.adamw.param_groups:
            group["lr"] = learning_rate(self.optimisation, step_in_stage, placed.stage)
        self.adamw.zero_grad(set_to_none=True)

    def _add_gradients(
        self, samples: Samples, placed: PlacedStage, part: int, losses: _Losses
    ) -> None:
        """Add the gradients of one micro-batch to those of the parameters."""
        parts = self.optimisation.batch // self._micro_batch
        batch = self._batch(samples, placed.stage.name, part)
        rng = torch.Generator().manual_seed(
            integer_seed("losses", self.spec.seed, samples.step, part)
        )
        with self._autocast():
            terms = self.method.losses(batch, rng)
            loss = torch.stack([term.float() for term in terms.values()]).sum() / parts
        for name, term in terms.items():
            losses.terms[name] = losses.terms.get(name, 0.0) + float(term.detach()) / parts
        losses.total += float(loss.detach())
        losses.check_finite(losses.total, "loss")
        loss.backward()  # type: ignore[no-untyped-call]

    def _batch(self, samples: Samples, stage: str, part: int) -> Batch:
        selected = slice(part * self._micro_batch, (part + 1) * self._micro_batch)
        second_view = versions = None
        if samples.second_view is not None:
            second_view = self._tensor(samples.second_view[selected])
        if samples.versions is not None:
            versions = self._tensor(samples.versions[selected])
        return Batch(
            degraded=self._tensor(samples.degraded[selected]),
            clean=self._tensor(samples.clean[selected]),
            tasks=samples.tasks[selected],
            step=samples.step,
            steps=self.optimisation.steps,
            stage=stage,
            second_view=second_view,
            versions=versions,
        )

    def _tensor(self, values: Float) -> Tensor:
        return torch.from_numpy(values).to(self.device)

    def _autocast(self) -> AbstractContextManager[object]:
        if self.optimisation.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)
