"""Weights from elsewhere: their file formats, what wraps them, and a strict comparison of names.

Nothing is ever unpickled: PyTorch files are read with ``weights_only``, which builds tensors and
plain values, and a file that needs more is refused.
"""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harness.config.errors import HarnessError, UsageError, did_you_mean
from harness.config.hashing import file_sha256
from harness.method import AdaptsState, Method

ENTRIES = ("state_dict", "params", "params_ema", "model_state_dict", "model", "net")
"""Where training frameworks put weights, in the order in which they are looked for.

Lightning: ``state_dict``; BasicSR: ``params``, and ``params_ema`` for averaged ones.
"""

_PREFIXES = ("_orig_mod.", "module.", "net.", "net_g.", "model.")
_SHOWN = 4


@dataclass(frozen=True)
class Pretrained:
    """A checkpoint as it was read.

    Attributes:
        path: its file.
        sha256: hash of the file's bytes.
        entry: name under which the weights stood in it; empty if they were all there was.
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
        entry: where in it the weights stand; None looks in ``ENTRIES``.

    Raises:
        UsageError: the file or the entry is not there.
        HarnessError: the file is damaged, holds no weights, or would have to be unpickled.
    """
    sha256 = file_sha256(path)
    if path.suffix == ".safetensors":
        state, metadata = _safetensors(path)
        return Pretrained(path, sha256, "", state, metadata)
    content = _torch_file(path)
    found, weights = _weights(path, content, entry)
    return Pretrained(path, sha256, found, weights, {})


def _safetensors(path: Path) -> tuple[dict[str, Tensor], Mapping[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            return state, file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise HarnessError(f"checkpoint {path} is no readable safetensors file: {error}") from error


def _allowed() -> list[Any]:
    """Return what weights_only may build besides tensors: plain values that trainings save."""
    import numpy as np

    types = [type(np.dtype(kind)) for kind in ("float32", "float64", "int64")]
    scalar = np.float64(0).__reduce__()[0]
    return [argparse.Namespace, np.dtype, scalar, *types]


def _torch_file(path: Path) -> Any:
    try:
        with torch.serialization.safe_globals(_allowed()):
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
            "of PyTorch's"
        ) from error


def _weights(path: Path, content: Any, entry: str | None) -> tuple[str, dict[str, Tensor]]:
    if not isinstance(content, Mapping):
        raise HarnessError(f"checkpoint {path} holds no dictionary of weights")
    names = [str(key) for key in content]
    if entry is not None and entry not in content:
        raise UsageError(f"checkpoint {path} has no entry '{entry}'; {did_you_mean(entry, names)}")
    for name in ENTRIES if entry is None else (entry,):
        inner = content.get(name)
        if isinstance(inner, Mapping) and _tensors(inner):
            return name, _tensors(inner)
    if entry is None and _tensors(content):
        return "", _tensors(content)
    raise HarnessError(
        f"checkpoint {path} holds no weights where they were looked for; it has: "
        f"{', '.join(names[:8])}; name the right one with --entry"
    )


def _tensors(content: Mapping[Any, Any]) -> dict[str, Tensor]:
    return {str(key): value for key, value in content.items() if isinstance(value, Tensor)}


def load_pretrained(module: Method, released: Pretrained, method: str) -> None:
    """Put the weights into ``module``, whose names and shapes they must have, all of them.

    Prefixes that frameworks add are dropped, and differences that the method understands
    (:class:`~harness.method.AdaptsState`) are smoothed out first.

    Raises:
        HarnessError: names or shapes differ; the first few are listed, with the nearest name.
    """
    own = module.state_dict()
    state: Mapping[str, Tensor] = _without_prefixes(released.state, own)
    if isinstance(module, AdaptsState):
        state = module.adapt_state(state)
    problems = _differences(state, own)
    if problems:
        raise HarnessError(
            f"checkpoint {released.path} does not fit {method}: {'; '.join(problems)}; "
            "choose the method or its options to match"
        )
    module.load_state_dict(dict(state))


def _without_prefixes(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Drop leading prefixes as long as that lets more names agree with the network's."""
    best = dict(state)
    while True:
        stripped = [
            {key.removeprefix(prefix): value for key, value in best.items()}
            for prefix in _PREFIXES
            if any(key.startswith(prefix) for key in best)
        ]
        better = max(stripped, key=lambda s: len(s.keys() & own.keys()), default=best)
        # A wrapped file may have two prefixes, of which only both together lead to agreement.
        twice = any(key.startswith(_PREFIXES) for key in better)
        gained = len(better.keys() & own.keys()) - len(best.keys() & own.keys())
        if better is best or gained < 0 or (gained == 0 and not twice):
            return best
        best = better


def _differences(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> list[str]:
    missing = [key for key in own if key not in state]
    unexpected = [key for key in state if key not in own]
    shapes = [
        f"{key} is {tuple(state[key].shape)} in the file and {tuple(own[key].shape)} here"
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    problems = []
    if missing:
        problems.append(_counted(missing, "missing", [_nearest(k, unexpected) for k in missing]))
    if unexpected:
        notes = [_nearest(k, missing) for k in unexpected]
        problems.append(_counted(unexpected, "unexpected", notes))
    if shapes:
        problems.append(_counted(shapes, "of another shape", [""] * len(shapes)))
    return problems


def _counted(names: Sequence[str], what: str, notes: Sequence[str]) -> str:
    shown = [name + note for name, note in zip(names[:_SHOWN], notes, strict=False)]
    rest = f", and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{len(names)} {what} ({', '.join(shown)}{rest})"


def _nearest(name: str, others: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, others, n=1, cutoff=0.6)
    return f" [nearest: {near[0]}]" if near else ""
