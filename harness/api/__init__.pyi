from harness.api.comparing import compare as compare
from harness.api.comparing import write_comparison as write_comparison
from harness.api.computing import check_resources as check_resources
from harness.api.computing import compute as compute
from harness.api.computing import evaluate as evaluate
from harness.api.computing import execute_run as execute_run
from harness.api.computing import is_first_process as is_first_process
from harness.api.computing import run as run
from harness.api.diagnosis import Finding as Finding
from harness.api.diagnosis import doctor as doctor
from harness.api.figures import FigureOptions as FigureOptions
from harness.api.figures import check_stored as check_stored
from harness.api.figures import figure as figure
from harness.api.figures import figure_kinds as figure_kinds
from harness.api.figures import left_out_note as left_out_note
from harness.api.images import keep_images as keep_images
from harness.api.images import kept_paths as kept_paths
from harness.api.images import named_images as named_images
from harness.api.plans import describe as describe
from harness.api.plans import load_studies as load_studies
from harness.api.plans import make_request as make_request
from harness.api.plans import plan as plan
from harness.api.reports import check_image_choice as check_image_choice
from harness.api.reports import leaderboard as leaderboard
from harness.api.reports import report as report
from harness.api.restoring import RestoreRequest as RestoreRequest
from harness.api.restoring import image_kind as image_kind
from harness.api.restoring import opened_restorer as opened_restorer
from harness.api.restoring import restore as restore
from harness.api.restoring import restore_each as restore_each
from harness.api.restoring import restore_one as restore_one
from harness.api.restoring import write_preview as write_preview
from harness.api.results import ablation_tables as ablation_tables
from harness.api.results import check_study_names as check_study_names
from harness.api.results import check_table as check_table
from harness.api.results import load_results as load_results
from harness.api.results import paper_table as paper_table
from harness.api.results import probe_report as probe_report
from harness.api.results import routing_at_test as routing_at_test
from harness.api.results import table as table
from harness.api.results import training_notes as training_notes
from harness.api.scoring import score as score
from harness.api.scoring import score_with_progress as score_with_progress
from harness.api.speed import BenchOptions as BenchOptions
from harness.api.speed import BenchResult as BenchResult
from harness.api.speed import bench as bench
from harness.api.speed import bench_rows as bench_rows
from harness.api.speed import check_bench as check_bench
from harness.api.speed import load_bench as load_bench
from harness.api.speed import profile_step as profile_step
from harness.api.storage import image_cache_folder as image_cache_folder
from harness.api.storage import remove_image_cache as remove_image_cache
from harness.api.tuning import TuningOutcome as TuningOutcome
from harness.api.tuning import budget_of as budget_of
from harness.api.tuning import describe_tuning as describe_tuning
from harness.api.tuning import plan_tuning as plan_tuning
from harness.api.tuning import tune as tune
from harness.api.tuning import tuning_outcome as tuning_outcome
from harness.evaluation.restored_file import RestoredFile as RestoredFile
from harness.evaluation.score_folders import FolderScores as FolderScores
from harness.evaluation.score_folders import ScoringRequest as ScoringRequest
from harness.execution.archiving import export_runs as export_runs
from harness.execution.archiving import import_runs as import_runs
from harness.execution.archiving import legacy_note as legacy_note
from harness.execution.convert import Conversion as Conversion
from harness.execution.convert import convert_checkpoint as convert_checkpoint
from harness.execution.execute import RunOutcome as RunOutcome
from harness.execution.execute import raise_if_failed as raise_if_failed
from harness.execution.listing import StoredRunInfo as StoredRunInfo
from harness.execution.listing import remove_runs as remove_runs
from harness.execution.listing import stored_runs as stored_runs
from harness.execution.status import is_complete as is_complete
from harness.planning.budget import Budget as Budget
from harness.planning.own_files import use_own_files as use_own_files
from harness.planning.plan import Plan as Plan
from harness.planning.plan_files import load_plan as load_plan
from harness.planning.plan_files import store_plan as store_plan
from harness.planning.request import CheckpointRequest as CheckpointRequest
from harness.planning.request import DataRequest as DataRequest
from harness.planning.request import EvaluationOverrides as EvaluationOverrides
from harness.planning.request import Resources as Resources
from harness.planning.request import RunRequest as RunRequest
from harness.planning.request import split_names as split_names
from harness.planning.request_files import of_methods as of_methods
from harness.planning.studies import Study as Study
from harness.planning.studies import methods_of as methods_of
from harness.planning.tuning import Tuning as Tuning
from harness.planning.validate import validate_file as validate_file
from harness.registry import MethodSpec as MethodSpec
from harness.registry import OptionGroup as OptionGroup
from harness.registry import catalogue as catalogue
from harness.registry import find as find
from harness.registry import option_groups as option_groups
from harness.registry import use_plugins as use_plugins
from harness.reporting.audit_report import audit_report as audit_report
from harness.reporting.paper_selection import CitedSelection as CitedSelection
from harness.reporting.paper_selection import parse_years as parse_years
from harness.reporting.prompt_report import prompt_report as prompt_report
from harness.reporting.renderers.latex_style import LatexStyle as LatexStyle

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
    "of_methods",
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
    "routing_at_test",
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
