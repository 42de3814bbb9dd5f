"""A training step asks the device for nothing: no operator of it makes the host wait for a value.

Every method takes two steps whose losses are not read. What reads a tensor on the CPU here would
wait for a GPU there; tests/test_fake_cuda.py finds copies between the two as well.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: PLC2701

from harness.config.errors import RunError
from harness.config.ranks import ALONE
from harness.data.sources.samples import Samples
from harness.execution.networks import initial_network
from harness.execution.progress import PlainProgress
from harness.training.checkpoint import load_state
from harness.training.loop import train
from harness.training.optimisation_step import Optimiser
from harness.training.scored_weights import ScoredWeights
from harness.training.step_losses import LateLosses, NotFiniteError, PartLosses
from methods.prompting.draws import drawn_rows
from tests.networks import TASKS, TRAINED, batch, build_tiny
from tests.plans import plan_of
from tests.trainings import assert_same, job_of, trained

WAITING = (
    *("aten._local_scalar_dense", "aten.item", "aten.is_nonzero", "aten.nonzero"),
    *("aten.masked_select", "aten._unique", "aten.unique", "aten.equal", "aten.allclose"),
    "aten.repeat_interleave.Tensor",
)
"""Operators whose result, or its size, the host has to know."""

READS_ITS_OWN_GENERATOR = {
    "swinir": "the seed of its stochastic depth is drawn from the CPU's generator: no device waits",
    "uformer": "as swinir",
}
"""Methods that read a tensor in a step which is on the CPU whatever the device, once each step."""


class Waits(TorchDispatchMode):
    """Counts operators that wait."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(func)
        if name.startswith(WAITING) or _selects(name, args):
            self.found[name] += 1
        return func(*args, **(kwargs or {}))


def _selects(name: str, args: Any) -> bool:
    """Return whether an operator indexes by a mask: the size of its result has to be asked for."""
    if not name.startswith(("aten.index.", "aten.index_put")):
        return False
    masks = [index for index in args[1] if index is not None]
    return any(index.dtype in (torch.bool, torch.uint8) for index in masks)


def samples(step: int) -> Samples:
    whole = batch()
    assert whole.second_view is not None
    assert whole.versions is not None
    return Samples(
        whole.degraded.numpy(),
        whole.clean.numpy(),
        TASKS,
        step,
        whole.second_view.contiguous().numpy(),
        whole.versions.numpy(),
    )


def optimiser_of(method: Any) -> Optimiser:
    spec = plan_of(["promptir"]).runs[-1].train
    assert spec.optimisation is not None
    optimisation = spec.optimisation.model_copy(update={"grad_clip_norm": 1.0})
    return Optimiser(method, spec, optimisation, torch.device("cpu"), lambda line: None)


@pytest.mark.parametrize("name", [spec.name for spec in TRAINED])
def test_two_steps_wait_for_nothing(name: str) -> None:
    optimiser = optimiser_of(build_tiny(name))
    waits = Waits()
    with waits:
        for step in range(2):
            assert optimiser.step(samples(step), reads=False) == []
    allowed = 2 if name in READS_ITS_OWN_GENERATOR else 0
    assert sum(waits.found.values()) == allowed, waits.found
    with waits:
        read = optimiser.read()
    assert [losses.step for losses in read] == [0, 1]
    assert all(math.isfinite(losses.total) for losses in read)


def test_moving_averages_and_batches_wait_for_nothing() -> None:
    method = build_tiny("airnet")  # batch norms count in integers
    optimisation = plan_of(["promptir"]).runs[-1].train.optimisation
    assert optimisation is not None
    scored = ScoredWeights.of(method, optimisation.model_copy(update={"ema_decay": 0.9}))
    with Waits() as waits:
        scored.average(method)
    assert not waits.found


@pytest.mark.parametrize("ask", [lambda t: t.item(), lambda t: t[t > 0], lambda t: bool(t.any())])
def test_what_waits_is_found(ask: Any) -> None:
    value = torch.ones(1)
    with Waits() as waits:
        ask(value)
    assert waits.found


def test_averages_have_the_bits_of_one_after_another() -> None:
    method = build_tiny("promptir")
    optimisation = plan_of(["promptir"]).runs[-1].train.optimisation
    assert optimisation is not None
    scored = ScoredWeights.of(method, optimisation.model_copy(update={"ema_decay": 0.9}))
    assert scored.ema is not None
    expected = {key: value.clone() for key, value in scored.ema.items()}
    with torch.no_grad():
        for parameter in method.parameters():
            parameter.add_(torch.randn_like(parameter))
    for key, value in method.state_dict().items():
        expected[key].lerp_(value, 1 - 0.9)
    scored.average(method)
    assert_same(scored.ema, expected)


def test_a_counter_has_no_average() -> None:
    method: Any = torch.nn.BatchNorm2d(3)
    optimisation = plan_of(["promptir"]).runs[-1].train.optimisation
    assert optimisation is not None
    scored = ScoredWeights.of(method, optimisation.model_copy(update={"ema_decay": 0.9}))
    method(torch.rand(2, 3, 4, 4))
    scored.average(method)
    assert scored.ema is not None
    assert int(scored.ema["num_batches_tracked"]) == 1


# --- losses that are read late -----------------------------------------------------------


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_a_late_error_names_its_step_and_no_later_step_changes_a_parameter(what: str) -> None:
    method = build_tiny("restormer")
    losses = method.losses

    def damaged(given: Any, rng: torch.Generator) -> dict[str, torch.Tensor]:
        terms = dict(losses(given, rng))
        if given.step == 1:
            # The square root of zero has a gradient that is not finite, and a value that is.
            zero = 0 * terms["l1"]
            terms["l1"] = terms["l1"] * math.nan if what == "loss" else terms["l1"] + zero.sqrt()
        return terms

    method.losses = damaged
    optimiser = optimiser_of(method)
    optimiser.step(samples(0), reads=False)
    before = {key: value.clone() for key, value in method.state_dict().items()}
    for step in (1, 2, 3):
        optimiser.step(samples(step), reads=False)
    with pytest.raises(NotFiniteError) as raised:
        optimiser.read()
    assert (raised.value.step, raised.value.what) == (1, what)
    assert_same(dict(method.state_dict()), before)


RECIPE = """
base: smoke
train: {steps: 6, warmup_steps: 1, decay_steps: 6, validate_every_steps: 6, ema_decay: 0.9}
runtime: {checkpoint_every_steps: 2, check_every_steps: %d}
"""


def six_steps(folder: Path, check_every_steps: int) -> Any:
    folder.mkdir(parents=True)
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE % check_every_steps)
    return plan_of(["restormer"], folder, recipe=str(recipe))


def test_reading_late_changes_no_bit(tmp_path: Path) -> None:
    plans = [six_steps(tmp_path / str(every), every) for every in (1, 4)]
    assert plans[0].runs[-1].weights_id == plans[1].runs[-1].weights_id
    assert_same(trained(plans[0]), trained(plans[1]))
    lines = [plan.runs[-1].folder.validation.read_text() for plan in plans]
    assert lines[0] == lines[1]


def test_a_checkpoint_is_read_before_it_is_written(tmp_path: Path) -> None:
    plan = six_steps(tmp_path / "late", 100)
    run = plan.runs[-1]
    run.folder.path.mkdir(parents=True)
    network: Any = initial_network(run)
    losses = network.losses
    network.losses = lambda given, rng: {
        name: term * (math.nan if given.step == 2 else 1)
        for name, term in losses(given, rng).items()
    }
    with pytest.raises(RunError, match=r"loss is not finite at step 3 \(l1 nan\).*checkpoint\.pt"):
        train(network, job_of(plan), PlainProgress("test"), lambda: False)
    kept = load_state(run.folder.checkpoint, run.weights_id, "restormer")
    assert kept.step == 2
    assert all(torch.isfinite(value).all() for value in kept.model.values())


@pytest.mark.parametrize("count", [1, 2, 4])
def test_draws_on_the_device_are_those_of_torch(count: int) -> None:
    for seed in range(200):
        made = torch.Generator().manual_seed(seed)
        chances = torch.rand(5, 6, generator=made)
        chances = chances * (torch.rand(5, 6, generator=made) > 0.4) + 1e-6
        own, torchs = (torch.Generator().manual_seed(seed) for _ in range(2))
        expected = torch.multinomial(chances, count, True, generator=torchs)
        assert torch.equal(drawn_rows(chances, count, own), expected)
        assert torch.equal(own.get_state(), torchs.get_state())


def test_what_was_found_not_finite_is_found_again() -> None:
    """Whoever saves after an error of the first reading must not save what was not checked."""
    late = LateLosses(1, ALONE)
    late.keep(3, [PartLosses(("l1",), torch.tensor([math.nan, math.nan]))], torch.tensor(1.0))
    for _ in range(2):
        with pytest.raises(NotFiniteError) as error:
            late.read()
        assert error.value.step == 3


@pytest.mark.parametrize("writes", [1, 3])
def test_a_training_that_another_process_has_taken_over_writes_nothing(
    tmp_path: Path, writes: int
) -> None:
    plan = plan_of(["restormer"], tmp_path, recipe="smoke")
    folder = plan.runs[-1].folder
    folder.path.mkdir(parents=True)
    calls = iter(range(10**6))

    def check() -> None:
        if next(calls) >= writes - 1:
            raise RunError("taken over")

    runtime = plan.recipe.runtime.model_copy(update={"checkpoint_every_steps": 1})
    job = replace(job_of(plan), runtime=runtime, check=check)
    with pytest.raises(RunError, match="taken over"):
        train(initial_network(plan.runs[-1]), job, PlainProgress("test"), lambda: False)
    assert folder.checkpoint.exists() == (writes > 1)
    assert not folder.weights.exists()
    assert not folder.provenance.exists()
