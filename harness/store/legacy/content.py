"""What version 0.1 stored of a run, under the present names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.config.errors import HarnessError
from harness.config.files import load_data_set
from harness.config.run_specs import TestSet
from harness.store.results import RESULT_FIELDS, Result, parsed_result, written_numbers
from harness.store.stored_run import StoredRun

LEGACY_RESULT_FIELDS = tuple(
    {"data_set": "dataset", "preprocessing": "preparation"}.get(name, name)
    for name in RESULT_FIELDS
)
"""The columns of ``rows.csv``."""

_TENSOR_NAMES = (
    ("prompting.privileged.", "prompting.teacher."),
    ("prompting.usage.", "prompting.expert_load."),
    ("places.", "insertion_points."),
)
"""Beginnings of the names of tensors: in version 0.1, and now."""


def converted_result(line: Mapping[str, Any], run: StoredRun) -> Result:
    """Return a row of version 0.1 as a result of ``run``.

    Raises:
        HarnessError: the line does not have the fields of a row, or a value that cannot be.
    """
    if set(line) != set(LEGACY_RESULT_FIELDS) or run.score_id is None:
        raise HarnessError("a line does not have the fields of a row of version 0.1")
    assert run.score is not None
    content = {
        "weights": run.weights_id,
        "score": run.score_id,
        "method": run.method,
        "setting": run.score.test.setting,
        "data_set": data_set_of(run.score.test, line["column"]),
        "column": line["column"],
        "image": line["image"],
        "metric": line["metric"],
        "preprocessing": line["preparation"],
        "protocol": line["protocol"],
        "origin": line["origin"],
    }
    try:
        numbers = written_numbers(line)
        return parsed_result({**content, **numbers})
    except (TypeError, ValueError) as error:
        raise HarnessError(f"a row of version 0.1 is damaged: it {error}") from error


def data_set_of(test: TestSet, column: str) -> str:
    """Return the name of the data set that fills a column; version 0.1 did not store it."""
    for files in test.files:
        if files.column == column:
            return load_data_set(files.set).label
    return "synthetic"


def converted_provenance(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``record.json`` of version 0.1 as ``provenance.json``."""
    found = dict(record)
    if "source_sha256" in found:
        found["checkpoint_sha256"] = found.pop("source_sha256")
    return found


def converted_summary(probes: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``probes.json`` of version 0.1 as ``prompt_summary.json``."""
    found = dict(probes)
    prompts = found.get("prompts")
    if prompts is not None:
        found["prompts"] = {
            "tasks": prompts["tasks"],
            "expert_load": prompts["usage"],
            "psnr_db": prompts["psnr_db"],
            "prompt_swap_gap_db": prompts["wrong_prompt_cost_db"],
            "collapsed": prompts["collapsed"],
        }
    return found


def converted_analysis(probes: Mapping[str, Any]) -> dict[str, Any]:
    """Return one score of ``full_probes.json`` of version 0.1 as ``prompt_analysis.json`` has it.

    A method without prompts has an empty one.
    """
    if not probes:
        return {}
    routing = {}
    for level, found in probes["routing"].items():
        routing[level] = _converted_routing(found)
    control = probes["control"]
    unseen = []
    for found in probes["elsewhere"]:
        unseen.append(_with_key(found, "use", "expert_load"))
    return {
        "columns": probes["columns"],
        "families": probes["families"],
        "images": probes["images"],
        "input_db": probes["input_db"],
        "routing": routing,
        "redundancy": probes["redundancy"],
        "prompt_swap": {
            "psnr_db": control["psnr_db"],
            "gap_db": control["advantage_db"],
            "unselected": control["unused"],
        },
        "explicit": _converted_explicit(probes["explicit"]),
        "out_of_distribution": unseen,
    }


def renamed_tensor(name: str) -> str:
    """Return the present name of a tensor of version 0.1."""
    for old, new in _TENSOR_NAMES:
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name


def _converted_routing(found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "expert_load": found["use"],
        "image_entropy": found["entropy_of_images"],
        "load_entropy": found["entropy_of_use"],
        "normalised_mutual_information": found["information"],
    }


def _converted_explicit(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if found is None:
        return None
    psnr_db = {}
    for column, values in found["psnr_db"].items():
        psnr_db[column] = _with_key(values, "wrong_if_told", "wrong_with_true_task")
    return {**found, "psnr_db": psnr_db}


def _with_key(content: Mapping[str, Any], old: str, new: str) -> dict[str, Any]:
    """Return ``content`` with the key ``old`` called ``new``."""
    found = dict(content)
    found[new] = found.pop(old)
    return found
