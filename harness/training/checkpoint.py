"""Checkpoints: the whole state of a training, and the weights that are scored."""

from __future__ import annotations

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
from harness.store.files import write_atomically

_FORMAT = 1


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
    """Write a checkpoint atomically."""
    content = {"format": _FORMAT, "weights_id": weights_id, "method": method, **vars(state)}
    write_atomically(path, lambda file: torch.save(content, file))


def load_state(path: Path, weights_id: str, method: str) -> TrainingState:
    """Read a checkpoint of one run; nothing is unpickled but tensors and plain values.

    Raises:
        HarnessError: the file is damaged, or belongs to another method or run.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        found_id, found_method = content.pop("weights_id"), content.pop("method")
        content.pop("format")
        state = TrainingState(**content)
    except Exception as error:  # damage shows in many ways: zip, pickle, key or type errors
        raise HarnessError(
            f"checkpoint {path} cannot be read ({type(error).__name__}); delete it to train this "
            "run from the start"
        ) from error
    if found_id != weights_id:
        raise HarnessError(
            f"checkpoint {path} belongs to {found_method} ({found_id}), not to {method} "
            f"({weights_id}); put it back where it was, or delete it to train from the start"
        )
    return state


def save_weights(path: Path, weights: Mapping[str, Tensor], spec: TrainSpec) -> None:
    """Write weights as safetensors, atomically; the metadata state what they are weights of."""
    from safetensors.torch import save

    # Memory layout is no property of weights: safetensors stores plain order. A tensor that a
    # network has under several names is stored under each.
    plain = {}
    for key, value in weights.items():
        plain[key] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
    data = save(plain, metadata=weights_metadata(spec))
    write_atomically(path, lambda file: _write(file, data))


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

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise HarnessError(
            f"weights {path} cannot be read ({error}); delete the file to train the run again"
        ) from error
    if metadata.get("weights_id") != weights_id:
        raise HarnessError(
            f"weights {path} belong to {metadata.get('method', 'an unknown method')} "
            f"({metadata.get('weights_id', 'no id')}), not to {method} ({weights_id}); put the "
            "file back where it was, or delete it to train the run again"
        )
    return weights


def _write(file: Any, data: bytes) -> None:
    file.write(data)
