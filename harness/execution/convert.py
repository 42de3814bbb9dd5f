"""An author's checkpoint as a safetensors file that says what it holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.config.errors import UsageError
from harness.config.files import load_setting
from harness.config.run_specs import TrainSpec
from harness.method import WeightsFile
from harness.registry import (
    MethodChoice,
    find,
    options_as_json,
    resolve_options,
    stored_method,
    stored_options,
)
from harness.store.weights import stated_method


@dataclass(frozen=True)
class Conversion:
    """What is converted.

    Attributes:
        checkpoint: the author's file.
        to: the file to write, ``.safetensors``.
        method: the method that the weights are of; None if the file itself says so.
        entry: where in the file the weights are, such as ``params_ema``.
        prefix: start of the names that are the network's; others are ignored.
        ignore: names in the file that are not read, or patterns of them.
        size: size of the network.
        setting: whose tasks the network knows.

    Size and setting are those that the file states, if it states its method.
    """

    checkpoint: Path
    to: Path
    method: str | None = None
    entry: str | None = None
    prefix: str | None = None
    ignore: tuple[str, ...] = ()
    size: str = "full"
    setting: str = "three-task"


@dataclass(frozen=True)
class Converted:
    """What was written.

    Attributes:
        method: the method that the weights are of.
        tensors: how many were written.
        read: in words, what was read from where and what was ignored.
    """

    method: str
    tensors: int
    read: str


def convert_checkpoint(conversion: Conversion) -> Converted:
    """Write the weights with method, options and the hash of their source.

    Raises:
        UsageError: the target is no ``.safetensors`` file, or the method builds on another one.
        HarnessError: the checkpoint is damaged or does not fit the network.
    """
    from harness.execution.networks import build
    from harness.training.checkpoint import save_weights
    from harness.training.pretrained import load_pretrained, read_pretrained

    if conversion.to.suffix != ".safetensors":
        raise UsageError(f"--to {conversion.to} must end in .safetensors")
    file = WeightsFile(
        conversion.checkpoint, conversion.entry, conversion.prefix, conversion.ignore
    )
    method, options, tasks = _network_of(conversion)
    if method.spec.requires:
        raise UsageError(
            f"{method.id} builds on {', '.join(method.spec.requires)}, and its weights are those "
            "of several files; use them as they are with evaluate --required"
        )
    pretrained = read_pretrained(file)
    spec = TrainSpec(
        method=method.spec.name,
        method_version=method.spec.version,
        options=dict(options),
        tasks=tasks,
        data=None,
        optimisation=None,
        stages=(),
        seed=0,
        requires={},
        checkpoint_sha256=pretrained.sha256,
    )
    network = build(method.spec, spec, {})
    load_pretrained(network, pretrained, method.id)
    weights = network.state_dict()
    save_weights(conversion.to, weights, spec)
    return Converted(method.id, len(weights), pretrained.describe())


def _network_of(
    conversion: Conversion,
) -> tuple[MethodChoice, Mapping[str, Any], tuple[str, ...]]:
    """Return method, options and tasks: those that were asked for, or that the file states."""
    if not conversion.checkpoint.is_file():
        raise UsageError(f"checkpoint {conversion.checkpoint} is not there; check the path")
    stated = stated_method(conversion.checkpoint)
    if conversion.method is None and stated is not None:
        method = stored_method(stated.method, stated.options)
        options = stored_options(method.spec, stated.options, str(conversion.checkpoint))
        return method, options, stated.tasks or load_setting(conversion.setting).task_names
    if conversion.method is None:
        raise UsageError(
            f"{conversion.checkpoint} does not say what it holds; name it with --method"
        )
    method, tasks = find(conversion.method), load_setting(conversion.setting).task_names
    if not method.spec.trained:
        raise UsageError(f"{method.id} has no weights of its own, so there is nothing to convert")
    chosen = resolve_options(method, conversion.size, tasks, micro_batch=len(tasks), published=True)
    return method, options_as_json(chosen), tasks
