"""DCPT: a stage of classification before the restoration, for any method with decoder levels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from harness.config.errors import Interrupted, UsageError
from harness.execution.networks import build, parameter_count, trained_network
from harness.method import Prompted, WeightsFile
from harness.planning.plan import Plan
from harness.registry import find
from harness.training.checkpoint import load_state
from harness.training.pretrained import load_pretrained, read_pretrained
from methods.dcpt.head import focal_loss
from methods.dcpt.spec import PRETRAINING
from tests.networks import TASKS, batch, build_tiny
from tests.plans import plan_of
from tests.trainings import assert_same, stop_after, trained

SUPPORTED = ("restormer", "promptir", "adair", "drsformer", "mirage", "dfpir", "nafnet", "swinir")
RECIPE = """
base: smoke
train: {{steps: 10, batch: 2, warmup_steps: 1, validate_every_steps: 5, {extra}}}
test: {{images: 1, draws: 1, centre_px: 64}}
runtime: {{checkpoint_every_steps: 1}}
"""


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("name", SUPPORTED)
def test_a_method_learns_to_classify_first(name: str) -> None:
    method = build_tiny(f"{name}@dcpt").train()
    samples = replace(batch(), stage=PRETRAINING)
    terms = method.losses(samples, rng())
    assert set(terms) == {"l1", "classification"}
    torch.stack(list(terms.values())).sum().backward()
    assert all(p.grad is not None for p in method.head.parameters())
    reached = {n for n, p in method.host.named_parameters() if p.grad is not None}
    assert any("decoder" in name or "layers" in name for name in reached)
    later = method.losses(batch(), rng())
    torch.manual_seed(0)
    alone = build_tiny(name)
    alone.load_state_dict(method.state_dict())
    assert later.keys() == alone.train().losses(batch(), rng()).keys()
    assert method.head is None
    with pytest.raises(ValueError, match="was dropped"):
        method.losses(samples, rng())


@pytest.mark.parametrize("name", ["nafnet", "promptir", "swinir"])
def test_features_are_the_decoders_and_the_finest_comes_first(name: str) -> None:
    method = build_tiny(f"{name}@dcpt").eval()
    with torch.no_grad():
        features = method.features(torch.rand(2, 3, 32, 32), TASKS[:2])
    shapes = [tuple(feature.shape) for feature in features]
    expected = {
        "nafnet": [(2, 8, 32, 32), (2, 16, 16, 16), (2, 32, 8, 8), (2, 64, 4, 4)],
        "promptir": [(2, 16, 16, 16), (2, 32, 8, 8)],
        "swinir": [(2, 1024, 16), (2, 1024, 16)],
    }
    assert shapes == expected[name]


def test_clean_images_are_copied_and_degraded_ones_classified() -> None:
    method = build_tiny("restormer@dcpt").train()
    samples = replace(batch(), stage=PRETRAINING)
    terms = method.losses(samples, rng())
    with torch.no_grad():
        copied = method.host.restore(samples.clean)
        logits = method.head(method.features(samples.degraded, samples.tasks))
    torch.testing.assert_close(terms["l1"], (copied - samples.clean).abs().mean())
    expected = torch.nn.functional.cross_entropy(logits, torch.arange(5))
    torch.testing.assert_close(terms["classification"], expected)
    p = logits.softmax(dim=-1).diagonal()
    focal = ((1 - p) ** 2 * -p.log()).mean()
    torch.testing.assert_close(focal_loss(logits, torch.arange(5), 2.0), focal)


def test_classification_can_be_learned() -> None:
    method = build_tiny("nafnet@dcpt").train()
    # A larger rate is at the edge of diverging, where last digits of a machine decide.
    optimiser = torch.optim.AdamW(method.parameters(), lr=3e-4)
    darker = torch.linspace(0.1, 0.9, 5)[:, None, None, None]
    samples = replace(batch(), stage=PRETRAINING, degraded=batch().clean * darker)
    values = []
    for _ in range(30):
        terms = method.losses(samples, rng())
        optimiser.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        optimiser.step()
        values.append(float(terms["classification"].detach()))
    assert values[-1] < 0.5 * values[0]


def test_its_weights_are_those_of_the_restorer(tmp_path: Path) -> None:
    method, alone = build_tiny("promptir@dcpt"), build_tiny("promptir")
    assert method.state_dict().keys() == alone.state_dict().keys()
    assert parameter_count(method) == parameter_count(alone)
    assert any(key.startswith("head.") for key in method.training_state())
    path = tmp_path / "dcpt_promptir_5d.pth"
    torch.save({"params_ema": {f"module.{k}": v for k, v in alone.state_dict().items()}}, path)
    load_pretrained(method, read_pretrained(WeightsFile(path)), "promptir@dcpt")
    image = torch.rand(1, 3, 24, 24)
    with torch.no_grad():
        assert torch.equal(method.eval().restore(image), alone.eval().restore(image))


def test_prompts_can_be_forced_as_before() -> None:
    method = build_tiny("promptir@dcpt").eval()
    assert isinstance(method, Prompted)
    assert not isinstance(build_tiny("restormer@dcpt"), Prompted)
    image = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        features = method.encode(image)
        forced = torch.eye(method.prompts)[[2]]
        decoded = method.decode(features, dict.fromkeys(method.levels, forced))
        assert torch.equal(
            decoded.restored,
            method.host.decode(features, dict.fromkeys(method.levels, forced)).restored,
        )
        assert method.choose(image, None) is None
    assert method.prompt_bank("level3").shape[0] == method.prompts


def test_references_with_a_pretraining() -> None:
    assert find("promptir@dcpt").id == "promptir@dcpt"
    assert find("restormer@dcpt:focal_gamma=2").label == "Restormer (DCPT):focal_gamma=2"
    both = find("promptir@sequential@dcpt")
    assert (both.id, both.sequential) == ("promptir@dcpt@sequential", True)
    assert find("promptir@dcpt").spec.stages[0].name == PRETRAINING


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("airnet@dcpt", "airnet names no levels of a decoder, which '@dcpt' reads; methods that"),
        ("degraded-input@dcpt", "degraded-input names no levels"),
        ("moceir@dcpt", "moceir names no levels"),
        ("promptir@dcpt@dcpt", "promptir@dcpt names no levels"),
        ("promptir@dcp", "'@dcp' in 'promptir@dcp' is unknown; did you mean 'dcpt'"),
        ("promptr@dcpt", "unknown method 'promptr'; did you mean 'promptir'"),
    ],
)
def test_what_cannot_be_pretrained_is_refused_by_name(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        find(name)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("classifier_blocks", "0", "classifier_blocks=0 must be at least 1"),
        ("focal_gamma", "-1", "focal_gamma=-1.0 must not be negative"),
        ("heads", "1,1,3,2", "do not divide"),
    ],
)
def test_what_cannot_be_is_refused(option: str, value: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_tiny("restormer@dcpt", **{option: value})


# --- a training -------------------------------------------------------------------------


def planned(folder: Path, method: str, extra: str = "scored_checkpoint: last") -> Plan:
    folder.mkdir()
    recipe = folder / "ten.yaml"
    recipe.write_text(RECIPE.format(extra=extra))
    return plan_of([method], folder, recipe=str(recipe))


def test_a_fifth_of_the_steps_is_planned_and_hashed(tmp_path: Path) -> None:
    run = planned(tmp_path / "a", "promptir@dcpt").runs[-1]
    assert [(stage.name, stage.steps) for stage in run.train.stages] == [(PRETRAINING, 2), ("", 8)]
    alone = planned(tmp_path / "b", "promptir").runs[-1]
    both = planned(tmp_path / "c", "promptir@dcpt@sequential").runs[-1]
    assert len({run.weights_id, alone.weights_id, both.weights_id}) == 3
    assert [stage.steps for stage in both.train.stages] == [2, 2, 3, 3]


@pytest.mark.parametrize(
    "extra",
    ["scored_checkpoint: last", "scored_checkpoint: best-on-validation", "ema_decay: 0.9"],
)
def test_resume_is_bit_exact_in_both_stages(tmp_path: Path, extra: str) -> None:
    whole = trained(planned(tmp_path / "whole", "promptir@dcpt", extra))
    cut = planned(tmp_path / "cut", "promptir@dcpt", extra)
    held = []
    for steps in (1, 4):
        with pytest.raises(Interrupted):
            trained(cut, stop=stop_after(steps))
        run = cut.runs[-1]
        state = load_state(run.folder.checkpoint, run.weights_id, run.method.id)
        held.append(any(key.startswith("head.") for key in state.model))
    assert held == [True, False]
    assert_same(trained(cut), whole)


def test_the_scored_weights_are_a_restorers(tmp_path: Path) -> None:
    plan = planned(tmp_path / "a", "restormer@dcpt")
    weights = trained(plan)
    run = plan.runs[-1]
    alone = build(find("restormer").spec, planned(tmp_path / "b", "restormer").runs[-1].train, {})
    alone.load_state_dict(weights)
    image = torch.rand(1, 3, 32, 32)
    network = trained_network(run)
    with torch.no_grad():
        assert torch.equal(network.eval().restore(image), alone.eval().restore(image))
