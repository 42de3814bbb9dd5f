"""What specs and provenance of any version may hold, checked on reading: tables and pages show it.

Everything may be absent, for versions differ in what they state, and what is not named here is not
looked at.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.config.errors import HarnessError
from harness.config.parsing import explain
from harness.store.files import read_json_object

Count = Annotated[int, Field(ge=0, le=2**62)]
Time = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)


class _Stage(_Part):
    name: str
    tasks: list[str]


class _TrainSpec(_Part):
    """What determines weights."""

    method: str | None = None
    method_version: Annotated[int, Field(ge=0, le=2**31)] = 0
    options: dict[str, Any] = {}
    tasks: list[str] = []
    optimisation: dict[str, Any] | None = None
    stages: list[_Stage] = []
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    requires: dict[str, str] = {}


class _Provenance(_Part):
    """How weights were made."""

    versions: dict[str, str] | None = None
    computed_with: dict[str, str] | None = None
    git_commit: str | None = None
    platform: str | None = None
    device: str | None = None
    threads: Count | None = None
    jobs: Count | None = None
    peak_bytes: Count | None = None
    parameters: Count | None = None
    steps: Count | None = None
    scored_step: Count | None = None
    step_s: Time | None = None
    wall_s: Time | None = None
    best_validation: float | None = None
    best_validation_step: Count | None = None
    validation_per_task: dict[str, float] | None = None
    source: str | None = None
    label: str | None = None
    entry: str | None = None
    other_entries: list[str] | None = None
    ignored: list[str] | None = None


def checked_provenance(content: Any, path: Path) -> dict[str, Any]:
    """Return the provenance that a file holds.

    Args:
        content: the JSON value.
        path: the file, for the message.

    Raises:
        HarnessError: it is no object, or a value is of another kind than it is shown as.
    """
    return _checked(_Provenance, content, path, "provenance")


def checked_spec(content: Any, path: Path) -> dict[str, Any]:
    """Return the training spec of any version that a file holds; see :func:`checked_provenance`."""
    return _checked(_TrainSpec, content, path, "spec")


def checked_parts(content: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return the file of a run in an archive; see :func:`checked_provenance`."""
    if "spec" in content:
        checked_spec(content["spec"], path)
    if "provenance" in content:
        checked_provenance(content["provenance"], path)
    return content


def read_spec(path: Path) -> dict[str, Any]:
    """Return the training spec in ``spec.json``; raise :class:`HarnessError` if it is damaged."""
    return checked_spec(read_json_object(path), path)


def _checked(model: type[_Part], content: Any, path: Path, what: str) -> dict[str, Any]:
    try:
        model.model_validate(content)
    except ValidationError as error:
        raise HarnessError(
            f"{path} is damaged: its {what}, {explain(model, error)}; move it away and run again"
        ) from error
    found: dict[str, Any] = content
    return found
