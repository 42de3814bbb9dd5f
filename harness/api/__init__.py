"""The functions that scripts, notebooks and the command line call.

A :class:`~harness.planning.plan.Plan` says what is computed, :func:`run` computes what is missing
of it, and :func:`table` shows what is stored. Everything is stored in the plan's output folder, so
each function may be called again, in another process or on another day.

The command line calls the functions of this package and nothing else.
"""

from harness.api.comparing import compare, write_comparison
from harness.api.computing import (
    check_resources,
    compute,
    evaluate,
    execute_run,
    is_first_process,
    run,
)
from harness.api.diagnosis import Finding, doctor
from harness.api.figures import FigureOptions, check_stored, figure, figure_kinds, left_out_note
from harness.api.images import keep_images, kept_paths, named_images
from harness.api.plans import describe, load_studies, make_request, plan
from harness.api.reports import check_image_choice, leaderboard, report
from harness.api.restoring import (
    RestoreRequest,
    image_kind,
    opened_restorer,
    restore,
    restore_each,
    restore_one,
    write_preview,
)
from harness.api.results import (
    ablation_tables,
    check_study_names,
    check_table,
    load_results,
    paper_table,
    probe_report,
    table,
    training_notes,
)
from harness.api.scoring import score, score_with_progress
from harness.api.speed import (
    BenchOptions,
    BenchResult,
    bench,
    bench_rows,
    check_bench,
    load_bench,
    profile_step,
)
from harness.api.storage import image_cache_folder, remove_image_cache
from harness.api.tuning import (
    TuningOutcome,
    budget_of,
    describe_tuning,
    plan_tuning,
    tune,
    tuning_outcome,
)
from harness.evaluation.restored_file import RestoredFile
from harness.evaluation.score_folders import FolderScores, ScoringRequest
from harness.execution.archiving import export_runs, import_runs, legacy_note
from harness.execution.convert import Conversion, convert_checkpoint
from harness.execution.execute import RunOutcome, raise_if_failed
from harness.execution.listing import StoredRunInfo, remove_runs, stored_runs
from harness.execution.status import is_complete
from harness.planning.own_files import use_own_files
from harness.planning.plan import Plan, load_plan, store_plan
from harness.planning.request import (
    CheckpointRequest,
    DataRequest,
    EvaluationOverrides,
    Resources,
    RunRequest,
    split_names,
)
from harness.planning.studies import Study, methods_of
from harness.planning.tuning import Budget, Tuning
from harness.planning.validate import validate_file
from harness.registry import (
    MethodSpec,
    OptionGroup,
    catalogue,
    find,
    option_groups,
    use_plugins,
)
from harness.reporting.audit_report import audit_report
from harness.reporting.paper_selection import CitedSelection, parse_years
from harness.reporting.prompt_report import prompt_report
from harness.reporting.renderers.latex_style import LatexStyle

__all__ = [
    "BenchOptions",
    "BenchResult",
    "Budget",
    "CheckpointRequest",
    "CitedSelection",
    "Conversion",
    "DataRequest",
    "EvaluationOverrides",
    "FigureOptions",
    "Finding",
    "FolderScores",
    "LatexStyle",
    "MethodSpec",
    "OptionGroup",
    "Plan",
    "Resources",
    "RestoreRequest",
    "RestoredFile",
    "RunOutcome",
    "RunRequest",
    "ScoringRequest",
    "StoredRunInfo",
    "Study",
    "Tuning",
    "TuningOutcome",
    "ablation_tables",
    "audit_report",
    "bench",
    "bench_rows",
    "budget_of",
    "catalogue",
    "check_bench",
    "check_image_choice",
    "check_resources",
    "check_stored",
    "check_study_names",
    "check_table",
    "compare",
    "compute",
    "convert_checkpoint",
    "describe",
    "describe_tuning",
    "doctor",
    "evaluate",
    "execute_run",
    "export_runs",
    "figure",
    "figure_kinds",
    "find",
    "image_cache_folder",
    "image_kind",
    "import_runs",
    "is_complete",
    "is_first_process",
    "keep_images",
    "kept_paths",
    "leaderboard",
    "left_out_note",
    "legacy_note",
    "load_bench",
    "load_plan",
    "load_results",
    "load_studies",
    "make_request",
    "methods_of",
    "named_images",
    "opened_restorer",
    "option_groups",
    "paper_table",
    "parse_years",
    "plan",
    "plan_tuning",
    "probe_report",
    "profile_step",
    "prompt_report",
    "raise_if_failed",
    "remove_image_cache",
    "remove_runs",
    "report",
    "restore",
    "restore_each",
    "restore_one",
    "run",
    "score",
    "score_with_progress",
    "split_names",
    "store_plan",
    "stored_runs",
    "table",
    "training_notes",
    "tune",
    "tuning_outcome",
    "use_own_files",
    "use_plugins",
    "validate_file",
    "write_comparison",
    "write_preview",
]
