"""``harness convert``: an author's checkpoint as a safetensors file that says what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.run import Plugins, SettingName


def convert(
    checkpoint: Annotated[Path, typer.Option(help="Weights: .pth, .ckpt, .pt, .safetensors.")],
    to: Annotated[Path, typer.Option(help="File to write, .safetensors.")],
    method: Annotated[str, typer.Option(help="Method that they are weights of.")],
    entry: Annotated[
        str | None, typer.Option(help="Where the weights stand in the file, as params_ema.")
    ] = None,
    setting: SettingName = "three-task",
    size: Annotated[str, typer.Option(help="Size of the network.")] = "full",
    plugin: Plugins = None,
) -> None:
    """Write weights as safetensors with method, options and the hash of their source.

    Names and shapes are compared with the method's network first, as ``evaluate`` does.
    """
    from harness.config.errors import UsageError
    from harness.config.files import load_setting
    from harness.config.run_specs import TrainSpec
    from harness.execution.networks import build
    from harness.method import CheckContext
    from harness.registry import find, options_as_json, resolve_options, use_plugins
    from harness.training.checkpoint import save_weights
    from harness.training.pretrained import load_pretrained, read_pretrained

    use_plugins(plugin or [])
    if to.suffix != ".safetensors":
        raise UsageError(f"--to {to} must end in .safetensors")
    choice, tasks = find(method), load_setting(setting).task_names
    if choice.spec.requires:
        raise UsageError(
            f"{choice.id} builds on {', '.join(choice.spec.requires)}, and its weights are those "
            "of several files; use them as they are with evaluate --required"
        )
    options = resolve_options(choice, size, CheckContext(tasks, len(tasks)), published=True)
    released = read_pretrained(checkpoint, entry)
    spec = TrainSpec(
        method=choice.spec.name,
        method_version=choice.spec.version,
        options=options_as_json(options),
        tasks=tasks,
        data=None,
        train=None,
        stages=(),
        seed=0,
        requires={},
        source_sha256=released.sha256,
    )
    network = build(choice.spec, spec, {})
    load_pretrained(network, released, choice.id)
    save_weights(to, network.state_dict(), spec)
    print(f"{to}: {len(network.state_dict())} tensors of {choice.id}, from {checkpoint}")
