"""One optimisation step: losses of micro-batches, gradients, clipping, and the optimiser."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from harness.config.errors import RunError, is_out_of_memory, reason_of
from harness.config.ranks import ALONE, Ranks
from harness.config.recipes import Optimisation
from harness.config.run_specs import PlacedStage, TrainSpec, stage_at
from harness.config.seeding import integer_seed
from harness.data.images.arrays import Float
from harness.data.sources.samples import Samples
from harness.method import Batch, Method
from harness.training.gathered_state import Gathered, GatheredState
from harness.training.schedule import learning_rate

if TYPE_CHECKING:
    from harness.training.distributed import SharedLosses


class NotFiniteError(Exception):
    """A loss or gradient is not finite.

    Attributes:
        what: ``loss`` or ``gradient``.
        terms: the loss terms, to be shown.
    """

    def __init__(self, what: str, terms: str) -> None:
        super().__init__(f"the {what} is not finite ({terms})")
        self.what, self.terms = what, terms


@dataclass(frozen=True)
class _MicroBatch:
    """What a micro-batch of a step came to.

    Attributes:
        total: its loss, divided by the number of micro-batches.
        terms: its loss terms by name, divided alike.
        gathered: what the method gathered from it.
    """

    total: float
    terms: dict[str, float]
    gathered: Gathered


@dataclass
class _Losses:
    """Loss terms of the micro-batches so far, each divided by the number of micro-batches."""

    total: float = 0.0
    terms: dict[str, float] = field(default_factory=dict)

    def add(self, total: float, terms: Mapping[str, float]) -> None:
        """Add those of a micro-batch; raises :class:`NotFiniteError` where the total is not."""
        for name, term in terms.items():
            self.terms[name] = self.terms.get(name, 0.0) + term
        self.total += total
        self.check_finite(self.total, "loss")

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
        ranks: the processes that share out the micro-batches of a step.

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
        ranks: Ranks = ALONE,
    ) -> None:
        self.method, self.spec, self.optimisation = method, spec, optimisation
        self.device, self.log, self.ranks = device, log, ranks
        self.terms: dict[str, float] = {}
        self.parts = optimisation.batch // self._micro_batch
        self.own_parts = ranks.share(self.parts)
        self.trainable = [p for p in method.parameters() if p.requires_grad]
        self.adamw = torch.optim.AdamW(
            self.trainable,
            lr=optimisation.lr,
            betas=optimisation.betas,
            weight_decay=optimisation.weight_decay,
            fused=device.type in ("cpu", "cuda"),
        )
        self.gathered = GatheredState(method, ranks)
        self.shared = None if ranks.alone else _shared_losses(method, ranks)

    @property
    def slots(self) -> range | None:
        """The samples of a batch that this process needs; None for all."""
        if self.ranks.alone:
            return None
        own, size = self.own_parts, self._micro_batch
        return range(own.start * size, own.stop * size)

    def step(self, samples: Samples) -> float:
        """Take one step and return the total loss.

        Args:
            samples: a batch; of several processes, the samples of :attr:`slots` alone.

        Raises:
            NotFiniteError: the loss or the gradient; parameters are as before the step.
            RunError: there is no memory for the batch.
        """
        placed = stage_at(self.spec.stages, samples.step)
        self._begin(placed, samples.step - placed.first_step)
        losses = _Losses()
        try:
            if self.shared is None:
                found = [self._alone(samples, placed, part, losses) for part in self.own_parts]
            else:
                found = self._with_others(self.shared, samples, placed, losses)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise RunError(self._no_memory(samples.step, error)) from error
        norm = torch.nn.utils.clip_grad_norm_(
            self.trainable, self.optimisation.grad_clip_norm or float("inf"), foreach=True
        )
        losses.check_finite(float(norm), "gradient")
        with self._autocast():
            self.gathered.update([part.gathered for part in found])
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

    def _alone(
        self, samples: Samples, placed: PlacedStage, part: int, losses: _Losses
    ) -> _MicroBatch:
        """Add the gradients of one micro-batch to those of the parameters."""
        batch = self._batch(samples, placed.stage.name, part)
        with self._autocast():
            terms = self.method.losses(batch, self._generator(samples.step, part))
            loss = torch.stack([term.float() for term in terms.values()]).sum() / self.parts
        found = self._micro_batch_of(loss, terms)
        losses.add(found.total, found.terms)
        loss.backward()  # type: ignore[no-untyped-call]
        return found

    def _with_others(
        self, shared: SharedLosses, samples: Samples, placed: PlacedStage, losses: _Losses
    ) -> list[_MicroBatch]:
        """Add the gradients of all micro-batches, of which this process computes its share.

        A loss that is not finite is found when all processes know it, so that none waits.
        """
        own: list[_MicroBatch] = []
        self.gathered.begin()
        for position, part in enumerate(self.own_parts):
            with shared.reducing(position == len(self.own_parts) - 1):
                batch = self._batch(samples, placed.stage.name, position)
                with self._autocast():
                    total, terms = shared(batch, self._generator(samples.step, part))
                    loss = total / self.parts
                shared.backward(loss)
                # Only now: the backward of a batch norm reads its running statistics.
                own.append(self._micro_batch_of(loss, terms))
        if not self.own_parts:
            shared.backward(shared(None, None)[0])
        found: list[_MicroBatch] = []
        for of_rank in self.ranks.exchange(own):
            found += of_rank
        for one in found:
            losses.add(one.total, one.terms)
        return [replace(one, gathered=one.gathered.to(self.device)) for one in found]

    def _micro_batch_of(self, loss: Tensor, terms: Mapping[str, Tensor]) -> _MicroBatch:
        values = {name: float(term.detach()) / self.parts for name, term in terms.items()}
        gathered = self.gathered.take()
        if not self.ranks.alone:
            gathered = gathered.to(torch.device("cpu"))
        return _MicroBatch(float(loss.detach()), values, gathered)

    def _generator(self, step: int, part: int) -> torch.Generator:
        """Return the source of random numbers of a micro-batch, whoever computes it."""
        seed = integer_seed("losses", self.spec.seed, step, part)
        return torch.Generator().manual_seed(seed)

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


def _shared_losses(method: Method, ranks: Ranks) -> SharedLosses:
    # A single process needs none of it.
    from harness.training.distributed import SharedLosses

    return SharedLosses(method, ranks)
