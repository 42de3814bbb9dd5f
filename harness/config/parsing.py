"""The border: YAML becomes specs, strictly, and what does not fit is said in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from harness.config.errors import UsageError, did_you_mean
from harness.config.spec import Spec

S = TypeVar("S", bound=Spec)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping; raise :class:`UsageError` that names the file if it is none."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{path} must hold a mapping of keys to values")
    return content


def parse(model: type[S], content: dict[str, Any], where: str) -> S:
    """Build ``model`` from ``content``; ``where`` (a file or flag) stands in the error."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise UsageError(f"{where}: {explain(model, error)}") from error


def explain(model: type[BaseModel], error: ValidationError) -> str:
    """Return one sentence on the first problem of ``error``, with the nearest right key."""
    # A misspelt key is missing as well; the misspelling says more.
    first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
    keys = [str(part) for part in first["loc"]]
    where = ".".join(keys) or "the whole"
    if first["type"] == "extra_forbidden":
        return f"unknown key '{where}'; {did_you_mean(keys[-1], _known_keys(model, keys[:-1]))}"
    if first["type"] == "missing":
        return f"key '{where}' is missing"
    message = first["msg"].removeprefix("Value error, ")
    return f"'{where}': {message[0].lower()}{message[1:]}" if keys else message


def _known_keys(model: type[BaseModel], path: list[str]) -> list[str]:
    """Return the field names at ``path`` (list positions and union tags are skipped)."""
    models: list[type[BaseModel]] = [model]
    for key in path:
        for candidate in list(models):
            field = candidate.model_fields.get(key)
            if field is not None:
                models = _models_in(field.annotation)
                break
        else:
            tagged = [m for m in models if _tag(m) == key]
            models = tagged or models
    return [name for m in models for name in m.model_fields]


def _tag(model: type[BaseModel]) -> str | None:
    kind = model.model_fields.get("kind")
    values = getattr(kind.annotation, "__args__", ()) if kind is not None else ()
    return str(values[0]) if values else None


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    found: list[type[BaseModel]] = []
    for part in getattr(annotation, "__args__", ()):
        found += _models_in(part)
    return found
