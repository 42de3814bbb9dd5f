"""``harness evaluate``: score weights that were not trained by this command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.choices import (
    CropMultiple,
    DataRoot,
    NoiseStream,
    ProtocolName,
    Real,
    Rounding,
    TestSetName,
    changes_from,
    disk_from,
)
from harness.cli.run import (
    DEFAULT_OUT,
    Metrics,
    Out,
    Plugins,
    Probes,
    SettingName,
    complete,
    with_probes,
)

if TYPE_CHECKING:
    from harness.planning.plan import Pretrained, Source


def evaluate(
    checkpoint: Annotated[
        Path | None, typer.Option(help="Weights: .safetensors, .pth, .ckpt, .pt.")
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(help="Method that they are weights of; files of this project know it."),
    ] = None,
    spandrel: Annotated[
        Path | None, typer.Option(help="Weights of any single-image network that spandrel knows.")
    ] = None,
    architecture: Annotated[
        str | None, typer.Option(help="With --spandrel: its name for the network, as NAFNet.")
    ] = None,
    entry: Annotated[
        str | None, typer.Option(help="Where the weights stand in the file, as params_ema.")
    ] = None,
    required: Annotated[
        list[str] | None,
        typer.Option(help="NAME=FILE: weights of a method that this one builds on."),
    ] = None,
    prompt_maps: Annotated[
        Path | None,
        typer.Option(help="The fixed maps of --method mioir-ep (.npy), which checkpoints lack."),
    ] = None,
    setting: SettingName = "three-task",
    recipe: Annotated[
        str, typer.Option(help="Size of the network and amount of testing: paper, smoke, …")
    ] = "paper",
    metrics: Metrics = "",
    out: Out = DEFAULT_OUT,
    data_root: DataRoot = None,
    real: Real = False,
    noise_rounding: Rounding = None,
    noise_stream: NoiseStream = "keyed",
    test_set: TestSetName = None,
    crop_multiple: CropMultiple = None,
    protocol: ProtocolName = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto.")] = "auto",
    plugin: Plugins = None,
    probes: Probes = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan only.")] = False,
) -> None:
    """Score weights from a file: an author's release, or a run's own.

    The network is built at the published size and under the options that its authors' weights
    need; a file that this project wrote says itself what it holds.
    """
    from harness.config.errors import UsageError
    from harness.planning.plan import make_evaluation_plan
    from harness.registry import use_plugins

    use_plugins(plugin or [])
    if prompt_maps is not None:
        if method is None:
            raise UsageError("--prompt-maps are those of --method mioir-ep; name it")
        method = f"{method}:prompt_maps={prompt_maps}"
    subject = _subject(checkpoint, method, spandrel, architecture, entry, required or [])
    extra = [name.strip() for name in metrics.split(",") if name.strip()]
    disk = disk_from(data_root, real, ())
    changes = changes_from(noise_rounding, crop_multiple, protocol, noise_stream, test_set)
    roots = None if disk is None else disk.roots
    plan = make_evaluation_plan(subject, setting, recipe, extra, out, roots, changes)
    complete(with_probes(plan, probes), out, 1, 0, device, dry_run)


def _subject(
    checkpoint: Path | None,
    method: str | None,
    spandrel: Path | None,
    architecture: str | None,
    entry: str | None,
    required: list[str],
) -> Pretrained:
    from harness.config.errors import UsageError
    from harness.planning.plan import Pretrained, Source
    from harness.registry import MethodChoice, catalogue

    if (checkpoint is None) == (spandrel is None):
        raise UsageError("give one file of weights: --checkpoint FILE or --spandrel FILE")
    if spandrel is not None:
        overrides = {"checkpoint": str(spandrel)}
        if architecture is not None:
            overrides["architecture"] = architecture
        name = f"spandrel {architecture or spandrel.stem}"
        choice = MethodChoice(name, catalogue().specs["spandrel"], overrides)
        return Pretrained(choice, Source(spandrel), None, {})
    if architecture is not None:
        raise UsageError("--architecture names a network of --spandrel; use --method here")
    assert checkpoint is not None
    return released(checkpoint, method, entry, _required(required))


def released(
    checkpoint: Path, method: str | None, entry: str | None, required: dict[str, Source]
) -> Pretrained:
    """Return what ``checkpoint`` holds weights of, from ``method`` or from the file itself.

    Raises:
        UsageError: neither says it.
    """
    from harness.config.errors import UsageError
    from harness.planning.plan import Pretrained, Source
    from harness.registry import find
    from harness.store.weights import read_metadata

    known = read_metadata(checkpoint)
    if method is None:
        if "method" not in known or "options" not in known:
            raise UsageError(f"{checkpoint} does not say what it holds; name it with --method")
        choice = find(known["method"])
        return Pretrained(choice, Source(checkpoint, entry), json.loads(known["options"]), required)
    return Pretrained(find(method), Source(checkpoint, entry), None, required)


def _required(given: list[str]) -> dict[str, Source]:
    from harness.config.errors import UsageError
    from harness.planning.plan import Source

    found = {}
    for text in given:
        name, equals, path = text.partition("=")
        if not equals:
            raise UsageError(f"--required '{text}' is not NAME=FILE")
        found[name] = Source(Path(path))
    return found
