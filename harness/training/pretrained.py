"""Pretrained checkpoints: their file formats, and where in a file the weights are.

Nothing is ever unpickled: PyTorch files are read with ``weights_only``, which builds tensors and
plain values, and a file that needs more is refused.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harness.config.errors import HarnessError, UsageError, did_you_mean
from harness.config.hashing import file_sha256
from harness.method import AdaptsState, Method
from harness.store.weights import check_content, check_zip
from harness.training.state_names import differences, without_prefixes

ENTRIES = ("state_dict", "params", "params_ema", "model_state_dict", "model", "net")
"""Where training frameworks put weights, in the order in which they are looked for.

Lightning: ``state_dict``; BasicSR: ``params``, and ``params_ema`` for averaged ones.
"""

_MOST_NAMES = 8


@dataclass(frozen=True)
class Pretrained:
    """A checkpoint as it was read.

    Attributes:
        path: its file.
        sha256: hash of the file's bytes.
        entry: name of the dictionary in the file that holds the weights; empty if the file holds
            nothing else.
        state: the weights, under the file's own names.
        metadata: text that a safetensors file carries.
    """

    path: Path
    sha256: str
    entry: str
    state: Mapping[str, Tensor]
    metadata: Mapping[str, str]


def read_pretrained(path: Path, entry: str | None = None) -> Pretrained:
    """Read a checkpoint: safetensors, or what ``torch.save`` wrote.

    Args:
        path: the file.
        entry: name of the dictionary that holds the weights; None looks for ``ENTRIES``.

    Raises:
        UsageError: the file has no such entry.
        HarnessError: the file is missing or damaged, holds no weights, or would have to be
            unpickled.
    """
    sha256 = file_sha256(path)
    if path.suffix == ".safetensors":
        state, metadata = _read_safetensors(path)
        return Pretrained(path, sha256, "", state, metadata)
    content = _read_torch_file(path)
    found, weights = _weights(path, content, entry)
    return Pretrained(path, sha256, found, weights, {})


def load_pretrained(module: Method, pretrained: Pretrained, method: str) -> None:
    """Load the weights into ``module``, whose names and shapes they must have, all of them.

    Prefixes that frameworks add are dropped, and differences that the method understands
    (:class:`~harness.method.AdaptsState`) are removed first.

    Args:
        module: the network.
        pretrained: the checkpoint.
        method: name of the method, for messages.

    Raises:
        HarnessError: names or shapes differ; the first few are listed, with the nearest name.
    """
    own = module.state_dict()
    state: Mapping[str, Tensor] = without_prefixes(pretrained.state, own)
    if isinstance(module, AdaptsState):
        state = module.adapt_state(state)
    problems = differences(state, own)
    if problems:
        raise HarnessError(
            f"checkpoint {pretrained.path} does not fit {method}: {'; '.join(problems)}; "
            "choose the method or its options to match"
        )
    module.load_state_dict(dict(state))


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], Mapping[str, str]]:
    from safetensors import SafetensorError, safe_open

    check_content(path, "fetch it again")
    try:
        with safe_open(path, framework="pt") as file:
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            return state, file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise HarnessError(
            f"checkpoint {path} is no readable safetensors file ({error}); fetch it again"
        ) from error


def _allowed_types() -> list[Any]:
    """Return what weights_only may build besides tensors: plain values that trainings save."""
    import numpy as np

    types = [type(np.dtype(kind)) for kind in ("float32", "float64", "int64")]
    scalar = np.float64(0).__reduce__()[0]
    return [argparse.Namespace, np.dtype, scalar, *types]


def _read_torch_file(path: Path) -> Any:
    check_zip(path, "fetch it again")
    try:
        with torch.serialization.safe_globals(_allowed_types()):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damage and refusal show in many ways
        needed = re.search(r"GLOBAL (\S+)", str(error))
        if needed:
            raise HarnessError(
                f"checkpoint {path} holds an object of {needed[1]}, which could run code when it "
                "is read, so it is refused; save its weights alone, as a dictionary of tensors, on "
                "a machine where you trust the file"
            ) from error
        raise HarnessError(
            f"checkpoint {path} cannot be read ({type(error).__name__}); it is damaged or no file "
            "of PyTorch's, so fetch it again"
        ) from error


def _weights(path: Path, content: Any, entry: str | None) -> tuple[str, dict[str, Tensor]]:
    """Return the entry that holds the weights, and the weights."""
    if not isinstance(content, Mapping):
        raise HarnessError(
            f"checkpoint {path} holds no dictionary of weights; save a state dict instead"
        )
    names = [str(key) for key in content]
    if entry is not None and entry not in content:
        raise UsageError(f"checkpoint {path} has no entry '{entry}'; {did_you_mean(entry, names)}")
    for name in ENTRIES if entry is None else (entry,):
        weights = _tensors(content.get(name))
        if weights:
            return name, weights
    weights = _tensors(content)
    if entry is None and weights:
        return "", weights
    raise HarnessError(
        f"checkpoint {path} holds no weights under {', '.join(ENTRIES)}; it has: "
        f"{', '.join(names[:_MOST_NAMES])}; name the right one with --entry"
    )


def _tensors(content: Any) -> dict[str, Tensor]:
    """Return the tensors of a dictionary; none of anything else."""
    found: dict[str, Tensor] = {}
    if isinstance(content, Mapping):
        for key, value in content.items():
            if isinstance(value, Tensor):
                found[str(key)] = value
    return found
