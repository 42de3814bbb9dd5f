"""An author's checkpoint as a safetensors file that says what it holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.config.errors import UsageError
from harness.config.files import load_setting
from harness.config.run_specs import TrainSpec
from harness.registry import find, options_as_json, resolve_options


@dataclass(frozen=True)
class Conversion:
    """What is converted.

    Attributes:
        checkpoint: the author's file.
        to: the file to write, ``.safetensors``.
        method: the method that the weights are of.
        entry: where in the file the weights are, such as ``params_ema``.
        size: size of the network.
        setting: whose tasks the network knows.
    """

    checkpoint: Path
    to: Path
    method: str
    entry: str | None = None
    size: str = "full"
    setting: str = "three-task"


def convert_checkpoint(conversion: Conversion) -> int:
    """Write the weights with method, options and the hash of their source; return the tensors.

    Raises:
        UsageError: the target is no ``.safetensors`` file, or the method builds on another one.
        HarnessError: the checkpoint is damaged or does not fit the network.
    """
    from harness.execution.networks import build
    from harness.training.checkpoint import save_weights
    from harness.training.pretrained import load_pretrained, read_pretrained

    if conversion.to.suffix != ".safetensors":
        raise UsageError(f"--to {conversion.to} must end in .safetensors")
    method, tasks = find(conversion.method), load_setting(conversion.setting).task_names
    if method.spec.requires:
        raise UsageError(
            f"{method.id} builds on {', '.join(method.spec.requires)}, and its weights are those "
            "of several files; use them as they are with evaluate --required"
        )
    options = resolve_options(
        method, conversion.size, tasks, micro_batch=len(tasks), published=True
    )
    pretrained = read_pretrained(conversion.checkpoint, conversion.entry)
    spec = TrainSpec(
        method=method.spec.name,
        method_version=method.spec.version,
        options=options_as_json(options),
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
    return len(weights)
