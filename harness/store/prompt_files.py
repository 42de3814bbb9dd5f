"""What is stored of the prompts of a run: the summary that tables show, and the analysis by score.

Both are checked on reading: a damaged file is one sentence, not a wrong number or a traceback.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from harness.config.errors import HarnessError
from harness.config.parsing import explain
from harness.store.files import read_json_object, write_json
from harness.store.run_folder import RunFolder

Numbers = list[float | None]
"""None stands where nothing is known."""

ROUTING_VARIANTS = "routing_variants"
"""Key of the part of an analysis that analyses of older versions lack."""

AS_TRAINED = "as trained"
"""Stands among the variants of routing for the weights that routers were trained to give."""

BEST_PROMPT = "best prompt"
"""Stands there for the one prompt under which an image is restored best: a bound, not a choice."""


class _Stored(BaseModel):
    """Part of a stored file; what is not named here is not looked at."""

    model_config = ConfigDict(extra="allow", strict=True)


class _Prompts(_Stored):
    tasks: list[str]
    expert_load: dict[str, dict[str, list[float]]]
    psnr_db: list[list[float]]
    prompt_swap_gap_db: float
    collapsed: bool
    photographs: int | None = None

    @model_validator(mode="after")
    def _complete(self) -> _Prompts:
        for level, load in self.expert_load.items():
            for task in self.tasks:
                if not load.get(task):
                    raise ValueError(f"expert_load of '{level}' lacks task '{task}'")
        return self


class _Summary(_Stored):
    prompts: _Prompts | None = None
    classifiers: dict[str, dict[str, float]] = {}
    higher_is_better: dict[str, bool] = {}


class _Routing(_Stored):
    expert_load: dict[str, Numbers]
    load_entropy: float | None
    normalised_mutual_information: dict[str, float | None]


class _Redundancy(_Stored):
    cosine: list[Numbers]
    cka: list[Numbers]


class _PromptSwap(_Stored):
    psnr_db: list[Numbers]
    gap_db: Numbers
    unselected: dict[str, Numbers]


class _VariedColumn(_Stored):
    kind: Literal["trained", "mixed", "untrained"]
    name: str
    images: list[str]
    input_db: Numbers
    psnr_db: dict[str, Numbers]
    rerouted: dict[str, int]
    confidence: dict[str, float | None]
    entropy: dict[str, float | None]


class _RoutingVariants(_Stored):
    variants: list[str]
    left_out: str
    columns: list[_VariedColumn]

    @model_validator(mode="after")
    def _complete(self) -> _RoutingVariants:
        for column in self.columns:
            for name in (AS_TRAINED, *self.variants):
                if len(column.psnr_db.get(name, [])) != len(column.images):
                    raise ValueError(f"psnr_db of '{column.name}' lacks images under '{name}'")
        return self


class _Analysis(_Stored):
    columns: list[str]
    routing: dict[str, _Routing]
    redundancy: dict[str, _Redundancy]
    prompt_swap: _PromptSwap
    explicit: dict[str, Any] | None
    out_of_distribution: list[dict[str, Any]]
    routing_variants: _RoutingVariants | None = None


def stored_summary(folder: RunFolder) -> dict[str, Any]:
    """Return what ``prompt_summary.json`` holds, {} where there is none.

    Raises:
        HarnessError: the file is damaged.
    """
    if not folder.prompt_summary.exists():
        return {}
    found = read_json_object(folder.prompt_summary)
    _check(_Summary, found, folder.prompt_summary)
    return found


def stored_analysis(folder: RunFolder, score_id: str | None) -> dict[str, Any] | None:
    """Return the prompt analysis of a score, {} for a method without prompts, None if absent.

    Raises:
        HarnessError: the file is damaged.
    """
    if score_id is None or not folder.prompt_analysis.exists():
        return None
    found = read_json_object(folder.prompt_analysis).get(score_id)
    if found is not None and found != {}:
        _check(_Analysis, found, folder.prompt_analysis)
    return found


def is_whole(analysis: Mapping[str, Any]) -> bool:
    """Return whether nothing is missing of an analysis that older versions did not probe."""
    return not analysis or ROUTING_VARIANTS in analysis


def store_analysis(folder: RunFolder, score_id: str, analysis: dict[str, Any]) -> None:
    """Add the prompt analysis of a score to those that are stored."""
    path = folder.prompt_analysis
    others = read_json_object(path) if path.exists() else {}
    write_json(path, {**others, score_id: analysis})


def _check(model: type[BaseModel], content: Any, path: Path) -> None:
    """Raise :class:`HarnessError` if ``content`` is not what ``model`` describes."""
    try:
        model.model_validate(content)
    except ValidationError as error:
        raise HarnessError(
            f"{path} is damaged ({explain(model, error)}); move it away and run again"
        ) from error
