"""Specs of networks to which prompts are added at their insertion points. Imports no torch."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

from harness.method import CheckContext, MethodSpec
from methods.joined_options import joined_options, option_names
from methods.prompting.option_checks import check_chooser, check_prompts
from methods.prompting.options import PROMPT_SIZES, PromptOptions

_RELATIVE_COST = 1.2  # of a network with prompts to one without, measured for Restormer
_WITH_LOSSES_OF_THEIR_OWN = ("moceir", "moceir-s")
"""Networks with losses beside L1. What is added to them is one version further: before, forced
prompts left out their load balancing, and every addition their error of spectra."""


def with_adapter(addition: MethodSpec, label: str) -> MethodSpec:
    """Return ``addition``, a variant of PromptIR, as one that can be added to other networks.

    Args:
        addition: spec whose options are those of PromptIR.
        label: what tables append to the label of the other network.
    """
    return dataclasses.replace(addition, adapter=functools.partial(_adapted, addition, label))


def _adapted(addition: MethodSpec, label: str, host: MethodSpec) -> MethodSpec:
    """Return the spec of ``host`` with the prompts and objective of ``addition``."""
    return MethodSpec(
        name=f"{host.name}+{addition.name}",
        label=f"{host.label}+{label}",
        summary=f"{host.label} with the prompts of {addition.label}",
        prompting=addition.prompting,
        # PromptIR's variants add to L1; added to another network, they add to its objective.
        objective=host.objective + addition.objective.removeprefix("L1"),
        source="; ".join(dict.fromkeys([host.source, addition.source])),
        build="methods.prompting.adapter:build",
        options=joined_options(host.options, PromptOptions, "Prompted"),
        defaults={**host.defaults, **_prompt_defaults(addition)},
        sizes=_joined_sizes(host),
        fitted=addition.fitted,
        search={**host.search, **addition.search},
        version=_version(host, addition),
        check=_joined_check(host, addition.defaults.get("chooser", "router")),
        requires=(*host.requires, *addition.requires),
        role=addition.role,
        needs_task_labels=addition.needs_task_labels,
        relative_cost=host.relative_cost * addition.relative_cost * _RELATIVE_COST,
        cost=addition.cost,
        licence=host.licence,
        released=addition.released,
        chosen=addition.chosen,
        extended_by=addition.extended_by and f"{host.name}+{addition.extended_by}",
        host=host,
    )


def _version(host: MethodSpec, addition: MethodSpec) -> int:
    """Return the version of ``host`` with ``addition``."""
    version = max(host.version, addition.version)
    return version + 1 if host.name in _WITH_LOSSES_OF_THEIR_OWN else version


def _prompt_defaults(addition: MethodSpec) -> dict[str, Any]:
    """Return those defaults of ``addition`` that are not about PromptIR's own network."""
    names = option_names(PromptOptions)
    return {name: value for name, value in addition.defaults.items() if name in names}


def _joined_sizes(host: MethodSpec) -> dict[str, dict[str, Any]]:
    """Return the option values per size: those of ``host`` and of prompts."""
    sizes = {}
    for size in {*host.sizes, *PROMPT_SIZES}:
        sizes[size] = {**host.sizes.get(size, {}), **PROMPT_SIZES.get(size, {})}
    return sizes


def _joined_check(host: MethodSpec, chooser: str) -> Callable[[Any, CheckContext], None]:
    """Return a check of the options of ``host`` and those of prompts."""

    def check(options: Any, context: CheckContext) -> None:
        if host.check is not None:
            host.check(options.host_options, context)
        check_chooser(options, chooser)
        options.prompted_levels(host.insertion_points)
        check_prompts(options, context)

    return check
