"""Threads, cores and devices of a computing process."""

from __future__ import annotations

from pathlib import Path

import pytest
from filelock import SoftFileLease

from harness.config.cores import cgroup_cores, cores
from harness.config.errors import UsageError
from harness.execution import execute as execution
from harness.execution.execute import Control
from harness.execution.locks import CLAIM_S, hold
from harness.execution.process import Worker, check_device, worker_of
from harness.execution.progress import Progress
from harness.launch import local
from harness.planning.plan import Plan
from harness.planning.request import Resources
from harness.planning.run import Run
from tests.plans import plan_of


@pytest.mark.parametrize(
    ("text", "expected"), [("150000 100000", 2), ("50000 100000", 1), ("max 100000", None)]
)
def test_a_containers_quota_counts(tmp_path: Path, text: str, expected: int | None) -> None:
    (tmp_path / "cpu.max").write_text(text)
    assert cgroup_cores(tmp_path) == expected


def test_the_older_form_of_a_quota(tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("300000\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert cgroup_cores(tmp_path) == 3
    assert cgroup_cores(tmp_path / "absent") is None


def test_threads_are_the_persons_then_the_environments_then_a_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert worker_of(Resources(device="cpu", threads=5)).threads == 5
    assert worker_of(Resources(device="cpu")).threads == 3
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert worker_of(Resources(device="cpu", jobs=1)).threads == cores()
    assert worker_of(Resources(device="cpu", jobs=100)).threads == 1


def test_a_device_that_is_none_is_refused() -> None:
    with pytest.raises(UsageError, match="--device gpu cannot be used"):
        check_device(Resources(device="gpu"))


def test_the_next_free_run_is_taken_and_the_held_one_comes_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(["promptir", "restormer"], tmp_path, recipe="smoke")
    first = plan.runs[0]
    first.folder.path.mkdir(parents=True)
    computed: list[str] = []
    lock = SoftFileLease(first.folder.claim, lease_duration=CLAIM_S)
    lock.acquire()

    def compute(run: Run, plan: Plan, worker: Worker, control: Control, progress: Progress) -> None:
        with hold(run, progress, control.stop, control.wait):
            computed.append(run.label)
            if len(computed) == len(plan.runs) - 1:
                lock.release()

    monkeypatch.setattr(execution, "_compute", compute)
    outcomes = local.launch(plan, worker_of(Resources(device="cpu", threads=1)))
    assert computed == [run.label for run in (*plan.runs[1:], first)]
    assert [outcome.error for outcome in outcomes] == ["", "", ""]
