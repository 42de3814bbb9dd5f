"""The training loop: steps, validation, checkpoints, and a clean way to stop and go on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from harness.config.errors import Interrupted, RunError
from harness.config.hashing import spec_hash
from harness.config.recipes import Runtime
from harness.config.run_specs import TrainSpec, stage_at
from harness.config.seeding import integer_seed
from harness.data.images.arrays import Float
from harness.data.sources.protocol import TrainingStream
from harness.data.sources.samples import Samples
from harness.evaluation.validation import Validation
from harness.execution.progress import Progress, left
from harness.method import Batch, Method
from harness.store.files import write_json
from harness.store.run_folder import RunFolder
from harness.training.checkpoint import TrainingState, load_state, save_state, save_weights
from harness.training.device import computes_bf16
from harness.training.schedule import learning_rate


@dataclass(frozen=True)
class Machine:
    """Where and how a run is computed; nothing here is meant to change a number."""

    device: str
    threads: int
    loader_workers: int


@dataclass(frozen=True)
class Job:
    """One training: what determines its result, where it is kept, and what it runs on."""

    spec: TrainSpec
    stream: TrainingStream
    validation: Validation
    folder: RunFolder
    runtime: Runtime
    machine: Machine


class _Steps(Dataset[Samples]):
    def __init__(self, stream: TrainingStream, first: int, total: int) -> None:
        self.stream, self.first, self.total = stream, first, total

    def __len__(self) -> int:
        return self.total - self.first

    def __getitem__(self, index: int) -> Samples:
        return self.stream.batch(self.first + index)


def batches(stream: TrainingStream, first: int, machine: Machine) -> Iterator[Samples]:
    """Yield batches from step ``first`` on, in order, made ahead by loader workers if any."""
    steps = _Steps(stream, first, stream.train.steps)
    loader = DataLoader(
        steps, batch_size=None, num_workers=machine.loader_workers, collate_fn=_as_is
    )
    yield from loader


def _as_is(samples: Any) -> Any:
    return samples


def train(method: Method, job: Job, progress: Progress, stop: Callable[[], bool]) -> dict[str, Any]:
    """Train ``method`` to the end, from its checkpoint if there is one, and write its weights.

    Returns:
        The record of the training: wall time, steps, the scored step, validation scores.

    Raises:
        CellError: the loss is not finite; the last good checkpoint is kept.
        Interrupted: ``stop`` said so; a checkpoint of the last step is written.
    """
    return _Training(method, job, progress, stop).run()


class _Training:
    """State of one training; exists because a step, a save and a resume share most of it."""

    def __init__(
        self, method: Method, job: Job, progress: Progress, stop: Callable[[], bool]
    ) -> None:
        self.method, self.progress, self.stop = method, progress, stop
        self.spec, self.train, self.stream = job.spec, job.stream.train, job.stream
        self.validation, self.folder = job.validation, job.folder
        self.runtime, self.machine = job.runtime, job.machine
        train = self.train
        self.weights_id = spec_hash(self.spec)
        self.device = torch.device(self.machine.device)
        method.to(self.device)
        _channels_last(method)
        self.trainable = [p for p in method.parameters() if p.requires_grad]
        self.optimiser = torch.optim.AdamW(
            self.trainable,
            lr=train.lr,
            betas=train.betas,
            weight_decay=train.weight_decay,
            fused=self.device.type in ("cpu", "cuda"),
        )
        self.step = 0
        self.ema = self._copy() if train.ema_decay is not None else None
        self.best: dict[str, Tensor] | None = None
        self.best_score: float | None = None
        self.best_step: int | None = None
        self.validation_text = ""
        self.wall_s = 0.0
        self.began = time.monotonic()

    def run(self) -> dict[str, Any]:
        if self.folder.checkpoint.exists():
            self._resume()
        if self.train.precision == "bf16" and not computes_bf16(self.machine.device):
            self.progress.log(
                "this processor has no bf16 arithmetic, and emulates it several times slower "
                "than fp32; use precision: fp32 in the recipe"
            )
        self.began = time.monotonic()
        steps, every = self.train.steps, self.train.validate_every_steps
        for samples in batches(self.stream, self.step, self.machine):
            loss = self._optimise(samples)
            self.step += 1
            done = self.step == steps
            if self.step % every == 0 or done:
                self._validate()
            self.progress.step(self.step, steps, loss, self.validation_text)
            if not done and self.stop():
                self._save()
                raise Interrupted(f"{self.spec.method} stopped at step {self.step} of {steps}")
            if not done and self.step % self.runtime.checkpoint_every_steps == 0:
                self._save()
        return self._finish()

    def _optimise(self, samples: Samples) -> float:
        """Take one step and return the total loss."""
        train = self.train
        placed = stage_at(self.spec.stages, samples.step)
        in_stage = samples.step - placed.first_step
        if placed.number and in_stage == 0:
            self.optimiser.state.clear()
            self.progress.log(f"stage {placed.number + 1} of {len(self.spec.stages)} begins")
        self.method.train()
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(train, in_stage, placed.stage)
        self.optimiser.zero_grad(set_to_none=True)
        micro = train.micro_batch or train.batch
        parts = train.batch // micro
        total, terms = 0.0, dict[str, float]()
        for part in range(parts):
            chosen = slice(part * micro, (part + 1) * micro)
            batch = Batch(
                degraded=torch.from_numpy(samples.degraded[chosen]).to(self.device),
                clean=torch.from_numpy(samples.clean[chosen]).to(self.device),
                tasks=samples.tasks[chosen],
                step=samples.step,
                stage=placed.stage.name,
                second_view=self._tensor(samples.second_view, chosen),
            )
            rng = torch.Generator().manual_seed(
                integer_seed("losses", self.spec.seed, samples.step, part)
            )
            with self._autocast():
                losses = self.method.losses(batch, rng)
                loss = torch.stack([term.float() for term in losses.values()]).sum() / parts
            for name, term in losses.items():
                terms[name] = terms.get(name, 0.0) + float(term.detach()) / parts
            total += float(loss.detach())
            self._check_finite(total, terms, "loss")
            loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(
            self.trainable, train.grad_clip_norm or float("inf"), foreach=True
        )
        self._check_finite(float(norm), terms, "gradient")
        self.optimiser.step()
        if self.ema is not None and train.ema_decay is not None:
            for key, value in self.method.state_dict().items():
                self.ema[key].lerp_(value.to(self.ema[key].dtype), 1 - train.ema_decay)
        return total

    def _tensor(self, values: Float | None, chosen: slice) -> Tensor | None:
        return None if values is None else torch.from_numpy(values[chosen]).to(self.device)

    def _autocast(self) -> Any:
        if self.train.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def _check_finite(self, value: float, terms: dict[str, float], what: str) -> None:
        if value == value and abs(value) != float("inf"):
            return
        parts = ", ".join(f"{name} {term:g}" for name, term in terms.items())
        kept = (
            f"the last good checkpoint is {self.folder.checkpoint}"
            if self.folder.checkpoint.exists()
            else "no checkpoint was written yet"
        )
        raise RunError(
            f"{self.spec.method}: the {what} is not finite at step {self.step + 1} ({parts}); "
            f"{kept}; lower the learning rate or the weight of the term in a recipe or option"
        )

    def _validate(self) -> None:
        scored = self.ema if self.ema is not None else None
        kept = self._copy() if scored is not None else None
        if scored is not None:
            self.method.load_state_dict(scored)
        outcome = self.validation.score(self.method, self.device)
        if kept is not None:
            self.method.load_state_dict(kept)
        self.validation_text = outcome.text
        if self.best_score is None or outcome.score > self.best_score:
            self.best_score, self.best_step = outcome.score, self.step
            if self.train.scored_checkpoint == "best-on-validation":
                self.best = {k: v.clone() for k, v in (scored or self._copy()).items()}
        line = {"step": self.step, "score": outcome.score, "per_task": dict(outcome.per_task)}
        # A resumed run repeats lines of steps after its checkpoint; readers take the last.
        with self.folder.validation.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def _copy(self) -> dict[str, Tensor]:
        return {key: value.detach().clone() for key, value in self.method.state_dict().items()}

    def _save(self) -> None:
        self.wall_s += time.monotonic() - self.began
        self.began = time.monotonic()
        state = TrainingState(
            step=self.step,
            model=self.method.state_dict(),
            optimiser=self.optimiser.state_dict(),
            ema=self.ema,
            best=self.best,
            best_score=self.best_score,
            best_step=self.best_step,
            validation=self.validation_text,
            threads=self.machine.threads,
            wall_s=self.wall_s,
        )
        save_state(self.folder.checkpoint, self.weights_id, self.spec.method, state)

    def _resume(self) -> None:
        state = load_state(self.folder.checkpoint, self.weights_id, self.spec.method)
        self.method.load_state_dict(dict(state.model))
        self.optimiser.load_state_dict(dict(state.optimiser))
        self.step, self.wall_s = state.step, state.wall_s
        self.ema = dict(state.ema) if state.ema is not None else None
        self.best = dict(state.best) if state.best is not None else None
        self.best_score, self.best_step = state.best_score, state.best_step
        self.validation_text = state.validation
        self.progress.log(f"goes on from step {self.step} of {self.train.steps}")
        if state.threads != self.machine.threads:
            self.progress.log(
                f"was trained with {state.threads} threads and goes on with "
                f"{self.machine.threads}: the result may differ in the last digits from that of "
                "an uninterrupted run"
            )

    def _finish(self) -> dict[str, Any]:
        scored = self.best if self.train.scored_checkpoint == "best-on-validation" else self.ema
        step = self.best_step if self.best is not None else self.step
        weights = scored if scored is not None else self.method.state_dict()
        self.wall_s += time.monotonic() - self.began
        self.method.load_state_dict(dict(weights))
        outcome = self.validation.score(self.method, self.device)
        record = {
            "validation_per_task": dict(outcome.per_task),
            "steps": self.train.steps,
            "scored_step": step,
            "wall_s": round(self.wall_s, 2),
            "step_s": round(self.wall_s / self.train.steps, 4),
            "best_validation": self.best_score,
            "best_validation_step": self.best_step,
        }
        save_weights(self.folder.weights, weights, self.spec)
        write_json(self.folder.provenance, record)
        self.folder.checkpoint.unlink(missing_ok=True)
        self.progress.log(f"trained {self.train.steps} steps in {left(self.wall_s)}")
        return record


def _channels_last(method: Method) -> None:
    """Store convolution weights in the layout that the networks' activations have."""
    for parameter in method.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
