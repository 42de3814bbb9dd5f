"""Checkpoints: the whole state of a training, and the weights that are scored."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harness.config.errors import HarnessError
from harness.config.hashing import spec_hash
from harness.config.run_specs import TrainSpec
from harness.method import Method
from harness.store.checked_zip import check_zip, write_checked
from harness.store.files import write_bytes
from harness.store.weights import check_content, sealed
from harness.training.state_names import differences

_FORMAT = 2

_TRAIN_AGAIN = "delete it to train this run from the start"

_NUMBERS = ("step", "model", "optimiser", "ema", "best", "best_score", "best_step")
"""Fields of a state that the weights follow from."""


@dataclass(frozen=True)
class TrainingState:
    """What an unfinished training resumes from.

    Attributes:
        step: steps that are done.
        model: parameters and buffers.
        optimiser: state dict of the optimiser.
        ema: moving average of the weights, if there is one.
        best: weights with the best validation, if those are scored.
        best_score: of all validations so far.
        best_step: its step.
        validation: the last validation in a few words.
        threads: compute threads so far.
        wall_s: time of training so far.
    """

    step: int
    model: Mapping[str, Tensor]
    optimiser: Mapping[str, Any]
    ema: Mapping[str, Tensor] | None
    best: Mapping[str, Tensor] | None
    best_score: float | None
    best_step: int | None
    validation: str
    threads: int
    wall_s: float


def save_state(path: Path, weights_id: str, method: str, state: TrainingState) -> None:
    """Write a checkpoint with its checksum, atomically."""
    content = {
        "format": _FORMAT,
        "weights_id": weights_id,
        "method": method,
        "sha256": state_sha256(vars(state)),
        **vars(state),
    }
    write_checked(path, lambda file: torch.save(content, file))


def load_state(path: Path, weights_id: str, method: str) -> TrainingState:
    """Read a checkpoint of one run; nothing is unpickled but tensors and plain values.

    Raises:
        HarnessError: the file is damaged, or belongs to another method or run.
    """
    check_zip(path, _TRAIN_AGAIN, own=True)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        found_id, found_method = content.pop("weights_id"), content.pop("method")
        # Format 1 had no checksum.
        checksum = content.pop("sha256") if content.pop("format") > 1 else None
        intact = checksum in (None, state_sha256(content))
        state = TrainingState(**content)
    except Exception as error:  # damage shows in many ways: zip, pickle, key or type errors
        raise HarnessError(
            f"checkpoint {path} cannot be read ({type(error).__name__}); {_TRAIN_AGAIN}"
        ) from error
    if not intact:
        raise HarnessError(
            f"checkpoint {path} cannot be read (its checksum differs); {_TRAIN_AGAIN}"
        )
    if found_id != weights_id:
        raise HarnessError(
            f"checkpoint {path} belongs to {found_method} ({found_id}), not to {method} "
            f"({weights_id}); put it back where it was, or delete it to train from the start"
        )
    return state


def check_state(path: Path, state: TrainingState, steps: int) -> None:
    """Refuse a checkpoint that no training of ``steps`` steps can have written.

    Raises:
        HarnessError: its step is none between the first and the last, or its optimiser is empty.
    """
    problem = ""
    if not 0 < state.step < steps:
        problem = f"it claims step {state.step} of {steps}"
    elif not state.optimiser.get("state"):
        problem = "the state of its optimiser is empty"
    if problem:
        raise HarnessError(f"checkpoint {path} is damaged ({problem}); {_TRAIN_AGAIN}")


def state_sha256(state: Mapping[str, Any]) -> str:
    """Return the SHA-256 of all of a training's state that the weights follow from."""
    whole = hashlib.sha256()
    for key in _NUMBERS:
        whole.update(key.encode())
        _add(whole, state[key])
    return whole.hexdigest()


def _add(whole: Any, value: Any) -> None:
    """Add a tensor, a mapping, a sequence or a plain value to a hash."""
    if isinstance(value, Tensor):
        plain = value.detach().cpu().contiguous()
        whole.update(f"{plain.dtype}{tuple(plain.shape)}".encode())
        whole.update(plain.reshape(-1).view(torch.uint8).numpy())
    elif isinstance(value, Mapping):
        whole.update(f"{len(value)} keys".encode())
        for key in value:
            whole.update(f"{key}:".encode())
            _add(whole, value[key])
    elif isinstance(value, (list, tuple)):
        whole.update(f"{len(value)} items".encode())
        for item in value:
            _add(whole, item)
    else:
        whole.update(f"{type(value).__name__} {value!r}".encode())


def save_weights(path: Path, weights: Mapping[str, Tensor], spec: TrainSpec) -> None:
    """Write weights as safetensors, atomically; the metadata state what they are weights of.

    The same weights are the same bytes, whatever wrote them.
    """
    from safetensors.torch import save

    # Memory layout is no property of weights: safetensors stores plain order. A tensor that a
    # network has under several names is stored under each.
    plain = {}
    for key, value in weights.items():
        plain[key] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
    write_bytes(path, sealed(save(plain), weights_metadata(spec)))


def weights_metadata(spec: TrainSpec) -> dict[str, str]:
    """Return the metadata of a file of weights, from which their network can be built again."""
    return {
        "weights_id": spec_hash(spec),
        "method": spec.method,
        "method_version": str(spec.method_version),
        "options": json.dumps(spec.options, sort_keys=True),
        "tasks": json.dumps(spec.tasks),
        "checkpoint_sha256": spec.checkpoint_sha256 or "",
    }


def load_weights(path: Path, weights_id: str, method: str) -> dict[str, Tensor]:
    """Read the weights of one run.

    Raises:
        HarnessError: the file is missing or damaged, or belongs to another method or run.
    """
    from safetensors import SafetensorError, safe_open

    advice = "delete the file to train the run again"
    check_content(path, advice)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise HarnessError(f"weights {path} cannot be read ({error}); {advice}") from error
    if metadata.get("weights_id") != weights_id:
        raise HarnessError(
            f"weights {path} belong to {metadata.get('method', 'an unknown method')} "
            f"({metadata.get('weights_id', 'no id')}), not to {method} ({weights_id}); put the "
            "file back where it was, or delete it to train the run again"
        )
    return weights


def fit_weights(network: Method, path: Path, weights: Mapping[str, Tensor]) -> None:
    """Load the weights of ``path`` into the network that they were stored of.

    Raises:
        HarnessError: names or shapes differ.
    """
    problems = differences(weights, network.state_dict())
    if problems:
        raise HarnessError(
            f"weights {path} do not fit their network: {'; '.join(problems)}; delete the file to "
            "train the run again"
        )
    network.load_state_dict(dict(weights))
