"""Sections on runs, columns and rules: where the numbers of a plan come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.config.data_sets import DataSetSpec
from harness.config.files import load_data_set
from harness.config.settings import Column
from harness.planning.plan import Plan
from harness.planning.run import Run
from harness.published.tables import AVERAGE, AVERAGE_HEADING
from harness.reporting.site.sources import Fact, Sources, listed


def run_section(sources: Sources, run: Run) -> int:
    """Add what is known of a run's weights: spec, versions, commit and machine."""
    spec = run.method.spec
    provenance = run.folder.read_provenance()
    facts = [
        ("Run", run.id),
        ("Weights", run.weights_id),
        ("Origin", _origin(run, provenance)),
        ("Implementation follows", spec.source),
        ("Seed", str(run.train.seed)),
        *provenance_facts(provenance),
        ("Builds on", listed(run.train.requires)),
    ]
    content = run.train.model_dump(mode="json")
    return sources.add(
        f"{run.method.label}, seed {run.train.seed}", facts, content, "Spec of the training"
    )


def provenance_facts(provenance: Mapping[str, Any]) -> list[Fact]:
    """Return what ``provenance.json`` says in a list."""
    facts = [
        ("Commit", str(provenance.get("git_commit") or "")),
        ("Versions", listed(provenance.get("versions") or {})),
        ("Computed with", listed(provenance.get("computed_with") or {})),
        ("Device", str(provenance.get("device") or "")),
        ("Threads", str(provenance.get("threads") or "")),
        ("Platform", str(provenance.get("platform") or "")),
    ]
    if provenance.get("steps"):
        facts.append(("Steps", f"{provenance['steps']}"))
    if provenance.get("wall_s"):
        facts.append(("Training time", f"{provenance['wall_s'] / 60:.1f} min"))
    if provenance.get("parameters"):
        facts.append(("Parameters", f"{provenance['parameters']:,}"))
    return facts


def scoring_section(sources: Sources, plan: Plan) -> int:
    """Add how a plan's images are made and scored."""
    setting = plan.setting
    facts = [
        ("Setting", f"{setting.name}, version {setting.version}: {setting.title}"),
        ("Defined by", "; ".join(setting.sources)),
        ("Recipe", plan.recipe.name),
        ("Protocol", setting.protocol.id),
        ("Preprocessing", plan.test.preprocessing_id),
        ("Seeds", ", ".join(map(str, plan.seeds))),
        (AVERAGE_HEADING, "the plain mean of the columns shown"),
    ]
    content = {
        "protocol": setting.protocol.model_dump(mode="json"),
        "preprocessing": plan.test.preprocessing.model_dump(mode="json"),
        "centre_px": plan.test.centre_px,
        "degradation_versions": plan.test.degradation_versions,
    }
    return sources.add("Scoring", facts, content, "Rules in full")


def column_sections(sources: Sources, plan: Plan) -> dict[str, int]:
    """Add what each column is of; return the numbers by column, the average too."""
    images = plan.test.images_by_column()
    found: dict[str, int] = {}
    for column in plan.shown_columns:
        found[column.name] = _column_section(sources, plan, column, images[column.name])
    labels = ", ".join(column.label for column in plan.shown_columns)
    facts = [("Mean of", labels), ("Weights", "each column counts once")]
    found[AVERAGE] = sources.add(AVERAGE_HEADING, facts)
    return found


def _column_section(sources: Sources, plan: Plan, column: Column, images: Sequence[str]) -> int:
    if not images:
        return sources.add(f"Column {column.label}", [("Images", "none on this disk")])
    data_set = plan.source.pairs(plan.test).data_set(column.name)
    spec = _spec_of(plan, column.name) if data_set != "synthetic" else None
    facts = [
        ("Data set", data_set),
        ("Title", spec.title if spec else ""),
        ("Source", spec.homepage if spec else ""),
        ("Licence", spec.licence if spec else ""),
        ("Images", f"{len(images)}"),
        ("Task", column.task),
    ]
    content: dict[str, Any] = {"task": plan.setting.task(column.task).model_dump(mode="json")}
    for files in plan.test.files:
        if files.column == column.name:
            content["sha256_of_files"] = files.sha256
    return sources.add(f"Column {column.label}", facts, content, "Degradation")


def _spec_of(plan: Plan, column: str) -> DataSetSpec | None:
    for source in plan.setting.test_sources:
        if source.column == column:
            return load_data_set(source.set)
    return None


def _origin(run: Run, provenance: Mapping[str, Any]) -> str:
    if run.checkpoint is not None:
        return f"re-evaluated: {provenance.get('source', run.checkpoint.path.name)}"
    if not run.method.spec.trained:
        return "not trained"
    if run.initial is not None:
        return f"trained here, from the weights in {run.initial.name}"
    return "trained here"
