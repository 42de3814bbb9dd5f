"""Cards of networks that prompts are plugged into. Imports no torch."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

from harness.method import CheckContext, MethodSpec
from methods.options import PROMPT_SIZES, PromptOptions, check_prompts


def plugs_in(addition: MethodSpec, label: str) -> MethodSpec:
    """Return ``addition``, a card of PromptIR with prompts, as one that other networks take."""
    return dataclasses.replace(addition, adapter=functools.partial(_plugged, addition, label))


def _plugged(addition: MethodSpec, label: str, host: MethodSpec) -> MethodSpec:
    """Return the card of ``host`` with the prompts and objective of ``addition``."""
    names = {field.name for field in dataclasses.fields(PromptOptions)}
    prompts = {key: value for key, value in addition.defaults.items() if key in names}
    sizes = {
        size: {**host.sizes.get(size, {}), **PROMPT_SIZES.get(size, {})}
        for size in {*host.sizes, *PROMPT_SIZES}
    }
    options = _joined_options(host.options)
    return MethodSpec(
        name=f"{host.name}+{addition.name}",
        label=f"{host.label}+{label}",
        summary=f"{host.label} with the prompts of {addition.label}",
        prompting=addition.prompting,
        objective=addition.objective,
        source="; ".join(dict.fromkeys([host.source, addition.source])),
        build="methods.plugged:build",
        options=options,
        defaults={**host.defaults, **prompts},
        sizes=sizes,
        fitted=addition.fitted,
        version=max(host.version, addition.version),
        check=_check(host),
        requires=(*host.requires, *addition.requires),
        role=addition.role,
        needs_task_labels=addition.needs_task_labels,
        relative_cost=host.relative_cost * addition.relative_cost * 1.2,
        cost=addition.cost,
        licence=host.licence,
        host=host,
    )


def _check(host: MethodSpec) -> Callable[[Any, CheckContext], None]:
    def check(options: Any, context: CheckContext) -> None:
        if host.check is not None:
            host.check(options.host_options, context)
        check_prompts(options, context)

    return check


@functools.cache
def _joined_options(host: type) -> type:
    """Return a frozen type with the options of ``host`` and those of prompts.

    Raises:
        TypeError: both have an option of the same name.
    """
    own = {field.name for field in dataclasses.fields(host)}
    twice = own & {field.name for field in dataclasses.fields(PromptOptions)}
    if twice:
        raise TypeError(f"{host.__name__} and PromptOptions both have {sorted(twice)}")

    def host_options(self: Any) -> Any:
        return host(**{name: getattr(self, name) for name in own})

    space: Mapping[str, Any] = {"host_options": property(host_options)}
    return dataclasses.make_dataclass(
        f"Prompted{host.__name__}",
        [],
        bases=(host, PromptOptions),
        namespace=dict(space),
        frozen=True,
        kw_only=True,
    )
