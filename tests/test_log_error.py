"""The control of CPR has the gradient that CPR has where all prompts restore alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.log_error import LogErrorOptions
from harness.registry import use_plugins
from methods.prompting.contrastive import PromptContrast
from methods.promptir.spec import PromptIROptions
from tests.networks import batch, build_tiny
from tests.test_cpl import options_of

ROOT = Path(__file__).parents[1]
STEPS = 1000
CPL = options_of("cpl")


def control(name: str) -> Any:
    use_plugins([ROOT / "benchmarks/log_error.py"])
    return build_tiny(name).train()


def test_its_constants_are_those_of_cpl() -> None:
    options = LogErrorOptions()
    assert (options.log_weight, options.log_start) == (CPL["cpr_weight"], CPL["cpr_start"])


def test_its_gradient_is_that_of_cpr_with_negatives_like_the_output() -> None:
    network = control("restormer-log")
    given = batch(step=STEPS - 1, steps=STEPS)
    weight, margin_db = float(str(CPL["cpr_weight"])), 3.0
    contrast = PromptContrast(PromptIROptions(cpr_form="margin-db", cpr_margin_db=margin_db))
    output = network.restore(given.degraded)
    cpr = weight * contrast.compare(output, given.clean, [output.detach()] * 2)
    assert float(cpr.detach()) == pytest.approx(weight * margin_db)
    parameters = list(network.parameters())
    expected = torch.autograd.grad(cpr, parameters)
    term = network.losses(given, torch.Generator())["log"]
    torch.testing.assert_close(torch.autograd.grad(term, parameters), expected)


@pytest.mark.parametrize("name", ["restormer-log", "promptir-log", "spm-guided-log"])
def test_it_begins_where_cpr_does_and_changes_no_other_loss(name: str) -> None:
    network, plain = control(name), build_tiny(name.removesuffix("-log")).train()
    begin = round(float(str(CPL["cpr_start"])) * STEPS)
    for step in (begin - 1, begin):
        given = batch(step=step, steps=STEPS)
        losses = network.losses(given, torch.Generator().manual_seed(0))
        others = plain.losses(given, torch.Generator().manual_seed(0))
        assert losses.keys() - others.keys() == ({"log"} if step == begin else set())
        torch.testing.assert_close({key: losses[key] for key in others}, others)
