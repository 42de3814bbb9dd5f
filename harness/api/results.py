"""Results: data frames, tables and archives of what is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.planning.own_files import use_own_files
from harness.planning.plan import Plan, make_plan
from harness.planning.request import DEFAULT_OUT, RunRequest
from harness.reporting.plan_text import incomplete_sentence, training_sentence
from harness.reporting.table_files import check_free, table_id, table_stem

if TYPE_CHECKING:
    import pandas as pd

    from harness.planning.studies import Study
    from harness.reporting.ablation_table import AblationTable
    from harness.reporting.benchmark_table import BenchmarkTable
    from harness.reporting.cross_table import CrossTable
    from harness.reporting.paper_selection import CitedSelection
    from harness.reporting.paper_table import PaperTable
    from harness.reporting.statistics import Spread


def load_results(folder: str | Path = DEFAULT_OUT) -> pd.DataFrame:
    """Return all results below a folder as a data frame, one row per image and metric.

    The folder is an output folder or an archive. Columns: ``weights``, ``score`` (ids),
    ``method``, ``seed``, ``setting``, ``data_set`` (its real name, such as CBSD68, or
    ``synthetic``), ``column``, ``image``, ``metric``, ``preprocessing``, ``protocol``, ``value``
    and ``origin``; :class:`~harness.store.results.Result` describes each.

    Example::

        results = harness.load_results("results/runs")
        results.groupby(["method", "column", "metric"])["value"].mean()

    Raises:
        HarnessError: the folder holds no results.
    """
    from harness.reporting.frames import results_frame

    return results_frame(Path(folder))


def table(plan: Plan) -> BenchmarkTable:
    """Return the table of what is stored of a plan; what is not stored is absent.

    ``str(table)`` is the table of the terminal; it also has ``to_dataframe()``,
    ``to_markdown()``, ``to_latex()`` and ``to_csv()``.

    Raises:
        HarnessError: results of two preprocessings or protocols would be in one column.
    """
    from harness.reporting.benchmark_table import benchmark_table

    return benchmark_table(plan, extra=plan.request.show)


def paper_table(
    request: RunRequest,
    source: str | None = None,
    wanted: CitedSelection | None = None,
) -> PaperTable:
    """Return a published table of the request's setting, with what is stored here below it.

    Args:
        request: what of this project is shown.
        source: whose table, as ``cpl``, ``mioir`` or ``survey``; None takes the first.
        wanted: which of its rows, by year, parameters and type; None takes all.

    Raises:
        UsageError: nothing is published of the setting, or by that source.
    """
    from harness.config.files import setting_names
    from harness.config.folders import is_file_name
    from harness.reporting.paper_selection import EVERYTHING
    from harness.reporting.paper_table import paper_table_of

    # Cited values can be shown of a setting that this installation cannot measure.
    use_own_files(request.include, request.plugins)
    wanted = wanted or EVERYTHING
    if is_file_name(request.setting) or request.setting in setting_names():
        plan = make_plan(request)
        return paper_table_of(plan, plan.setting.name, source, wanted)
    return paper_table_of(None, request.setting, source, wanted)


def training_notes(plan: Plan) -> list[str]:
    """Return what the user should know of the training images before they are trained on."""
    notes = [
        training_sentence(plan),
        incomplete_sentence(plan),
        *plan.source.overlap_notes(plan.setting),
    ]
    return [note for note in notes if note]


def probe_report(plan: Plan, folder: Path, width: int | None = None) -> tuple[str, list[Path]]:
    """Write the prompt analyses of a plan to ``folder``; return their text and the files.

    ``width`` is that of the terminal in characters; None sets no limit.
    """
    from harness.reporting import probe_tables

    paths = probe_tables.write(plan, folder)
    return probe_tables.report(plan, width), paths


def routing_at_test(plan: Plan) -> pd.DataFrame:
    """Return what the stored probes of a plan say of other ways of routing at test.

    One row per run, variant and column, averages included: ``input_db`` and ``psnr_db``, the
    difference to routing as trained with its 95% interval over images, how many images are
    ``rerouted``, and the routers' ``confidence`` and ``entropy``. ``docs/probes.md`` defines each.
    It is empty where nothing was probed; a plan with ``probes=True`` is, when it is run.
    """
    import pandas as pd

    from harness.reporting.analysed_runs import analysed_runs
    from harness.reporting.routing_table import FIELDS, routing_records

    return pd.DataFrame(routing_records(analysed_runs(plan)), columns=list(FIELDS))


def check_table(plan: Plan) -> None:
    """Check what the table will be called and show, before anything is computed for it.

    Raises:
        UsageError: no such extra column, a name to be replaced that the table does not show, or
            another table of runs is stored under the name.
    """
    from harness.reporting.columns import extra_columns
    from harness.reporting.wording import check_wording

    extra_columns(plan.request.show)
    check_wording(plan)
    for part in plan.by_protocol:
        identity = table_id(part)
        check_free(plan.out / "tables", table_stem(part, identity), identity)


def check_study_names(studies: Sequence[Study], plan: Plan, spread: Spread | None = None) -> None:
    """Refuse a name of the request under which another ablation is stored, or that shows nothing.

    Raises:
        UsageError: names the file, or the name to be replaced that no table of the plan shows.
    """
    from harness.reporting.ablation_table import ablation_files
    from harness.reporting.wording import check_wording

    check_wording(plan)
    for study in studies:
        for stem, identity in ablation_files(study, plan, spread):
            check_free(plan.out / "tables", stem, identity)


def ablation_tables(
    study: Study, plan: Plan, failed: Mapping[str, str], spread: Spread | None = None
) -> list[AblationTable | CrossTable]:
    """Return a table per axis of a study, and one per metric of its crossed axes.

    ``failed`` maps a run's label to why it failed; ``spread`` is what intervals show.
    """
    # Most commands show no ablation, and its modules take a while to import.
    from harness.reporting.ablation_table import ablation_tables as tables_of

    return tables_of(study, plan, failed, spread)
