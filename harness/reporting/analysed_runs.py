"""The prompt analyses that are stored of a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.planning.plan import Plan
from harness.reporting.wording import worded
from harness.store.prompt_files import stored_analysis


@dataclass(frozen=True)
class AnalysedRun:
    """The prompt analysis of one run, as ``prompt_analysis.json`` holds it for its score.

    Attributes:
        name: what files call the run.
        analysis: what is stored.
        weights_id: of the run's weights.
        shown_as: what tables call the run; empty takes the name.
    """

    name: str
    analysis: Mapping[str, Any]
    weights_id: str = ""
    shown_as: str = ""

    @property
    def label(self) -> str:
        """What tables call the run."""
        return self.shown_as or self.name


def analysed_runs(plan: Plan) -> list[AnalysedRun]:
    """Return the prompt analyses that are stored of a plan; methods without prompts have none.

    Methods bear the labels that the request chooses.
    """
    found = []
    for run in worded(plan).runs:
        analysis = stored_analysis(run.folder, run.score_id)
        if analysis:
            shown = f"{run.method.label} seed {run.train.seed}"
            found.append(AnalysedRun(run.label, analysis, run.weights_id, shown))
    return found
