"""Options that a network cannot be built with are refused in the plan, for every method."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any

import pytest
import torch

from harness.config.errors import UsageError
from harness.method import BuildContext, MethodSpec
from harness.registry import MethodChoice, find, instantiate, resolve_options
from tests.networks import RESTORERS, TASKS, build_tiny

ADDED = [find(f"{host}+spm-guided").spec for host in ("restormer", "nafnet")]
ALIKE = ("spm", "cpr", "spm-guided", "oracle", "moceir-s")
"""Methods whose options and checks are those of another one here."""

SPECS = [
    spec
    for spec in (*RESTORERS, *ADDED)
    if dataclasses.fields(spec.options) and spec.name not in ALIKE
]
NUMBERS = ("-1", "0", "1", "7", "9")
SHARES = ("-1", "0", "1e-9", "1e30")


def resolved(spec: MethodSpec, **overrides: str) -> Any:
    choice = MethodChoice(spec.name, spec, overrides)
    return resolve_options(choice, "tiny", TASKS, micro_batch=len(TASKS))


def candidates(value: Any, hint: Any) -> tuple[str, ...]:
    """Return texts to try in the place of an option's value."""
    if isinstance(value, bool):
        return (str(not value),)
    if isinstance(value, int):
        return NUMBERS
    if isinstance(value, float):
        return SHARES
    if isinstance(value, tuple):
        count = len(value)
        last = ",".join(["1"] * (count - 1) + ["3"])
        return (*(",".join([number] * count) for number in ("-1", "0", "3")), last, "")
    if typing.get_origin(hint) is typing.Literal:
        return tuple(map(str, typing.get_args(hint)))
    return ("none", "0", "x", "")


def accepted(spec: MethodSpec) -> list[tuple[str, str, Any]]:
    """Return the options, their texts and all options of a method, where nothing refuses them."""
    base = resolved(spec)
    hints = typing.get_type_hints(spec.options)
    found, refusals = [], []
    for field in dataclasses.fields(spec.options):
        for text in candidates(getattr(base, field.name), hints[field.name]):
            if text == "vgg16":  # needs weights that may not be on this machine
                continue
            try:
                found.append((field.name, text, resolved(spec, **{field.name: text})))
            except UsageError as error:
                refusals.append((field.name, str(error)))
    unnamed = [refusal for refusal in refusals if refusal[0] not in refusal[1]]
    assert not unnamed, "a sentence names its option"
    return found


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_what_the_plan_accepts_can_be_built_and_run(spec: MethodSpec) -> None:
    required = {name: build_tiny(name) for name in spec.requires}
    image = torch.full((1, 3, 16, 16), 0.5)
    labels = TASKS[:1] if spec.needs_task_labels else None
    built = set()
    for name, text, options in accepted(spec):
        if repr(options) in built:
            continue
        built.add(repr(options))
        try:
            network = instantiate(spec, BuildContext(options, TASKS, required)).eval()
            with torch.no_grad():
                assert network.restore(image, labels).shape == image.shape
        except Exception as error:
            raise AssertionError(f"{spec.name}:{name}={text} is accepted and fails") from error


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("restormer:dim=7", "dim=7 must be even"),
        ("restormer:heads=3;2;4;8", "which 3 heads .* do not divide"),
        ("restormer:ffn_expansion=0", "must leave at least one hidden channel"),
        ("drsformer:dim=10:heads=1;1;1;3", "which 3 heads"),
        ("swinir:mlp_ratio=-1", "mlp_ratio=-1.0 with dim=16 must leave"),
        ("uformer:depths=1;1;1;1;1;1;1;1;3", "6 decoder blocks and 4 encoder blocks"),
        ("cpl-guided:chooser=classifier", "is what the method 'explicit' is for"),
        ("promptir:chooser=true-task", "is what the method 'oracle' is for"),
        ("cpl:teacher_choice=true", "not part of CPL as released; use cpl-guided, the extension"),
        ("spm:load_balancing_weight=0.1", "not part of SPM as released; use spm-guided"),
        ("cpl:shared_router=true", "shared_router=true is not part of CPL .* use cpl-guided"),
        ("spm:router_pooling=frequency", "router_pooling=frequency is not .* use spm-guided"),
        ("cpl:renormalise=true", "renormalise=true is not part of CPL"),
        ("nafnet+cpl:teacher_weight=0.1", "use nafnet\\+cpl-guided, the extension"),
        ("restormer+spm:prompt_levels=level9", "this network has level3, level2, level1"),
        ("promptir:prompt_scale=1e30", "prompt_scale=1e\\+30 must be at most"),
        ("cpl:cpr_to_router=true:cpr_negatives=other-task", "cpr_to_router .* cpr_gradient=full"),
        ("oracle:cpr_weight=0.1:cpr_to_router=true", "chooser=true-task has none"),
        ("nafnet+explicit:cpr_weight=0.1:cpr_to_router=true", "chooser=classifier has none"),
        (
            "adair+cpl-guided:cpr_to_router=true:cpr_gradient=full",
            "teacher_choice=true .* set cpr_to_router=false",
        ),
        ("restormer+cpr:cpr_hardest=true", "cpr_hardest=true .* set cpr_count=2 or more"),
        ("moceir+cpl-guided:cpr_hardest=true", "cpr_hardest=true .* set cpr_count=2 or more"),
        ("sipl:top_k=1:renormalise=true", "set routing_gradient=straight-through or renormalise"),
        ("sipl:cpr_weight=0.1:cpr_count=2", "cpr_count=2 .* cpr_gradient=full .* set cpr_count=1"),
    ],
)
def test_the_sentence_names_the_option_and_the_way_out(reference: str, message: str) -> None:
    choice = find(reference.replace(";", ","))
    with pytest.raises(UsageError, match=message):
        resolve_options(choice, "tiny", TASKS, micro_batch=len(TASKS))
