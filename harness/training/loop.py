"""The training loop: steps, validation, checkpoints, and a clean way to stop and to resume."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from harness.config.errors import HarnessError, Interrupted, RunError
from harness.config.hashing import spec_hash
from harness.config.ranks import Ranks
from harness.method import KeepsTrainingState, Method
from harness.store.files import append_lines, write_json
from harness.training.arithmetic import tf32, use_channels_last
from harness.training.batches import batches, is_dead_worker
from harness.training.blocks import prepare_blocks
from harness.training.checkpoint import (
    TrainingState,
    check_state,
    load_state,
    save_state,
    save_weights,
)
from harness.training.device import computes_bf16
from harness.training.job import Job
from harness.training.optimisation_step import Optimiser
from harness.training.placed_samples import PlacedSamples, placed
from harness.training.progress import TrainingProgress, Validated, duration
from harness.training.scored_weights import ScoredWeights
from harness.training.step_losses import NotFiniteError, StepLosses, mean_terms


def train(
    method: Method, job: Job, progress: TrainingProgress, stop: Callable[[], bool]
) -> dict[str, Any]:
    """Train ``method`` to the end, from its checkpoint if there is one, and write its weights.

    Args:
        method: its parameters are moved to the job's device.
        job: what is trained, where and on what.
        progress: receives every step.
        stop: asked after each step but the last.

    Returns:
        What is known of the training: wall time, steps, the scored step, validation scores.

    Raises:
        RunError: the loss is not finite, or a loader worker is gone; the last good checkpoint
            stays.
        Interrupted: ``stop`` answered yes; a checkpoint of the last step is written.
    """
    training = _Training(method, job, progress)
    if job.machine.ranks.first(job.folder.checkpoint.exists):
        training.resume()
    training.log_idle_ranks()
    if training.optimisation.precision == "bf16" and not computes_bf16(job.machine.device):
        progress.log(
            "this processor has no bf16 arithmetic, and emulates it several times slower "
            "than fp32; use precision: fp32 in the recipe"
        )
    try:
        made = batches(
            job.stream, training.step, job.machine.loader_workers, training.optimiser.slots
        )
        with closing(made), tf32(job.runtime.tf32):
            _take_steps(training, placed(made, training.device), stop)
    except RuntimeError as error:
        if not job.machine.ranks.alone:
            _raise_if_lost(error, job.machine.ranks)
        if not is_dead_worker(error):
            raise
        raise RunError(training.without_worker()) from error
    return training.finish()


def _take_steps(
    training: _Training, made: Iterator[PlacedSamples], stop: Callable[[], bool]
) -> None:
    """Take the steps that are left, and save a checkpoint every few steps and at a stop."""
    job, steps = training.job, training.optimisation.steps
    for samples in training.waiting(made):
        training.advance(samples)
        training.progress.step(training.step, steps, training.loss, training.scored.validation)
        if training.step == steps:
            break
        # Several processes agree as often as they read their losses: that waits for all of them.
        asks = job.machine.ranks.alone or training.reads_after(training.step)
        if asks and job.machine.ranks.any(stop()):
            job.machine.ranks.first(job.check)
            training.save()
            stopped = Interrupted(f"{job.spec.method} stopped at step {training.step} of {steps}")
            stopped.raised_by_all = True
            raise stopped
        if training.step % job.runtime.checkpoint_every_steps == 0:
            job.machine.ranks.first(job.check)
            training.save()


def _raise_if_lost(error: RuntimeError, ranks: Ranks) -> None:
    from harness.training.distributed import is_lost_rank, lost

    if is_lost_rank(error):
        raise RunError(lost(ranks.count)) from error


class _Training:
    """The state of one training, which a step, a checkpoint and a resume share."""

    def __init__(self, method: Method, job: Job, progress: TrainingProgress) -> None:
        self.method, self.job, self.progress = method, job, progress
        self.ranks = job.machine.ranks
        self.optimisation = job.stream.train
        self.weights_id = spec_hash(job.spec)
        self.device = torch.device(job.machine.device)
        method.to(self.device)
        if job.runtime.channels_last:
            use_channels_last(cast(nn.Module, method))
        prepare_blocks(method, job, self.device, progress.log)
        self.optimiser = Optimiser(
            method, job.spec, self.optimisation, self.device, progress.log, self.ranks
        )
        self.scored = ScoredWeights.of(method, self.optimisation)
        self.step = 0
        self.within_step = False
        self.check_every = job.runtime.check_steps(self.device.type)
        self.loss = math.nan
        self.recent: list[StepLosses] = []
        self.wall_s = self.waited_s = 0.0
        self.began = self.validated_at = time.monotonic()

    def waiting(self, made: Iterator[PlacedSamples]) -> Iterator[PlacedSamples]:
        """Yield batches, and count how long each was waited for."""
        while True:
            asked = time.monotonic()
            samples = next(made, None)
            self.waited_s += time.monotonic() - asked
            if samples is None:
                return
            yield samples

    def reads_after(self, step: int) -> bool:
        """Return whether the losses are read when ``step`` steps are done: every few, and first."""
        return step % self.check_every == 0 or math.isnan(self.loss)

    def advance(self, samples: PlacedSamples) -> None:
        """Take one step, and validate where it is time to."""
        self.within_step = True
        self._receive(lambda: self.optimiser.step(samples, self.reads_after(self.step + 1)))
        self.scored.average(self.method)
        self.step += 1
        every = self.optimisation.validate_every_steps
        if self.step % every == 0 or self.step == self.optimisation.steps:
            self._validate()
        self.within_step = False

    def _receive(self, read: Callable[[], list[StepLosses]]) -> None:
        """Take over losses that are read; where they are not finite, the training ends."""
        try:
            found = read()
        except NotFiniteError as error:
            not_finite = RunError(self._not_finite(error))
            not_finite.raised_by_all = True
            raise not_finite from error
        self.recent += found
        if found:
            self.loss = found[-1].total

    def log_idle_ranks(self) -> None:
        """Log how many of several processes have no micro-batch to compute."""
        parts, count = self.optimiser.parts, self.ranks.count
        if count > parts:
            self.progress.log(
                f"a step has {parts} micro-batches, so {count - parts} of {count} processes only "
                "validate and score; a smaller micro_batch in the recipe gives them work, and is "
                "another training"
            )

    def without_worker(self) -> str:
        """Save what is whole now that a loader worker is gone, and return a sentence on it."""
        # Of several processes the others do not know of it, and would not read with this one.
        if not self.within_step and (self.ranks.alone or not self.optimiser.late.kept):
            self.save()
        checkpoint = self.job.folder.checkpoint
        where = "its last checkpoint" if checkpoint.exists() else "the start"
        return (
            f"{self.job.spec.method}: a worker that makes batches was killed at step "
            f"{self.step + 1}, most likely for lack of memory; run the same command again, with "
            f"fewer --workers, and it goes on from {where}"
        )

    def save(self) -> None:
        """Write a checkpoint; of several processes, the first one's state is that of all.

        What is not finite is found before: no checkpoint ever holds it.
        """
        self._receive(self.optimiser.read)
        self._count_time()
        if not self.ranks.is_first:
            return
        scored = self.scored
        state = TrainingState(
            step=self.step,
            model=_whole_state(self.method),
            optimiser=self.optimiser.adamw.state_dict(),
            ema=scored.ema,
            best=scored.best,
            best_score=scored.best_score,
            best_step=scored.best_step,
            validation=scored.validation,
            threads=self.job.machine.threads,
            wall_s=self.wall_s,
        )
        save_state(self.job.folder.checkpoint, self.weights_id, self.job.spec.method, state)

    def resume(self) -> None:
        """Read the checkpoint and continue from its step."""
        state = load_state(self.job.folder.checkpoint, self.weights_id, self.job.spec.method)
        check_state(self.job.folder.checkpoint, state, self.optimisation.steps)
        self._load(state)
        self.step, self.wall_s = state.step, state.wall_s
        scored = self.scored
        scored.ema = None if state.ema is None else _on(state.ema, self.device)
        scored.best = None if state.best is None else dict(state.best)
        scored.best_score, scored.best_step = state.best_score, state.best_step
        scored.validation = state.validation
        self.progress.log(f"resumes at step {self.step} of {self.optimisation.steps}")
        if state.threads != self.job.machine.threads:
            self.progress.log(
                f"was trained with {state.threads} threads and resumes with "
                f"{self.job.machine.threads}: the result may differ in the last digits from that "
                "of an uninterrupted run"
            )

    def _load(self, state: TrainingState) -> None:
        try:
            if isinstance(self.method, KeepsTrainingState):
                self.method.load_training_state(state.model)
            else:
                self.method.load_state_dict(dict(state.model))
            self.optimiser.adamw.load_state_dict(dict(state.optimiser))
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            raise HarnessError(
                f"checkpoint {self.job.folder.checkpoint} does not fit {self.job.spec.method}; "
                "delete it to train this run from the start"
            ) from error

    def finish(self) -> dict[str, Any]:
        """Write the weights that are scored, and return what is known of the training.

        Provenance comes first, and weights that are there end the training: a process killed
        between the two leaves no weights, and the training is finished again. Of several
        processes, the first writes.
        """
        scored, steps = self.scored, self.optimisation.steps
        weights = scored.final(self.method)
        self._count_time()
        self.method.load_state_dict(dict(weights))
        outcome = self.job.validation.score(self.method, self.device)
        content: dict[str, Any] = {
            "validation_per_task": dict(outcome.per_task),
            "steps": steps,
            "scored_step": self.step if scored.best is None else scored.best_step,
            "wall_s": round(self.wall_s, 2),
            "step_s": round(self.wall_s / steps, 4),
            "waited_for_data_s": round(self.waited_s, 2),
            "best_validation": scored.best_score,
            "best_validation_step": scored.best_step,
            **self.job.made_with(),
        }
        self.ranks.first(partial(self._write, content, weights))
        self.progress.log(f"trained {steps} steps in {duration(self.wall_s)}")
        return content

    def _write(self, provenance: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
        self.job.check()
        folder = self.job.folder
        write_json(folder.provenance, provenance)
        save_weights(folder.weights, weights, self.job.spec)
        folder.checkpoint.unlink(missing_ok=True)

    def _validate(self) -> None:
        self._receive(self.optimiser.read)
        training_s = time.monotonic() - self.validated_at
        images = len(self.recent) * self.optimisation.batch
        outcome = self.scored.validate(self.method, self.job.validation, self.device, self.step)
        line: dict[str, Any] = {
            "step": self.step,
            "score": outcome.score,
            "per_task": dict(outcome.per_task),
            "losses": mean_terms(self.recent),
        }
        self.recent = []
        # A resumed run repeats lines of steps after its checkpoint; readers take the last. The loss
        # terms of its first line are means over the steps since it resumed.
        if not self.ranks.is_first:
            return
        append_lines(self.job.folder.validation, [json.dumps(line)])
        validated = Validated(
            step=self.step,
            score=outcome.score,
            per_task=dict(outcome.per_task),
            losses=line["losses"],
            learning_rate=self.optimiser.lr,
            images_per_s=images / max(training_s, 1e-9),
        )
        self.job.on_validated(validated)
        self.validated_at = time.monotonic()

    def _count_time(self) -> None:
        now = time.monotonic()
        self.wall_s += now - self.began
        self.began = now

    def _not_finite(self, error: NotFiniteError) -> str:
        checkpoint = self.job.folder.checkpoint
        if checkpoint.exists():
            saved = f"the last good checkpoint is {checkpoint}"
        else:
            saved = "no checkpoint was written yet"
        return (
            f"{self.job.spec.method}: the {error.what} is not finite at step {error.step + 1} "
            f"({error.terms}); {saved}; lower the learning rate or the weight of the term in a "
            "recipe or option"
        )


def _on(state: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """Return a state on a device."""
    return {name: value.to(device) for name, value in state.items()}


def _whole_state(method: Method) -> Mapping[str, Tensor]:
    """Return the state of a method with the parts that serve its training alone."""
    if isinstance(method, KeepsTrainingState):
        return method.training_state()
    return method.state_dict()
