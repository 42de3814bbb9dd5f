"""Several processes that score one run: the rows, columns and reports of one.

Threads stand for processes; what they exchange is pickled, as between processes.
"""

from __future__ import annotations

import pickle
import sys
import threading
import types
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import torch

from harness import api
from harness.config.errors import UsageError
from harness.config.ranks import Ranks, check_alone
from harness.evaluation.evaluate import Scoring, Subject, evaluate
from harness.evaluation.metrics import resolve_metrics
from harness.evaluation.metrics.definition import SetMetric
from harness.evaluation.metrics.fid import frechet_distance
from harness.evaluation.metrics.pyiqa_metrics import pyiqa_facts
from harness.execution import trackers
from harness.execution.execute import Control, RunOutcome, execute
from harness.execution.locks import Claim, RunIsHeld
from harness.execution.process import Worker, joined_worker
from harness.planning.plan import Plan
from harness.planning.request import Resources
from harness.store.results import WHOLE_COLUMN, Result
from tests.plans import plan_of

T = TypeVar("T")
RECIPE = """
base: smoke
test: {images: 3, draws: 1, centre_px: 64}
"""


def by_ranks(count: int, compute: Callable[[Ranks], T]) -> list[T]:
    """Compute the same as each of several processes, and return what each of them got."""
    barrier = threading.Barrier(count, timeout=60)
    said: list[bytes] = [b""] * count

    def exchange(rank: int, value: Any) -> list[Any]:
        said[rank] = pickle.dumps(value)
        barrier.wait()
        heard = [pickle.loads(one) for one in said]
        barrier.wait()
        return heard

    def of_rank(rank: int) -> T:
        try:
            return compute(Ranks(rank, count, "gloo", partial(exchange, rank)))
        except BaseException:
            barrier.abort()
            raise

    if count == 1:
        return [compute(Ranks())]
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(of_rank, range(count)))


def plan_in(out: Path) -> Plan:
    out.mkdir(parents=True, exist_ok=True)
    (out / "three.yaml").write_text(RECIPE)
    return plan_of(["degraded-input"], out, recipe=str(out / "three.yaml"))


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return plan_in(tmp_path_factory.mktemp("plan"))


class Same(torch.nn.Module):
    """A method that changes nothing."""

    def restore(self, degraded: torch.Tensor, tasks: object = None) -> torch.Tensor:
        return degraded


def colours(image: np.ndarray) -> np.ndarray:
    return np.concatenate([image.mean(axis=(0, 1)), image.std(axis=(0, 1))])


def scored(
    plan: Plan, ranks: Ranks, done: list[Result], stop: Callable[[int], bool]
) -> list[Result]:
    score = plan.runs[0].score
    assert score is not None
    scoring = Scoring(
        spec=score,
        metrics=resolve_metrics(["psnr_rgb"]),
        done={(r.column, r.image, r.metric) for r in done},
        set_metrics=[
            SetMetric(
                **vars(pyiqa_facts("fid", higher_is_better=False)),
                features=colours,
                distance=frechet_distance,
            )
        ],
        ranks=ranks,
    )
    subject = Subject(Same(), "degraded-input", 0, False, torch.device("cpu"))
    rows: list[Result] = []
    pairs = plan.source.pairs(score.test)
    for results in evaluate(subject, pairs, scoring, stop=lambda: stop(ranks.rank)):
        rows += results
    return rows


@pytest.mark.parametrize("count", [2, 3])
def test_rows_and_values_of_columns_are_those_of_one_process(count: int, plan: Plan) -> None:
    (alone,) = by_ranks(1, lambda ranks: scored(plan, ranks, [], lambda rank: False))
    assert sum(row.image == WHOLE_COLUMN for row in alone) == len(plan.columns)
    found = by_ranks(count, lambda ranks: scored(plan, ranks, [], lambda rank: False))
    assert found == [alone] * count


def test_a_stop_of_any_process_ends_all_and_the_rest_is_scored_later(plan: Plan) -> None:
    (alone,) = by_ranks(1, lambda ranks: scored(plan, ranks, [], lambda rank: False))
    first, other = by_ranks(2, lambda ranks: scored(plan, ranks, [], lambda rank: rank == 1))
    assert first == other
    assert 0 < len(first) < len(alone)
    again = by_ranks(2, lambda ranks: scored(plan, ranks, first, lambda rank: False))[0]
    assert sorted(map(str, [*first, *again])) == sorted(map(str, alone))


class Recorder:
    """A tracker that remembers what it received."""

    def __init__(self) -> None:
        self.images: dict[str, np.ndarray] = {}
        self.means: dict[str, float] = {}

    def image(self, name: str, pixels: np.ndarray, step: int) -> None:
        assert name not in self.images
        self.images[name] = pixels

    def scalars(self, values: dict[str, float], step: int) -> None:
        self.means.update(values)

    def flush(self) -> None: ...

    def close(self) -> None: ...


def computed(plan: Plan, count: int, control: Control | None = None) -> list[RunOutcome]:
    def compute(ranks: Ranks) -> RunOutcome:
        worker = Worker(device="cpu", threads=1, ranks=ranks, tracker="recorder")
        return execute(plan.runs[0], plan, worker, control)

    return by_ranks(count, compute)


@pytest.fixture
def recorders(monkeypatch: pytest.MonkeyPatch) -> list[Recorder]:
    found: list[Recorder] = []

    def open_tracker(run: object) -> Recorder:
        found.append(Recorder())
        return found[-1]

    module = types.ModuleType("recording_tracker")
    module.open_tracker = open_tracker  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "recording_tracker", module)
    monkeypatch.setitem(trackers.TRACKERS, "recorder", "recording_tracker")
    return found


def test_the_first_process_alone_writes_and_reports(
    tmp_path: Path, recorders: list[Recorder]
) -> None:
    alone, joint = plan_in(tmp_path / "alone"), plan_in(tmp_path / "joint")
    for plan, count in ((alone, 1), (joint, 2)):
        assert computed(plan, count) == [RunOutcome(plan.runs[0].label, plan.runs[0].id)] * count
    rows = [plan.runs[0].folder.results.read_bytes() for plan in (alone, joint)]
    assert rows[0] == rows[1]
    of_one, of_two = recorders
    assert of_one.means == of_two.means
    assert of_one.images.keys() == of_two.images.keys()
    assert len(of_one.images) == len(alone.columns)
    for name, pixels in of_one.images.items():
        np.testing.assert_array_equal(of_two.images[name], pixels)


@pytest.mark.parametrize("notices", ["before it writes", "when asked whether to stop"])
def test_all_let_a_run_go_whose_claim_the_first_has_lost(
    notices: str, tmp_path: Path, recorders: list[Recorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = iter(range(10**6))

    def lost(claim: Claim) -> bool:
        return next(asked) >= 2

    def check(claim: Claim) -> None:
        if lost(claim):
            raise RunIsHeld("taken over")

    monkeypatch.setattr(Claim, "check", check)
    if notices == "when asked whether to stop":
        monkeypatch.setattr(Claim, "lost", lost)
    plan = plan_in(tmp_path)
    outcomes = computed(plan, 2, Control(wait=False))
    assert [outcome.held for outcome in outcomes] == [True, True]
    assert not any(outcome.error or outcome.interrupted for outcome in outcomes)


@pytest.fixture
def under_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("RANK", "1"), ("WORLD_SIZE", "2"), ("TORCHELASTIC_RUN_ID", "test")):
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("under_torchrun")
@pytest.mark.parametrize("command", ["ablate", "tune"])
def test_commands_of_many_runs_are_refused(command: str, harness_command: Any) -> None:
    refused = harness_command(command, "--recipe", "smoke", "--dry-run")
    assert refused.returncode == 2
    assert refused.stderr == "", "the first process says it"
    with pytest.raises(UsageError, match=f"start {command} without torchrun"):
        check_alone(command)


@pytest.mark.usefixtures("under_torchrun")
def test_launchers_for_other_processes_are_refused() -> None:
    with pytest.raises(UsageError, match="--launcher slurm hands runs to other processes"):
        api.check_resources(Resources(launcher="slurm"))
    asked = joined_worker(Resources(launcher="slurm"), here=False)
    with pytest.raises(UsageError, match="--launcher slurm hands runs to other processes"), asked:
        pass
