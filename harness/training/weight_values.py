"""Values of weights: what a network of floating-point numbers cannot be loaded with."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

_MOST_NAMES = 4
_MOST_REPEATED = 2**26
"""Numbers of a tensor that may be more than are stored of it."""


def storage_problems(state: Mapping[str, Tensor]) -> list[str]:
    """Return in words which tensors have no plain values: sparse, quantised or meta tensors."""
    problems = []
    for name, value in state.items():
        if value.is_meta:
            problems.append(f"{name} is a meta tensor, which has no values")
        elif value.is_quantized:
            problems.append(f"{name} is quantised")
        elif value.layout is not torch.strided:
            problems.append(f"{name} is sparse")
        elif value.numel() > max(_MOST_REPEATED, _stored_numbers(value)):
            problems.append(f"{name} repeats few numbers {value.numel()} times")
    return shortened(problems)


def _stored_numbers(value: Tensor) -> int:
    """Return how many numbers a file holds of a tensor, which a view may show again and again."""
    return value.untyped_storage().nbytes() // value.element_size()


def value_problems(state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> list[str]:
    """Return in words which tensors have values that a network cannot have.

    Args:
        state: tensors under the network's names.
        own: state dict of the network, whose kinds of numbers count.
    """
    problems = []
    for name, value in state.items():
        expected = own[name].dtype if name in own else torch.float32
        problem = _problem(value, expected)
        if problem:
            problems.append(f"{name} {problem}")
    return shortened(problems)


def not_finite(state: Mapping[str, Tensor]) -> list[str]:
    """Return in words which tensors of floats have values that are not finite in float32."""
    floats = {name: value for name, value in state.items() if value.is_floating_point()}
    return value_problems(floats, {})


def shortened(problems: list[str]) -> list[str]:
    """Return the first few of a list, and how many more there are."""
    more = len(problems) - _MOST_NAMES
    return problems if more <= 0 else [*problems[:_MOST_NAMES], f"and {more} more"]


def _problem(value: Tensor, expected: torch.dtype) -> str:
    kind = str(value.dtype).removeprefix("torch.")
    wanted = str(expected).removeprefix("torch.")
    if not expected.is_floating_point:
        # Counters that were saved in half precision are whole numbers still.
        whole = value.is_floating_point() and bool((value == value.round()).all())
        same = value.is_complex() == expected.is_complex and not value.is_floating_point()
        return "" if whole or same else f"is {kind} and the network has {wanted}"
    if not value.is_floating_point():
        return f"is {kind} and the network has {wanted}"
    finite = torch.isfinite(value.to(expected))
    if bool(finite.all()):
        return ""
    count = finite.numel() - int(finite.sum())
    return f"has {count} of {finite.numel()} values that are not finite (NaN or infinite)"
