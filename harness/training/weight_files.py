"""Formats of files of weights: safetensors, and what ``torch.save`` wrote.

Formats are recognised by content, not by suffix. Nothing is ever unpickled: PyTorch files are read
with ``weights_only``, which builds tensors and plain values, and a file that needs more is refused.
"""

from __future__ import annotations

import argparse
import datetime
import pathlib
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harness.config.errors import HarnessError, is_out_of_memory, out_of_memory, reason_of
from harness.store.checked_zip import check_zip
from harness.store.weights import begins_as_safetensors, check_content, require_all_bytes

_HEAD_BYTES = 512
_ZIP = b"PK\x03\x04"
_NUMBERS = (
    *("bool", "uint8", "int8", "int16", "int32", "int64"),
    *("float16", "float32", "float64", "complex64", "complex128"),
)
_TRUNCATED = re.compile(r"unexpected EOF|Ran out of input|EOFError|truncated", re.IGNORECASE)


def read_weight_file(path: Path) -> tuple[Any, Mapping[str, str]]:
    """Return what a file of weights holds, and the text that a safetensors file carries.

    Raises:
        HarnessError: the file is missing, truncated or damaged, is no file of weights, or would
            have to be unpickled.
    """
    head = _head(path)
    problem = _no_weights(head)
    if problem:
        raise HarnessError(f"checkpoint {path} {problem}")
    if begins_as_safetensors(head) or path.suffix == ".safetensors":
        return _read_safetensors(path)
    if head.startswith(_ZIP):
        _check_archive(path)
    return _read_torch_file(path), {}


def require_file(path: Path) -> None:
    """Refuse a path at which there is no file.

    Raises:
        HarnessError: nothing is there, or a folder.
    """
    if path.is_dir():
        raise HarnessError(f"checkpoint {path} is a folder; name the file of weights in it")
    if not path.exists():
        raise HarnessError(f"checkpoint {path} does not exist; check the path")
    if not path.is_file():
        raise HarnessError(f"checkpoint {path} is a pipe or a device; name a file")


def _head(path: Path) -> bytes:
    require_file(path)
    try:
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES)
    except OSError as error:
        raise HarnessError(
            f"checkpoint {path} cannot be read: {error.strerror or error}; check its permissions"
        ) from error


def _no_weights(head: bytes) -> str:
    """Return why a file that begins with ``head`` holds no weights; empty if it may."""
    start = head.lstrip().lower()
    if not head:
        return "is empty; fetch it again"
    if start.startswith(b"version https://git-lfs"):
        return "is a pointer of Git LFS and not the weights; fetch them with git lfs pull"
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "is a web page and not the weights; fetch the file that the page links to"
    return ""


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], Mapping[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        require_all_bytes(path)
        check_content(path, "it is no readable safetensors file, so fetch it again")
        with safe_open(path, framework="pt") as file:
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            return state, file.metadata() or {}
    except (OSError, SafetensorError, ValueError) as error:
        raise HarnessError(
            f"checkpoint {path} is no readable safetensors file ({reason_of(error)}); fetch it "
            "again"
        ) from error


def _check_archive(path: Path) -> None:
    """Refuse a file of ``torch.save`` that was cut off or whose bytes have changed."""
    if not zipfile.is_zipfile(path):
        raise HarnessError(
            f"checkpoint {path} is truncated: it begins as a file of torch.save, and the table of "
            "contents at its end is missing; fetch it again"
        )
    check_zip(path, "it is damaged, so fetch it again")
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if any(name.endswith("/constants.pkl") for name in names):
        raise HarnessError(
            f"checkpoint {path} is a TorchScript archive, which holds code; load it with "
            "torch.jit.load where you trust it, and save its state_dict() with torch.save"
        )


def _allowed_types() -> list[Any]:
    """Return what weights_only may build besides tensors: plain values that trainings save.

    Some have the names that they had in other versions of numpy or Python, or on other systems.
    """
    import numpy as np

    types: list[Any] = [argparse.Namespace, np.dtype, np.ndarray]
    types += [datetime.datetime, datetime.date, datetime.timedelta]
    types += [type(np.dtype(kind)) for kind in _NUMBERS]
    scalar = np.float64(0).__reduce__()[0]
    array = np.zeros(1).__reduce__()[0]
    for module in ("numpy._core.multiarray", "numpy.core.multiarray"):
        types += [(scalar, f"{module}.scalar"), (array, f"{module}._reconstruct")]
    for module in ("pathlib", "pathlib._local"):
        for name in ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath"):
            types.append((pathlib.PurePath, f"{module}.{name}"))
    return types


def _read_torch_file(path: Path) -> Any:
    try:
        with torch.serialization.safe_globals(_allowed_types()):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damage and refusal show in many ways
        raise HarnessError(f"checkpoint {path} {_why_unreadable(error)}") from error


def _why_unreadable(error: Exception) -> str:
    if is_out_of_memory(error):
        return f"cannot be read: {out_of_memory(error)}"
    text = f"{type(error).__name__}: {error}"
    needed = re.search(r"GLOBAL (\S+)", text)
    if needed:
        return (
            f"holds an object of {needed[1]}, which could run code when it is read, so it is "
            "refused; save its weights alone, as a dictionary of tensors, on a machine where you "
            "trust the file"
        )
    if _TRUNCATED.search(text):
        return f"is truncated ({reason_of(error)}); fetch it again"
    return (
        f"cannot be read ({type(error).__name__}); it is damaged or no file of PyTorch's, so fetch "
        "it again"
    )
