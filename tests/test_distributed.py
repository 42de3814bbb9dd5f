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
from harness.planning.plan import Plan, store_plan
from harness.planning.request import Resources
from harness.training.gathered_state import GatheredState
from tests.joint_training import Outcome, joint_plan, run_of, train_until, two_steps
from tests.networks import TRAINED

ROOT = Path(__file__).parents[1]
PROGRAM = ROOT / "tests" / "joint_training.py"
LR = 0.001
METHODS = [*(spec.name for spec in TRAINED), "cpl-guided@dcpt"]
STATEFUL = ["airnet", "cpl", "cpl-guided", "mirage", "moceir", "onerestore-embedder"]


def joint_environment(rank: int, count: int, port: int) -> dict[str, str]:
    numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "MASTER_PORT": port}
    found = {name: str(value) for name, value in numbers.items()}
    place = {"MASTER_ADDR": "127.0.0.1", "TORCHELASTIC_RUN_ID": "test"}
    return {**os.environ, **found, **place, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def free_port() -> int:
    import socket

    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return int(bound.getsockname()[1])


def together(count: int, folder: Path, **asked: Any) -> list[tuple[int, str]]:
    """Run the program in ``count`` processes; return exit code and stderr of each."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "asked.json"
    file.write_text(json.dumps({"folder": str(folder), **asked}))
    port = free_port()
    processes = []
    for rank in range(count):
        process = subprocess.Popen(
            [sys.executable, str(PROGRAM), str(file)],
            env=joint_environment(rank, count, port),
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
    ended = []
    for process in processes:
        _, errors = process.communicate(timeout=600)
        ended.append((process.returncode, errors))
    return ended


def computed(count: int, folder: Path, methods: list[str], batch: int) -> dict[str, Outcome]:
    ended = together(count, folder, methods=methods, batch=batch, steps=2, to=str(folder))
    assert all(code == 0 for code, _ in ended), ended
    found = {}
    for method in methods:
        found[method] = Outcome(**torch.load(folder / f"{method}.pt", weights_only=True))
    return found


@pytest.fixture(scope="module")
def by_two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, dict[str, Outcome]]:
    """Three micro-batches, of which the first process has two."""
    folder = tmp_path_factory.mktemp("two")
    found = computed(2, folder, METHODS, batch=6)
    return joint_plan(folder, METHODS, 6), found


@pytest.fixture(scope="module")
def by_three(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, dict[str, Outcome]]:
    """Two micro-batches, so that the third process has none."""
    folder = tmp_path_factory.mktemp("three")
    found = computed(3, folder, STATEFUL, batch=4)
    return joint_plan(folder, STATEFUL, 4), found


def assert_same_training(found: Outcome, expected: Outcome) -> None:
    """Compare two trainings to the rounding of sums.

    Adam divides a gradient by its own size, so that one which is nothing but rounding moves a
    parameter by as much as any other. Few do.
    """
    assert found.losses == pytest.approx(expected.losses, rel=2e-4)
    assert found.gradients.keys() == expected.gradients.keys()
    largest = max(float(gradient.abs().max()) for gradient in expected.gradients.values())
    for name, gradient in expected.gradients.items():
        difference = float((found.gradients[name] - gradient).abs().max())
        assert difference <= 1e-3 * float(gradient.abs().max()) + 1e-5 * largest, name
    assert found.state.keys() == expected.state.keys()
    moved, apart = 0, 0
    for name, value in expected.state.items():
        if name not in expected.gradients:
            torch.testing.assert_close(found.state[name], value, rtol=1e-3, atol=1e-4, msg=name)
            continue
        differences = (found.state[name] - value).abs()
        assert float(differences.max()) <= 4.1 * LR, name
        moved += differences.numel()
        apart += int((differences > 0.1 * LR).sum())
    assert apart <= 0.02 * moved


@pytest.mark.parametrize("method", METHODS)
def test_two_processes_train_what_one_trains(
    method: str, by_two: tuple[Plan, dict[str, Outcome]]
) -> None:
    plan, found = by_two
    assert_same_training(found[method], two_steps(plan, method))


@pytest.mark.parametrize("method", STATEFUL)
def test_a_process_without_work_changes_nothing(
    method: str, by_three: tuple[Plan, dict[str, Outcome]]
) -> None:
    plan, found = by_three
    assert_same_training(found[method], two_steps(plan, method))


def test_a_run_resumes_with_another_number_of_processes(tmp_path: Path) -> None:
    asked = {"methods": ["cpl"], "batch": 6, "steps": 6}
    whole = joint_plan(tmp_path / "whole", ["cpl"], 6, 6)
    train_until(whole, "cpl", ALONE, None)
    plan = joint_plan(tmp_path / "cut", ["cpl"], 6, 6)
    with pytest.raises(Interrupted):
        train_until(plan, "cpl", ALONE, 2)
    stopped = together(2, tmp_path / "cut", **asked, until=2)
    assert [code for code, _ in stopped] == [1, 1], stopped
    assert all("stopped at step 4 of 6" in errors for _, errors in stopped)
    ended = together(3, tmp_path / "cut", **asked, until=None)
    assert [code for code, _ in ended] == [0, 0, 0], ended
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
    while not run.folder.checkpoint.exists():
        assert begun.poll() is None, begun.communicate()
        time.sleep(0.02)
    os.kill(list(children(begun.pid))[1], signal.SIGKILL)
    killed = time.monotonic()
    _, errors = begun.communicate(timeout=60)
    assert time.monotonic() - killed < 30
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
