"""What a tracker receives of the scoring of a run: means, a few images, and what prompts do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.config.ranks import Ranks
from harness.config.run_specs import ScoreSpec
from harness.evaluation.evaluate import Name, OnRestored
from harness.evaluation.side_by_side import showing_first
from harness.execution.trackers import NO_TRACKER
from harness.execution.trackers.protocol import Matrix
from harness.execution.tracking import Tracking
from harness.store.results import Result


class TrackedImages:
    """The first image of each column, which the tracker receives side by side with its pair.

    Of several processes the first reports, and those that restored an image hand it over.

    Args:
        tracking: reports the run; in processes other than the first it has ended.
        ranks: the processes that restore.
    """

    def __init__(self, tracking: Tracking, ranks: Ranks) -> None:
        self.tracking, self.ranks = tracking, ranks
        self._restored: dict[str, NDArray[np.uint8]] = {}

    def shown_of(self, names: Iterable[Name], keep: OnRestored) -> OnRestored:
        """Return what is done with a restored image: ``keep`` it, and show the first of a column.

        Args:
            names: column and image of all test pairs, in their order.
            keep: receives every image.
        """
        if self.ranks.alone:
            return showing_first(names, self._report, keep) if self.tracking.is_on else keep
        if self.tracking.name == NO_TRACKER:
            return keep
        return showing_first(names, self._restored.__setitem__, keep)

    def report(self) -> None:
        """Report what several processes have restored; one process has reported it already."""
        if self.ranks.alone or self.tracking.name == NO_TRACKER:
            return
        for of_rank in self.ranks.exchange(self._restored):
            for name, pixels in sorted(of_rank.items()):
                self._report(name, pixels)

    def _report(self, name: str, pixels: NDArray[np.uint8]) -> None:
        self.tracking.image(f"images/{name}", pixels)


def report_means(tracking: Tracking, score: ScoreSpec, results: Iterable[Result]) -> None:
    """Report the mean over images of each metric in each column."""
    if not tracking.is_on:
        return
    values: dict[str, list[float]] = {}
    score_id = ""
    for result in results:
        score_id = result.score
        values.setdefault(f"{result.column} {result.metric}", []).append(result.value)
    means = {name: float(np.mean(found)) for name, found in values.items()}
    tracking.scores(score_id, f"{score.test.setting} {score.protocol.id}", means)


def report_prompts(tracking: Tracking, summary: Mapping[str, Any]) -> None:
    """Report the expert load of each task, and PSNR under each task's prompts, of a summary."""
    prompts = summary.get("prompts")
    if prompts is None:
        return
    tasks = prompts["tasks"]
    for level, load in prompts["expert_load"].items():
        tracking.probe(f"prompts/expert load {level}", _experts(load))
    tracking.probe("prompts/psnr_db", Matrix(tasks, tasks, prompts["psnr_db"]))


def report_analysis(tracking: Tracking, analysis: Mapping[str, Any]) -> None:
    """Report the routing of each column, and PSNR under each column's prompts, of ``--probes``."""
    if not analysis:
        return
    for level, routing in analysis["routing"].items():
        tracking.probe(f"probes/expert load {level}", _experts(routing["expert_load"]))
    columns = analysis["columns"]
    tracking.probe("probes/psnr_db", Matrix(columns, columns, analysis["prompt_swap"]["psnr_db"]))


def _experts(load: Mapping[str, list[float | None]]) -> Matrix:
    """Return the expert load, by task or column, as a matrix."""
    count = len(next(iter(load.values()), []))
    experts = [f"expert {number}" for number in range(count)]
    return Matrix(list(load), experts, list(load.values()))
