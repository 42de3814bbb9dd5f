"""One optimisation step: losses of micro-batches, gradients, clipping, and the optimiser."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from harness.config.errors import RunError, is_out_of_memory, reason_of
from harness.config.ranks import ALONE, Ranks
from harness.config.recipes import Optimisation
from harness.config.run_specs import PlacedStage, TrainSpec, stage_at
from harness.config.seeding import integer_seed
from harness.data.sources.samples import Samples
from harness.method import Batch, Method
from harness.training.gathered_state import Gathered, GatheredState
from harness.training.placed_samples import PlacedSamples, on_device
from harness.training.schedule import learning_rate
from harness.training.step_losses import LateLosses, PartLosses, StepLosses

if TYPE_CHECKING:
    from harness.training.distributed import SharedLosses


@dataclass(frozen=True)
class _Parts:
    """What the micro-batches of a step came to.

    Attributes:
        losses: of those of this process, on the device.
        gathered: what the method gathered from all of them.
    """

    losses: list[PartLosses]
    gathered: list[Gathered]


class Optimiser:
    """Takes the optimisation steps of one training.

    Args:
        method: what is trained; its parameters are on ``device``.
        spec: stages and seed.
        optimisation: optimiser, batch and precision.
        device: where the method computes.
        log: receives a line where a stage begins.
        ranks: the processes that share out the micro-batches of a step.
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
        # 1 once a gradient was not finite: no later step changes a parameter, until it is read.
        # This is how torch's fused optimisers are told by its scaler of gradients.
        self.spoiled = torch.zeros((), device=device)
        if self.adamw.defaults["fused"]:
            self.adamw.found_inf = self.spoiled  # type: ignore[attr-defined]
        self.late = LateLosses(self.parts, ranks)
        self.gathered = GatheredState(method, ranks)
        self.shared = None if ranks.alone else _shared_losses(method, ranks)

    @property
    def slots(self) -> range | None:
        """The samples of a batch that this process needs; None for all."""
        if self.ranks.alone:
            return None
        own, size = self.own_parts, self._micro_batch
        return range(own.start * size, own.stop * size)

    def step(self, samples: Samples | PlacedSamples, reads: bool = True) -> list[StepLosses]:
        """Take one step, and return the losses of those since the last that was read.

        Args:
            samples: a batch; of several processes, the samples of :attr:`slots` alone.
            reads: whether to read the losses now, which waits for the device.

        Raises:
            NotFiniteError: the loss or the gradient of this step or one since the last reading.
                Parameters are as before that step.
            RunError: there is no memory for the batch.
        """
        placed = stage_at(self.spec.stages, samples.step)
        self._begin(placed, samples.step - placed.first_step)
        try:
            found = self._add_gradients(samples, placed)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise RunError(self._no_memory(samples.step, error)) from error
        norm = torch.nn.utils.clip_grad_norm_(
            self.trainable, self.optimisation.grad_clip_norm or float("inf"), foreach=True
        )
        self.late.keep(samples.step, found.losses, norm)
        self.spoiled.logical_or_(~torch.isfinite(norm))
        losses = self.read() if reads else []
        with self._autocast():
            self.gathered.update(found.gathered)
        self.adamw.step()
        return losses

    def read(self) -> list[StepLosses]:
        """Return the losses of the steps since the last that was read, in their order.

        Raises:
            NotFiniteError: those of a step, or its gradient, are not finite.
        """
        return self.late.read()

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

    def _add_gradients(self, samples: Samples | PlacedSamples, placed: PlacedStage) -> _Parts:
        """Add the gradients of all micro-batches to those of the parameters."""
        on_here = on_device(samples, self.device)
        if self.shared is not None:
            return self._with_others(self.shared, on_here, placed)
        found = _Parts([], [])
        for part in self.own_parts:
            batch = self._batch(on_here, placed.stage.name, part)
            with self._autocast():
                terms = self.method.losses(batch, self._generator(samples.step, part))
                loss = torch.stack([term.float() for term in terms.values()]).sum() / self.parts
            found.losses.append(PartLosses.of(loss, terms))
            found.gathered.append(self.gathered.take())
            loss.backward()  # type: ignore[no-untyped-call]
        return found

    def _with_others(
        self, shared: SharedLosses, samples: PlacedSamples, placed: PlacedStage
    ) -> _Parts:
        """Add the gradients of all micro-batches, of which this process computes its share.

        A loss that is not finite is found when all processes know it, so that none waits.
        """
        own = _Parts([], [])
        self.gathered.begin()
        for position, part in enumerate(self.own_parts):
            with shared.reducing(position == len(self.own_parts) - 1):
                batch = self._batch(samples, placed.stage.name, position)
                with self._autocast():
                    total, terms = shared(batch, self._generator(samples.step, part))
                    loss = total / self.parts
                shared.backward(loss)
                own.losses.append(PartLosses.of(loss, terms))
                # Only now: the backward of a batch norm reads its running statistics.
                own.gathered.append(self.gathered.take())
        if not self.own_parts:
            shared.backward(shared(None, None)[0])
        return _Parts(own.losses, self.gathered.exchanged(own.gathered, self.device))

    def _generator(self, step: int, part: int) -> torch.Generator:
        """Return the source of random numbers of a micro-batch, whoever computes it."""
        seed = integer_seed("losses", self.spec.seed, step, part)
        return torch.Generator().manual_seed(seed)

    def _batch(self, samples: PlacedSamples, stage: str, part: int) -> Batch:
        selected = slice(part * self._micro_batch, (part + 1) * self._micro_batch)
        second_view = versions = None
        if samples.second_view is not None:
            second_view = samples.second_view[selected]
        if samples.versions is not None:
            versions = samples.versions[selected]
        return Batch(
            degraded=samples.degraded[selected],
            clean=samples.clean[selected],
            tasks=samples.tasks[selected],
            step=samples.step,
            steps=self.optimisation.steps,
            stage=stage,
            second_view=second_view,
            versions=versions,
        )

    def _autocast(self) -> AbstractContextManager[object]:
        if self.optimisation.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)


def _shared_losses(method: Method, ranks: Ranks) -> SharedLosses:
    # A single process needs none of it.
    from harness.training.distributed import SharedLosses

    return SharedLosses(method, ranks)
