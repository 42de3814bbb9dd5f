"""Runs on other machines: a stored plan, the command that computes one run, and its end."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.execution.execute import RunOutcome
from harness.execution.progress import duration
from harness.execution.status import estimated_s
from harness.planning.plan import Plan
from harness.planning.plan_files import plan_name, store_plan
from harness.planning.request import Resources
from harness.planning.run import Run


def stored_plan(plan: Plan) -> Path:
    """Write a plan below its output folder, where all machines see it, and return the file.

    Its name follows from what it is made of, so that the same command finds it again.
    """
    path = plan.out.resolve() / "plans" / f"{plan_name(plan)}.json"
    store_plan(plan, path)
    return path


def exec_words(run: Run, plan_file: Path, resources: Resources) -> list[str]:
    """Return what stands after ``python`` in the command that computes one run."""
    words = ["-m", "harness", "exec", run.id, "--plan", str(plan_file)]
    words += ["--device", resources.device, "--tracker", resources.tracker]
    if resources.loader_workers is not None:
        words += ["--workers", str(resources.loader_workers)]
    if resources.threads is not None:
        words += ["--threads", str(resources.threads)]
    return words


def printed_reason(label: str, text: str) -> str:
    """Return why a run failed from what its command printed; empty if it did not say."""
    reason = ""
    for line in text.splitlines():
        if line.startswith("harness: "):
            reason = line.removeprefix("harness: ")
    _, named, rest = reason.partition(f"{label}: ")
    return rest if named else reason


@dataclass
class Following:
    """Prints a line as each run ends, with how many are left and for how long."""

    plan: Plan
    runs: Sequence[Run]
    _began: float = field(default_factory=time.monotonic)
    _expected_s: dict[str, float] = field(default_factory=dict)
    _ended: int = 0

    def __post_init__(self) -> None:
        for run in self.runs:
            self._expected_s[run.id] = estimated_s(run, self.plan)
        self._all_s = sum(self._expected_s.values())

    def log(self, text: str) -> None:
        """Print one line to standard error."""
        print(text, file=sys.stderr, flush=True)

    def end(self, outcome: RunOutcome) -> None:
        """Print that a run ended, and how."""
        self._ended += 1
        self._expected_s.pop(outcome.run_id, None)
        remaining_s = sum(self._expected_s.values())
        done_s = self._all_s - remaining_s
        left = ""
        if self._expected_s and done_s > 0:
            left_s = (time.monotonic() - self._began) * remaining_s / done_s
            left = f"; about {duration(left_s)} left"
        state = "is done"
        if outcome.interrupted:
            state = "was stopped"
        elif outcome.error:
            state = f"failed: {outcome.error}"
        self.log(f"{self._ended} of {len(self.runs)} runs: {outcome.label} {state}{left}")
