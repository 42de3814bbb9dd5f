"""Several processes that compute one run: the same numbers as one, whatever their number."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from harness.config.errors import HarnessError, Interrupted, RunError, UsageError
from harness.config.ranks import ALONE, Ranks
from harness.execution.execute import execute
from harness.execution.process import Worker, joined_worker
from harness.planning.plan_files import store_plan
from harness.planning.request import Resources
from harness.training.gathered_state import GatheredState
from tests.joint_training import (
    LR,
    assert_same_training,
    joint_environment,
    joint_plan,
    outcome_of,
    run_of,
    together,
    train_until,
    two_steps,
)

ROOT = Path(__file__).parents[1]
# Every kind of state that batches leave behind, and methods without any;
# benchmarks/joint_methods.py has all that ship.
STATEFUL = ["airnet", "cpl", "cpl-guided", "mirage", "moceir", "onerestore-embedder"]
METHODS = [*STATEFUL, "promptir", "cpl-guided@dcpt"]
FOUR_PARTS, TWO_PARTS = {"batch": 8, "steps": 2}, {"batch": 4, "steps": 2}
CUT = {"methods": ["cpl"], "batch": 6, "steps": 6}


@pytest.fixture(scope="module")
def by_three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What three processes compute, in folders.

    In ``four`` steps have four micro-batches, of which the first process has two; in ``two`` the
    third process has none; ``cut`` goes on with a training that one process was stopped in.
    """
    folder = tmp_path_factory.mktemp("three")
    with pytest.raises(Interrupted):
        train_until(joint_plan(folder / "cut", **CUT), "cpl", ALONE, 2)
    asked = [
        {"folder": str(folder / "four"), "methods": METHODS, **FOUR_PARTS},
        {"folder": str(folder / "two"), "methods": STATEFUL, **TWO_PARTS},
        {"folder": str(folder / "cut"), **CUT, "until": 2},
    ]
    together(3, folder / "asked.json", asked)
    return folder


@pytest.mark.parametrize("method", METHODS)
def test_several_processes_train_what_one_trains(method: str, by_three: Path) -> None:
    plan = joint_plan(by_three / "four", METHODS, **FOUR_PARTS)
    assert_same_training(outcome_of(by_three / "four", method), two_steps(plan, method))


@pytest.mark.parametrize("method", STATEFUL)
def test_a_process_without_work_changes_nothing(method: str, by_three: Path) -> None:
    plan = joint_plan(by_three / "two", STATEFUL, **TWO_PARTS)
    assert_same_training(outcome_of(by_three / "two", method), two_steps(plan, method))


def test_a_run_resumes_with_another_number_of_processes(by_three: Path, tmp_path: Path) -> None:
    plan = joint_plan(by_three / "cut", **CUT)
    said = [(plan.out / f"cpl.{rank}.txt").read_text() for rank in range(3)]
    assert said == ["cpl stopped at step 4 of 6"] * 3
    train_until(plan, "cpl", ALONE, None)
    whole = joint_plan(tmp_path, **CUT)
    train_until(whole, "cpl", ALONE, None)
    folder = run_of(plan, "cpl").folder
    expected = load_file(run_of(whole, "cpl").folder.weights)
    for name, value in load_file(folder.weights).items():
        assert float((value - expected[name]).abs().median()) <= LR, name
    lines = folder.validation.read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [3, 6]
    scores = [json.loads(line)["score"] for line in lines]
    of_one = run_of(whole, "cpl").folder.validation.read_text().splitlines()
    assert scores == pytest.approx([json.loads(line)["score"] for line in of_one], abs=0.05)


def children(process: int) -> Iterator[int]:
    yield from map(int, Path(f"/proc/{process}/task/{process}/children").read_text().split())


@pytest.mark.skipif(sys.platform != "linux", reason="reads the processes of Linux")
def test_a_killed_process_ends_the_others_and_the_same_command_goes_on(tmp_path: Path) -> None:
    plan = joint_plan(tmp_path, ["promptir"], 6, 12)
    run, plan_file = run_of(plan, "promptir"), tmp_path / "plan.json"
    store_plan(plan, plan_file)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command = [*launcher, "-m", "harness", "exec", run.id, "--plan", str(plan_file)]
    command += ["--device", "cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    begun = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not run.folder.checkpoint.exists():
        assert time.monotonic() < deadline, "no checkpoint was written"
        assert begun.poll() is None, begun.communicate()
        time.sleep(0.02)
    os.kill(list(children(begun.pid))[1], signal.SIGKILL)
    killed = time.monotonic()
    _, errors = begun.communicate(timeout=60)
    assert time.monotonic() - killed < 55
    assert begun.returncode != 0
    said = [line for line in errors.splitlines() if line.startswith("harness: ")]
    assert len(said) == 1, errors
    assert "another of the 2 processes that compute this run is gone" in said[0]
    again = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("is done") == 1
    assert "resumes at step" in again.stderr
    provenance = run.folder.read_provenance()
    assert (provenance["world_size"], provenance["backend"]) == (2, "gloo")
    # The rows are those of one process, in the same order.
    rows = run.folder.results.read_text()
    run.folder.results.unlink()
    assert not execute(run, plan, Worker(device="cpu", threads=1)).error
    assert run.folder.results.read_text() == rows
    shutil.rmtree(run.folder.path)


class Counting(nn.Module):
    """A module that counts its batches, and does not declare it."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))
        self.norm = nn.BatchNorm2d(3, momentum=0.1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.get_buffer("seen").add_(1)
        normalised: torch.Tensor = self.norm(x)
        return normalised


def test_state_that_is_not_declared_is_refused() -> None:
    module = Counting()
    state = GatheredState(module, Ranks(count=2))
    state.begin()
    module(torch.rand(2, 3, 4, 4))
    with pytest.raises(RunError, match="the losses change seen"):
        state.update([state.take()])
    module.norm.momentum = None
    with pytest.raises(RunError, match="norm is a batch norm without a momentum"):
        GatheredState(module, Ranks(count=2))


def test_batch_norms_have_the_statistics_of_one_process() -> None:
    torch.manual_seed(0)
    alone, joint = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
    state = GatheredState(nn.Sequential(joint), Ranks(count=2))
    images = torch.rand(4, 2, 3, 5, 5)
    for step in (images[:2], images[2:]):
        state.begin()
        found = []
        for micro_batch in step:
            alone(micro_batch)
            joint(micro_batch)
            found.append(state.take())
        state.update(found)
    for name, value in alone.state_dict().items():
        torch.testing.assert_close(joint.state_dict()[name], value)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_items_are_shared_out_in_order(count: int) -> None:
    shares = [list(Ranks(rank, count).share(5)) for rank in range(count)]
    assert list(chain.from_iterable(shares)) == [0, 1, 2, 3, 4]
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_an_error_of_the_first_process_is_raised_by_all() -> None:
    said = []

    def exchange(value: Any) -> list[Any]:
        said.append(value)
        return [said[0], value]

    def refuse() -> None:
        raise HarnessError("the disk is full")

    for rank in range(2):
        with pytest.raises(HarnessError, match="the disk is full") as raised:
            Ranks(rank, 2, exchange=exchange).first(refuse)
        assert raised.value.raised_by_all


def test_several_runs_side_by_side_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in joint_environment(0, 2, 1).items():
        monkeypatch.setenv(name, value)
    asked = joined_worker(Resources(jobs=2, device="cpu"))
    with pytest.raises(UsageError, match="--jobs 2 computes several runs"), asked:
        pass
