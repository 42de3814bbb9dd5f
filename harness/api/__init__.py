"""The functions that scripts, notebooks and the command line call.

A :class:`~harness.planning.plan.Plan` says what is computed, :func:`run` computes what is missing
of it, and :func:`table` shows what is stored. Everything is stored in the plan's output folder, so
each function may be called again, in another process or on another day.

The command line calls the functions of this package and nothing else.
"""

import importlib
from typing import Any

_NAMES = {
    "harness.api.comparing": "compare write_comparison",
    "harness.api.computing": "check_resources compute evaluate execute_run is_first_process run",
    "harness.api.diagnosis": "Finding doctor",
    "harness.api.figures": "FigureOptions check_stored figure figure_kinds left_out_note",
    "harness.api.images": "keep_images kept_paths named_images",
    "harness.api.plans": "describe load_studies make_request plan",
    "harness.api.reports": "check_image_choice leaderboard report",
    "harness.api.restoring": (
        "RestoreRequest image_kind opened_restorer restore restore_each restore_one write_preview"
    ),
    "harness.api.results": (
        "ablation_tables check_study_names check_table load_results paper_table probe_report "
        "routing_at_test table training_notes"
    ),
    "harness.api.scoring": "score score_with_progress",
    "harness.api.speed": (
        "BenchOptions BenchResult bench bench_rows check_bench load_bench profile_step"
    ),
    "harness.api.storage": "image_cache_folder remove_image_cache",
    "harness.api.tuning": "TuningOutcome budget_of describe_tuning plan_tuning tune tuning_outcome",
    "harness.evaluation.restored_file": "RestoredFile",
    "harness.evaluation.score_folders": "FolderScores ScoringRequest",
    "harness.execution.archiving": "export_runs import_runs legacy_note",
    "harness.execution.convert": "Conversion convert_checkpoint",
    "harness.execution.execute": "RunOutcome raise_if_failed",
    "harness.execution.listing": "StoredRunInfo remove_runs stored_runs",
    "harness.execution.status": "is_complete",
    "harness.planning.budget": "Budget",
    "harness.planning.own_files": "use_own_files",
    "harness.planning.plan": "Plan",
    "harness.planning.plan_files": "load_plan store_plan",
    "harness.planning.request": (
        "CheckpointRequest DataRequest EvaluationOverrides Resources RunRequest split_names"
    ),
    "harness.planning.request_files": "of_methods",
    "harness.planning.studies": "Study methods_of",
    "harness.planning.tuning": "Tuning",
    "harness.planning.validate": "validate_file",
    "harness.registry": "MethodSpec OptionGroup catalogue find option_groups use_plugins",
    "harness.reporting.audit_report": "audit_report",
    "harness.reporting.paper_selection": "CitedSelection parse_years",
    "harness.reporting.prompt_report": "prompt_report",
    "harness.reporting.renderers.latex_style": "LatexStyle",
}
"""Names by the module that holds them; ``__init__.pyi`` says the same to type checkers."""

_MODULES: dict[str, str] = {}
for _module, _names in _NAMES.items():
    _MODULES.update(dict.fromkeys(_names.split(), _module))

__all__ = sorted(_MODULES)


def __getattr__(name: str) -> Any:
    """Load a function when it is first asked for: most commands need few of them."""
    if name not in _MODULES:
        raise AttributeError(f"module 'harness.api' has no attribute '{name}'")
    found = globals()[name] = getattr(importlib.import_module(_MODULES[name]), name)
    return found


def __dir__() -> list[str]:
    return __all__
