"""Networks to restore with: of a run in an output folder, or of a file of weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from harness.config.errors import HarnessError, UsageError, did_you_mean
from harness.config.hashing import spec_hash
from harness.config.run_specs import TrainSpec
from harness.config.user_folders import no_folder
from harness.evaluation.restorer import Restorer
from harness.execution.networks import build
from harness.execution.process import usable_device
from harness.method import Method, MethodSpec
from harness.planning.plan import make_plan
from harness.planning.request import DEFAULT_OUT, CheckpointRequest, RunRequest
from harness.registry import find
from harness.store.files import read_json
from harness.store.prompt_files import stored_summary
from harness.store.run_folder import RunFolder
from harness.training.checkpoint import fit_weights, load_weights
from harness.training.pretrained import load_pretrained, read_pretrained


@dataclass(frozen=True)
class RestorerRequest:
    """Which network restores.

    Attributes:
        run: id, unique beginning of an id, or label (``cpl seed 0``) of a run in ``out``.
        out: folder of runs.
        checkpoint: a file of weights instead of a run.
        recipe: whose size and setting a checkpoint has that does not state its options.
        setting: whose tasks such a checkpoint knows.
        device: ``cpu``, ``cuda`` or ``auto``.
    """

    run: str | None = None
    out: Path = DEFAULT_OUT
    checkpoint: CheckpointRequest | None = None
    recipe: str = "paper"
    setting: str = "three-task"
    device: str = "auto"


@dataclass(frozen=True)
class _Network:
    method: Method
    spec: MethodSpec
    train: TrainSpec
    name: str
    expert_load: Mapping[str, Any] = field(default_factory=dict)


def open_restorer(request: RestorerRequest) -> Restorer:
    """Build the network of a run or of a file of weights.

    Raises:
        UsageError: neither or both are named, or no such run or file exists.
        HarnessError: the weights are missing, damaged or do not fit.
    """
    if (request.run is None) == (request.checkpoint is None):
        raise UsageError("name one network: --run RUN or --checkpoint FILE")
    device = torch.device(usable_device(request.device))
    if request.run is not None:
        network = _network_of_run(find_run(request.out, request.run), request.out)
    else:
        network = _network_of_checkpoint(request)
    return Restorer(
        method=network.method.to(device).eval(),
        name=network.name,
        tasks=network.train.tasks,
        needs_task_labels=network.spec.needs_task_labels,
        device=device,
        expert_load=network.expert_load,
    )


def find_run(out: Path, asked: str) -> RunFolder:
    """Return the folder of a run by its id, a unique beginning of it, or its label.

    Raises:
        UsageError: no run or several are called so; names those that are there.
    """
    if not out.is_dir():
        raise UsageError(f"{out} {no_folder(out)}; name the folder of runs with --out")
    known: dict[str, RunFolder] = {}
    for path in sorted(out.iterdir()):
        if (path / "spec.json").is_file():
            known[path.name] = RunFolder(path)
    exact = [name for name in known if asked == name or asked in _labels(name)]
    found = exact or [name for name in known if name.startswith(asked)]
    if not found:
        raise UsageError(f"--run {asked} is no run in {out}; {did_you_mean(asked, known)}")
    if len(found) > 1:
        raise UsageError(
            f"--run {asked} is the beginning of {len(found)} runs: {', '.join(found)}; name one"
        )
    return known[found[0]]


def _labels(name: str) -> set[str]:
    """Return what a run is also called: method, with its seed in words or as in the id."""
    start, _, _ = name.rpartition("-")
    method, _, seed = start.rpartition("-s")
    return {method, start, f"{method} seed {seed}"}


def _network_of_run(folder: RunFolder, out: Path) -> _Network:
    network = _stored_network(folder, out)
    prompts = stored_summary(folder).get("prompts") or {}
    return _Network(
        network.method,
        network.spec,
        network.train,
        network.name,
        prompts.get("expert_load", {}),
    )


def _stored_network(folder: RunFolder, out: Path) -> _Network:
    """Build a run's network with its stored weights, and the networks that it builds on."""
    name = folder.path.name
    train = _stored_spec(folder)
    method = find(train.method)
    if method.spec.version != train.method_version:
        raise HarnessError(
            f"run {name} was trained by version {train.method_version} of {train.method}, and this "
            f"is version {method.spec.version}; train it again"
        )
    required = {}
    for needed, weights_id in train.requires.items():
        required[needed] = _stored_network(_folder_of_weights(out, needed, weights_id), out).method
    network = build(method.spec, train, required)
    if method.spec.trained:
        if not folder.weights.exists():
            raise HarnessError(
                f"run {name} has no weights: its training did not end, or its results were "
                "imported; run it again"
            )
        weights = load_weights(folder.weights, spec_hash(train), train.method)
        fit_weights(network, folder.weights, weights)
    return _Network(network.eval(), method.spec, train, name)


def _stored_spec(folder: RunFolder) -> TrainSpec:
    try:
        return TrainSpec.model_validate(read_json(folder.spec))
    except (ValidationError, ValueError) as error:
        raise HarnessError(
            f"{folder.spec} does not hold the spec of a run; move it away and run again"
        ) from error


def _folder_of_weights(out: Path, method: str, weights_id: str) -> RunFolder:
    for path in sorted(out.glob(f"*-{weights_id}")):
        return RunFolder(path)
    raise HarnessError(f"the run of {method} ({weights_id}) that it builds on is not in {out}")


def _network_of_checkpoint(request: RestorerRequest) -> _Network:
    """Build the network that ``evaluate`` would build for the same file."""
    assert request.checkpoint is not None
    asked = RunRequest(
        setting=request.setting, recipe=request.recipe, checkpoint=request.checkpoint
    )
    run = make_plan(asked).runs[-1]
    required = {}
    for needed in run.requires:
        assert needed.checkpoint is not None
        helper = build(needed.method.spec, needed.train, {})
        load_pretrained(helper, read_pretrained(needed.checkpoint), needed.method.id)
        required[needed.train.method] = helper.eval()
    network = build(run.method.spec, run.train, required)
    if run.method.spec.trained:
        assert run.checkpoint is not None
        load_pretrained(network, read_pretrained(run.checkpoint), run.method.id)
    return _Network(network, run.method.spec, run.train, run.method.id)
