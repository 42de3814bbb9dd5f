"""SIPL's options and specs: on PromptIR, and added to other networks. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from harness.method import CheckContext, MethodSpec, OptionError
from methods.joined_options import joined_options
from methods.prompting.options import PromptOptions
from methods.promptir import spec as promptir

_SOURCE = "Wu et al., arXiv 2505.24207; Aitical/SIPL"
_LICENCE = "SIPL: none stated"
_LEAST_PATCH_PX = 8  # the deepest dictionary works at an eighth of it

_SIZES: dict[str, dict[str, Any]] = {
    "tiny": {"dictionary_patch_px": 32, "dictionary_std": 0.02},
    "small": {"dictionary_patch_px": 64, "dictionary_std": 0.02},
    "full": {},
}


@dataclass(frozen=True, kw_only=True)
class SIPLOptions:
    """Options of SIPL, for any network that lets its features be fused; published values.

    Attributes:
        refinement_rounds: how often a test image is restored, each time from its last result: a
            pass with the dictionaries alone, and one guided by the features of its result.
        dictionary_patch_px: side of the image for which the dictionaries have the features' size.
        dictionary_std: standard deviation of the initial dictionaries. The published ones start
            at zero, where the attention's normalisation multiplies their gradient by 1e12, which
            AdamW's running averages remember for tens of thousands of steps; short trainings
            need a start beside zero.
    """

    refinement_rounds: int = 2
    dictionary_patch_px: int = 128
    dictionary_std: float = 0.0


def check_sipl(options: SIPLOptions) -> None:
    """Refuse dictionaries that cannot be built, and a test without a pass.

    Raises:
        OptionError: an option cannot have its value; the text names both.
    """
    if options.refinement_rounds < 1:
        raise OptionError(f"refinement_rounds={options.refinement_rounds} must be at least 1")
    if options.dictionary_patch_px < _LEAST_PATCH_PX:
        raise OptionError(
            f"dictionary_patch_px={options.dictionary_patch_px} must be at least {_LEAST_PATCH_PX}"
        )
    if options.dictionary_std < 0:
        raise OptionError(f"dictionary_std={options.dictionary_std} must not be negative")


def _check_negatives(host: Any) -> None:
    """Refuse several negatives with a gradient: a part of them may be decoded again for it.

    By then the losses have returned, and nothing guides the decoder.

    Raises:
        OptionError: the host's options have them.
    """
    if not isinstance(host, PromptOptions) or not host.cpr_weight or host.cpr_count == 1:
        return
    if host.cpr_gradient != "detached":
        raise OptionError(
            f"cpr_count={host.cpr_count} with cpr_gradient={host.cpr_gradient} may decode "
            "negatives again for their gradient, when nothing guides the decoder any more; set "
            "cpr_count=1 or cpr_gradient=detached"
        )


def _joined_check(host: MethodSpec) -> Callable[[Any, CheckContext], None]:
    """Return a check of the options of ``host`` and those of SIPL."""

    def check(options: Any, context: CheckContext) -> None:
        if host.check is not None:
            host.check(options.host_options, context)
        _check_negatives(options.host_options)
        check_sipl(options)

    return check


def add_sipl(host: MethodSpec) -> MethodSpec:
    """Return the spec of ``host`` with the dictionaries, the fusion and the training of SIPL."""
    sizes = {}
    for size in {*host.sizes, *_SIZES}:
        sizes[size] = {**host.sizes.get(size, {}), **_SIZES.get(size, {})}
    return MethodSpec(
        name=f"{host.name}+sipl",
        label=f"{host.label}+SIPL",
        summary=f"{host.label} guided by the features of its own restoration",
        prompting=host.prompting,
        objective=host.objective,
        source="; ".join(dict.fromkeys([host.source, _SOURCE])),
        build="methods.sipl.network:build",
        options=joined_options(host.options, SIPLOptions, "SelfImproved"),
        defaults=host.defaults,
        sizes=sizes,
        fitted=host.fitted,
        version=host.version,
        check=_joined_check(host),
        requires=host.requires,
        role=host.role,
        needs_task_labels=host.needs_task_labels,
        relative_cost=2.0 * host.relative_cost,
        cost=host.cost,
        licence="; ".join(filter(None, [host.licence, _LICENCE])),
        host=host,
    )


def _on_promptir() -> MethodSpec:
    """Return SIPL as published: on PromptIR without its six unused convolutions."""
    hosts = {spec.name: spec for spec in promptir.SPECS}
    host = replace(hosts["promptir"], sizes={**hosts["promptir"].sizes, "full": {}})
    return replace(
        add_sipl(host),
        name="sipl",
        label="SIPL",
        summary="SIPL on PromptIR: guided by the features of its own restoration",
        adapter=add_sipl,
        added_at="fusion_points",
    )


SPECS: tuple[MethodSpec, ...] = (_on_promptir(),)
