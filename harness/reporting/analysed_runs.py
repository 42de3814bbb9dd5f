"""The prompt analyses that are stored of a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.planning.plan import Plan
from harness.store.prompt_files import stored_analysis


@dataclass(frozen=True)
class AnalysedRun:
    """The prompt analysis of one run, as ``prompt_analysis.json`` holds it for its score."""

    label: str
    analysis: Mapping[str, Any]
    weights_id: str = ""


def analysed_runs(plan: Plan) -> list[AnalysedRun]:
    """Return the prompt analyses that are stored of a plan; methods without prompts have none."""
    found = []
    for run in plan.runs:
        analysis = stored_analysis(run.folder, run.score_id)
        if analysis:
            found.append(AnalysedRun(run.label, analysis, run.weights_id))
    return found
