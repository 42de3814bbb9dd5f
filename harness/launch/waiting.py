"""Runs that wait for a free worker, and which of them may begin."""

from __future__ import annotations

from collections.abc import Sequence

from harness.execution.execute import RunOutcome
from harness.planning.run import Run


class WaitingRuns:
    """Runs in the order in which they are to begin; a run waits for those that it needs.

    A run that another process holds is left for last, and then waited for.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        self._waiting = list(runs)
        self._held: list[Run] = []
        self._unfinished = {run.weights_id for run in runs}

    def take(self) -> tuple[Run, bool] | None:
        """Remove and return the next run that may begin, and whether its claim is waited for.

        None if there is no such run, or none until another one ends.
        """
        for runs, wait in ((self._waiting, False), (self._held, True)):
            for position, run in enumerate(runs):
                if not any(needed.weights_id in self._unfinished for needed in run.requires):
                    return runs.pop(position), wait
        return None

    def end(self, run: Run, outcome: RunOutcome) -> None:
        """Note how a run ended; however it did, those that need it may now begin."""
        if outcome.held:
            self._held.append(run)
        else:
            self._unfinished.discard(run.weights_id)
