"""Files of weights in a request: what is evaluated, and what trainings start from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.config.errors import UsageError, did_you_mean
from harness.planning.request import CheckpointRequest, RunRequest
from harness.planning.run_factory import RunFactory
from harness.registry import (
    MethodChoice,
    catalogue,
    find,
    options_as_json,
    resolve_options,
    stored_method,
    stored_options,
)
from harness.store.weights import stated_method

SPANDREL = "spandrel"
"""The method of a checkpoint whose network the library spandrel knows."""

_WEIGHTS = "weights.safetensors"


def initial_weights(request: RunRequest) -> Path | None:
    """Return the file of ``--init-from``: a file, or the weights of a run in the output folder."""
    if request.init_from is None:
        return None
    if request.checkpoint is not None:
        raise UsageError(
            "--init-from starts trainings, and weights of a checkpoint are not trained"
        )
    named = Path(request.init_from).expanduser()
    for path in (named, named / _WEIGHTS, request.out / named / _WEIGHTS):
        if path.is_file():
            return path
    runs = [path.parent.name for path in request.out.glob(f"*/{_WEIGHTS}")]
    raise UsageError(
        f"--init-from {request.init_from} is neither a file nor a run with weights in "
        f"{request.out}; {did_you_mean(request.init_from, runs)}"
    )


def is_weights(path: Path) -> bool:
    """Return whether a path is a file of weights, or the folder of a run that has them."""
    return path.is_file() or (path / _WEIGHTS).is_file()


def require_weights(path: Path) -> None:
    """Refuse a path at which there is no file of weights.

    Raises:
        UsageError: nothing is there, or a folder.
    """
    if path.is_dir():
        raise UsageError(f"checkpoint {path} is a folder; name the file of weights in it")
    if not path.exists():
        raise UsageError(f"checkpoint {path} does not exist; check the path")


def method_of(
    asked: CheckpointRequest, factory: RunFactory
) -> tuple[MethodChoice, Mapping[str, Any]]:
    """Return the method of a checkpoint and its options, from the request or the file itself.

    Raises:
        UsageError: the file does not say what it holds, or the request names an architecture of
            spandrel and another method.
    """
    if asked.architecture is not None and asked.method != SPANDREL:
        raise UsageError(
            f"architecture '{asked.architecture}' names a network of the method {SPANDREL}; name "
            "that method, or leave the architecture out"
        )
    if asked.method == SPANDREL:
        method = _spandrel(asked)
        return method, published_options(method, factory)
    if asked.method is not None:
        method = find(asked.method)
        return method, published_options(method, factory)
    known = stated_method(asked.file)
    if known is None:
        raise UsageError(f"{asked.file} does not say what it holds; name it with --method")
    method = stored_method(known.method, known.options)
    return method, stored_options(method.spec, known.options, str(asked.file))


def check_required(asked: CheckpointRequest, method: MethodChoice) -> None:
    """Refuse requests in which weights of what a method builds on are missing, or unused.

    Raises:
        UsageError: names the method, and what it builds on.
    """
    for name in method.spec.requires:
        if name not in asked.required:
            raise UsageError(
                f"{method.id} builds on {name}; give its weights: --required {name}=FILE"
            )
    for name, path in asked.required.items():
        if name not in method.spec.requires:
            needed = ", ".join(method.spec.requires) or "no other method"
            raise UsageError(
                f"--required {name}={path} would not be read: {method.id} builds on {needed}; "
                "leave it out"
            )


def _spandrel(asked: CheckpointRequest) -> MethodChoice:
    """Return the method of a network that spandrel recognises by its weights."""
    overrides = {"checkpoint": str(asked.file)}
    for name in ("architecture", "entry", "prefix"):
        value = getattr(asked, name)
        if value is not None:
            overrides[name] = value
    if asked.ignore:
        overrides["ignore"] = ",".join(asked.ignore)
    name = asked.architecture or asked.file.stem
    return MethodChoice(f"{SPANDREL} {name}", catalogue().specs[SPANDREL], overrides)


def published_options(method: MethodChoice, factory: RunFactory) -> dict[str, Any]:
    """Return the options under which the authors' checkpoints of a method run."""
    train = factory.recipe.train
    options = resolve_options(
        method,
        factory.recipe.size,
        factory.setting.task_names,
        micro_batch=train.micro_batch or train.batch,
        published=True,
    )
    return options_as_json(options)
