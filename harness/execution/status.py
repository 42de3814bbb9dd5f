"""What of a run is stored, and the time that the rest will take."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from harness.config.errors import HarnessError, reason_of
from harness.evaluation.metrics import is_of_set
from harness.planning.plan import Plan
from harness.planning.run import Run
from harness.store.prompt_files import is_whole, stored_analysis
from harness.store.results import WHOLE_COLUMN
from harness.store.stored_results import read_ahead, results_of

RunStatus = Literal["done", "to score", "unfinished", "missing"]

_SCORE_S = 0.5
"""Rough time to restore and score one image with a small network."""


def run_status(run: Run, plan: Plan) -> RunStatus:
    """Return what of ``run`` is stored; one whose scores are all there needs no weights."""
    if run.score is not None and _is_scored(run, plan):
        return "done"
    has_weights = run.folder.has_weights() or not run.method.spec.trained
    if not has_weights:
        begun = run.folder.checkpoint.exists() or run.folder.weights.exists()
        return "unfinished" if begun else "missing"
    return "done" if run.score is None else "to score"


def is_complete(plan: Plan) -> bool:
    """Return whether everything that the plan scores is stored."""
    return not _missing(plan.runs, plan)


def missing_runs(plan: Plan) -> list[Run]:
    """Return what of ``plan`` is not stored, in the order in which launchers begin it.

    The run with the longest chain behind it comes first: its own expected time, and that of the
    longest run that needs it. So a run comes after those that it needs, and no long one is begun
    when the others are nearly done. Pretrained weights come before what is scored beside them:
    where a file is refused, the others need not be scored.
    """
    scored = _missing(plan.runs, plan)
    chains_s = {run.id: estimated_s(run, plan) for run in scored}
    behind_s: dict[str, float] = {}
    for run in scored:
        for needed in run.requires:
            longest_s = behind_s.get(needed.weights_id, 0.0)
            behind_s[needed.weights_id] = max(longest_s, chains_s[run.id])
    auxiliary = [run for run in _missing(plan.auxiliary, plan) if run.weights_id in behind_s]
    for run in auxiliary:
        chains_s[run.id] = estimated_s(run, plan) + behind_s[run.weights_id]

    def place(run: Run) -> tuple[bool, float]:
        return run.checkpoint is None and plan.request.checkpoint is not None, -chains_s[run.id]

    return sorted([*auxiliary, *scored], key=place)


def _missing(runs: Sequence[Run], plan: Plan) -> list[Run]:
    read_ahead(run.folder.results for run in runs)
    return [run for run in runs if run_status(run, plan) != "done"]


def estimated_s(run: Run, plan: Plan) -> float:
    """Return a rough time for what of ``run`` is missing, from the recipe's measured step."""
    status = run_status(run, plan)
    if status == "done":
        return 0.0
    images = 0
    if run.score is not None:
        images = sum(len(names) for names in plan.test.images_by_column().values())
    training_s = _training_s(run, plan) if status in ("missing", "unfinished") else 0.0
    return training_s + _SCORE_S * images


def assumption_note(plan: Plan) -> str:
    """Return what to add to an expected time that assumes a GPU, where no GPU is to be seen."""
    if "GPU" not in plan.recipe.runtime.expected_on or has_gpu():
        return ""
    return "; this machine shows no GPU, and a CPU takes many times as long"


def has_gpu() -> bool:
    """Return whether a GPU is to be seen; asking torch would take seconds."""
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    if any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/kfd").exists():
        return True
    return shutil.which("nvidia-smi") is not None


def _training_s(run: Run, plan: Plan) -> float:
    if run.train.optimisation is None:
        return 0.0
    spec = run.method.spec
    try:
        factor = 1.0 if spec.cost is None else float(spec.cost(run.train.options))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a function of a plug-in
        raise HarnessError(
            f"the cost of {run.method.id} cannot be computed: {reason_of(error)}; mend its spec"
        ) from error
    step_s = plan.recipe.runtime.expected_step_s * spec.relative_cost * factor
    return run.train.optimisation.steps * step_s


def _is_scored(run: Run, plan: Plan) -> bool:
    for part in plan.by_protocol:
        if not _has_all_values(part.run(run.id), part):
            return False
    if plan.out_of_distribution:
        return True
    if not run.folder.prompt_summary.exists():
        return False
    return not plan.probes or _is_analysed(run)


def _is_analysed(run: Run) -> bool:
    """Return whether the prompts are analysed; what an older analysis lacks takes weights."""
    stored = stored_analysis(run.folder, run.score_id)
    if stored is None:
        return False
    has_weights = run.folder.has_weights() or run.checkpoint is not None
    return is_whole(stored) or not has_weights


def _has_all_values(run: Run, plan: Plan) -> bool:
    stored = results_of(run.folder.results, run.score).scored()
    for column, images in plan.test.images_by_column().items():
        for metric in plan.metrics:
            names = [WHOLE_COLUMN] if is_of_set(metric) and images else images
            if any((column, image, metric) not in stored for image in names):
                return False
    return True
