"""Lack of memory is a sentence that names the batch or the image, and loses nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from harness.evaluation import evaluate
from harness.execution.execute import execute
from harness.execution.process import Worker
from harness.execution.status import run_status
from harness.training import optimisation_step
from tests.plans import quick_plan

WORKER = Worker("cpu", 1)
ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    MemoryError(),
]


@pytest.mark.parametrize("error", ERRORS, ids=["GPU", "CPU", "Python"])
def test_in_training_it_names_the_batch_and_what_to_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    plan = quick_plan(tmp_path, "restormer")
    run = plan.runs[-1]

    def fail(*_: Any, **named: Any) -> None:
        raise error

    with monkeypatch.context() as changed:
        changed.setattr(optimisation_step, "Batch", fail)
        said = execute(run, plan, WORKER).error
    assert run.train.optimisation is not None
    size = run.train.optimisation.batch
    assert said.startswith(f"restormer: there is not enough memory for {size} patches of ")
    assert "fewer --jobs or --workers 0" in said
    assert f"micro_batch: {size // 2}" in said
    assert execute(run, plan, WORKER).error == ""
    assert run_status(run, plan) == "done"


def test_in_training_another_error_stays_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = quick_plan(tmp_path, "restormer")

    def fail(*_: Any, **named: Any) -> None:
        raise RuntimeError("sizes differ")

    monkeypatch.setattr(optimisation_step, "Batch", fail)
    assert execute(plan.runs[-1], plan, WORKER).error.startswith("RuntimeError: sizes differ; see")


@pytest.mark.parametrize("error", ERRORS, ids=["GPU", "CPU", "Python"])
def test_in_scoring_it_names_the_image_and_tiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    plan = quick_plan(tmp_path, "degraded-input")
    run = plan.runs[-1]

    def fail(*_: Any, **named: Any) -> None:
        raise error

    with monkeypatch.context() as changed:
        changed.setattr(evaluate, "restore_image", fail)
        said = execute(run, plan, WORKER).error
    assert "64x64 pixels and takes more memory to restore than there is" in said
    assert "--tile-large-images" in said
    assert execute(run, plan, WORKER).error == ""
    assert run_status(run, plan) == "done"
