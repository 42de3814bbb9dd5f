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
    """What an unfinished training goes on from; ``step`` steps are done."""

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
    """Read a checkpoint of this very cell; nothing is unpickled but tensors and plain values.

    Raises:
        HarnessError: the file is damaged, or belongs to another method or cell.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        found, its_method = content.pop("weights_id"), content.pop("method")
        content.pop("format")
        state = TrainingState(**content)
    except Exception as error:  # damage shows in many ways: zip, pickle, key or type errors
        raise HarnessError(
            f"checkpoint {path} cannot be read ({type(error).__name__}); delete it to train this "
            "cell from the start"
        ) from error
    if found != weights_id:
        raise HarnessError(
            f"checkpoint {path} belongs to {its_method} ({found}), not to {method} "
            f"({weights_id}); put it back where it was, or delete it to train from the start"
        )
    return state


def save_weights(path: Path, weights: Mapping[str, Tensor], spec: TrainSpec) -> None:
    """Write weights as safetensors, atomically; the metadata say what they are weights of."""
    from safetensors.torch import save

    # Memory layout is no property of weights; safetensors stores plain order, and a tensor that
    # a network has under several names once under each.
    plain = {
        key: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for key, value in weights.items()
    }
    data = save(plain, metadata=weights_metadata(spec))
    write_atomically(path, lambda file: _write(file, data))


def weights_metadata(spec: TrainSpec) -> dict[str, str]:
    """Return what a file of weights says of itself: enough to build their network again."""
    return {
        "weights_id": spec_hash(spec),
        "method": spec.method,
        "method_version": str(spec.method_version),
        "options": json.dumps(spec.options, sort_keys=True),
        "tasks": json.dumps(spec.tasks),
        "checkpoint_sha256": spec.checkpoint_sha256 or "",
    }


def load_weights(path: Path, weights_id: str, method: str) -> dict[str, Tensor]:
    """Read weights of this very cell.

    Raises:
        HarnessError: the file is missing or damaged, or belongs to another method or cell.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise HarnessError(
            f"weights {path} cannot be read ({error}); delete the file to train the cell again"
        ) from error
    if metadata.get("weights_id") != weights_id:
        raise HarnessError(
            f"weights {path} belong to {metadata.get('method', 'an unknown method')} "
            f"({metadata.get('weights_id', 'no id')}), not to {method} ({weights_id}); put the "
            "file back where it was, or delete it to train the cell again"
        )
    return weights


def _write(file: Any, data: bytes) -> None:
    file.write(data)
