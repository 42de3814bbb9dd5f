"""Spec of the degraded input. Imports no torch."""

from __future__ import annotations

from harness.method import MethodSpec

SPECS: tuple[MethodSpec, ...] = (
    MethodSpec(
        name="degraded-input",
        label="Degraded input",
        summary="the input as it is: what every method has to beat",
        prompting="none",
        objective="none",
        source="",
        build="methods.degraded_input.network:build",
        role="reference",
        trained=False,
        relative_cost=0.0,
    ),
)
