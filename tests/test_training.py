"""Training: bit-exact resume, workers, interruption, bad losses, wrong checkpoints."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from harness.config.errors import HarnessError, Interrupted, RunError
from harness.config.hashing import spec_hash
from harness.execution.networks import initial_network
from harness.execution.progress import PlainProgress
from harness.planning.plan import Plan
from harness.training.checkpoint import load_state, load_weights, save_weights
from harness.training.loop import train
from harness.training.progress import duration
from tests.plans import plan_of
from tests.trainings import assert_same, job_of, stop_after, trained

RECIPE = """
base: smoke
train: {steps: 6, warmup_steps: 1, decay_steps: 6, validate_every_steps: 2, %s}
auxiliary: {steps: 2}
runtime: {checkpoint_every_steps: 2}
"""


def six_steps(folder: Path, method: str, extra: str = "batch: 5") -> Plan:
    """Return a plan of one method that trains for six steps into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE % extra)
    return plan_of([method], folder, recipe=str(recipe))


@pytest.mark.parametrize(
    ("method", "extra"),
    [
        ("cpl", "batch: 5"),
        ("cpl-guided", "batch: 5"),
        ("restormer", "batch: 5, ema_decay: 0.9"),
        ("cpr", "batch: 10, micro_batch: 5, scored_checkpoint: best-on-validation"),
        ("promptir", "batch: 5, precision: bf16, grad_clip_norm: null"),
        ("promptir@sequential", "batch: 5"),
    ],
)
def test_resume_is_bit_exact(tmp_path: Path, method: str, extra: str) -> None:
    whole = trained(six_steps(tmp_path / "whole", method, extra))
    cut = six_steps(tmp_path / "cut", method, extra)
    for _ in range(2):
        with pytest.raises(Interrupted):
            trained(cut, stop=stop_after(2))
    assert cut.runs[-1].folder.checkpoint.exists()
    assert_same(trained(cut), whole)
    assert not cut.runs[-1].folder.checkpoint.exists()


@pytest.mark.parametrize("workers", [2, None])
def test_workers_change_nothing(tmp_path: Path, workers: int | None) -> None:
    alone = trained(six_steps(tmp_path / "none", "restormer"))
    assert_same(trained(six_steps(tmp_path / "two", "restormer"), workers=workers), alone)


def test_a_kill_loses_only_steps_since_the_last_checkpoint(tmp_path: Path) -> None:
    class KilledError(Exception):
        pass

    def kill_at_step_4() -> Callable[[], bool]:
        calls = iter(range(100))

        def stop() -> bool:
            if next(calls) == 2:  # after step 3, one after the checkpoint of step 2
                raise KilledError
            return False

        return stop

    whole = trained(six_steps(tmp_path / "whole", "promptir"))
    cut = six_steps(tmp_path / "cut", "promptir")
    with pytest.raises(KilledError):
        trained(cut, stop=kill_at_step_4())
    run = cut.runs[-1]
    assert load_state(run.folder.checkpoint, run.weights_id, "promptir").step == 2
    assert_same(trained(cut), whole)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    plan = six_steps(tmp_path, "promptir")
    with pytest.raises(Interrupted):
        trained(plan, stop=stop_after(3))
    run = plan.runs[-1]
    good = run.folder.checkpoint.read_bytes()

    def damage(method: Any) -> None:
        original = method.losses
        method.losses = lambda batch, rng: {
            k: v * float("nan") if batch.step == 4 else v for k, v in original(batch, rng).items()
        }

    with pytest.raises(RunError, match=r"not finite at step 5 \(l1 nan\).*checkpoint.pt"):
        trained(plan, damage=damage)
    kept = load_state(run.folder.checkpoint, run.weights_id, "promptir")
    assert kept.step == 4
    assert all(torch.isfinite(v).all() for v in kept.model.values())
    assert good


def test_a_checkpoint_of_another_method_is_refused(tmp_path: Path) -> None:
    one, other = six_steps(tmp_path / "a", "promptir"), six_steps(tmp_path / "b", "cpl")
    with pytest.raises(Interrupted):
        trained(one, stop=stop_after(1))
    target = other.runs[-1].folder
    target.path.mkdir(parents=True)
    shutil.copy(one.runs[-1].folder.checkpoint, target.checkpoint)
    with pytest.raises(HarnessError, match=r"belongs to promptir .* not to cpl"):
        trained(other)
    target.checkpoint.write_bytes(target.checkpoint.read_bytes()[:1000])
    with pytest.raises(HarnessError, match=r"checkpoint.pt cannot be read.*delete it"):
        trained(other)


def test_weights_of_another_method_or_damaged_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    spec = plan_of(["promptir"], tmp_path).runs[-1].train
    save_weights(path, {"a": torch.ones(2)}, spec)
    assert torch.equal(load_weights(path, spec_hash(spec), "promptir")["a"], torch.ones(2))
    with pytest.raises(HarnessError, match=r"belong to promptir \([0-9a-f]{16}\), not to cpl"):
        load_weights(path, "id-2", "cpl")
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(HarnessError, match="cannot be read"):
        load_weights(path, spec_hash(spec), "promptir")


def test_a_checkpoint_is_never_unpickled(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "harm",))

    torch.save({"weights_id": "x", "method": "m", "format": 1, "evil": Evil()}, tmp_path / "c.pt")
    with pytest.raises(HarnessError, match="cannot be read"):
        load_state(tmp_path / "c.pt", "x", "m")
    assert not (tmp_path / "harm").exists()


def test_resume_with_other_threads_warns(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = six_steps(tmp_path, "restormer")
    with pytest.raises(Interrupted):
        trained(plan, stop=stop_after(1))
    run = plan.runs[-1]
    content = torch.load(run.folder.checkpoint, weights_only=True)
    torch.save({**content, "threads": 64}, run.folder.checkpoint)
    trained(plan)
    assert "was trained with 64 threads" in capsys.readouterr().err


def test_durations_are_short() -> None:
    assert [duration(s) for s in (-1, 45, 200, 7500)] == ["0s", "45s", "3m20s", "2h05m"]


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_trains_on_cuda(tmp_path: Path) -> None:
    plan = six_steps(tmp_path, "cpl", "batch: 5, precision: bf16")
    run = plan.runs[-1]
    run.folder.path.mkdir(parents=True)
    job = job_of(plan, "cuda")
    train(initial_network(run), job, PlainProgress("test"), lambda: False)
    assert all(torch.isfinite(v).all() for v in load_file(run.folder.weights).values())
