"""From a spec to a network: initial weights keyed by the seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import torch

from harness.data.keys import integer_seed
from harness.errors import CellError
from harness.method import BuildContext, Method, MethodSpec, OptionError
from harness.registry import instantiate, parse_options
from harness.spec import TrainSpec


def build(card: MethodSpec, spec: TrainSpec, required: Mapping[str, Any]) -> Method:
    """Build the method of ``spec`` with initial weights that depend on its seed alone.

    Raises:
        CellError: something that the options ask for is not on this machine.
    """
    context = BuildContext(
        options=parse_options(card, spec.options),
        tasks=spec.tasks,
        required=required,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(integer_seed("initial-weights", spec.seed))
        try:
            method = instantiate(card, context)
        except OptionError as error:
            raise CellError(f"{card.name}: {error}") from error
    return cast(Method, method)
