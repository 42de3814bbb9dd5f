"""The control of CPR has the gradient that CPR has where all prompts restore alike."""

from __future__ import annotations

import pytest
import torch

from benchmarks.log_error import LogErrorOptions, LogErrorRestormer
from methods.prompting.contrastive import PromptContrast
from methods.promptir.spec import PromptIROptions
from tests.networks import batch
from tests.test_cpl import options_of

STEPS = 1000
CPL = options_of("cpl")


@pytest.fixture
def control() -> LogErrorRestormer:
    torch.manual_seed(0)
    return LogErrorRestormer(
        LogErrorOptions(dim=8, blocks=(1, 1, 1, 1), refinement_blocks=1, heads=(1, 1, 2, 2))
    )


def test_its_constants_are_those_of_cpl() -> None:
    options = LogErrorOptions()
    assert (options.log_weight, options.log_start) == (CPL["cpr_weight"], CPL["cpr_start"])


def test_its_gradient_is_that_of_cpr_with_negatives_like_the_output(
    control: LogErrorRestormer,
) -> None:
    given = batch(step=STEPS - 1, steps=STEPS)
    weight, margin_db = float(str(CPL["cpr_weight"])), 3.0
    contrast = PromptContrast(PromptIROptions(cpr_form="margin-db", cpr_margin_db=margin_db))
    output = control.restore(given.degraded)
    cpr = weight * contrast.compare(output, given.clean, [output.detach()] * 2)
    assert float(cpr.detach()) == pytest.approx(weight * margin_db)
    parameters = list(control.parameters())
    expected = torch.autograd.grad(cpr, parameters)
    term = control.losses(given, torch.Generator())["log"]
    found = torch.autograd.grad(term, parameters)
    torch.testing.assert_close(found, expected)


def test_it_begins_where_cpr_does(control: LogErrorRestormer) -> None:
    begin = round(float(str(CPL["cpr_start"])) * STEPS)
    for step, names in ((begin - 1, {"l1"}), (begin, {"l1", "log"})):
        losses = control.losses(batch(step=step, steps=STEPS), torch.Generator())
        assert losses.keys() == names
