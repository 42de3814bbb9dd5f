"""Sparse routing, balance, and contrastive prompt regularisation."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.method import CheckContext, OptionError, Routing
from methods.contrastive import PromptContrast, wrong_prompts
from methods.features import Vgg16
from methods.options import PromptIROptions, check_promptir
from methods.prompts import PromptModule, balance
from tests.networks import TASKS, batch, build_tiny

VGG16_FILE = Path(__file__).parents[2] / "shared/weights/vgg16_features_to_relu3_3.safetensors"


def options(**values: object) -> PromptIROptions:
    return PromptIROptions(**{"dim": 8, "prompt_patch_px": 32, **values})  # type: ignore[arg-type]


@given(k=st.integers(1, 5), renormalise=st.booleans(), seed=st.integers(0, 50))
def test_top_k_keeps_the_largest(k: int, renormalise: bool, seed: int) -> None:
    torch.manual_seed(seed)
    module = PromptModule(16, 8, 4, options(top_k=k, renormalise=renormalise))
    routing = module.route(torch.randn(3, 16, 4, 4))
    assert routing.probabilities is not None
    kept = routing.weights > 0
    assert (kept.sum(-1) == k).all()
    lowest_kept = routing.probabilities.masked_fill(~kept, 2).min(-1).values
    highest_left = routing.probabilities.masked_fill(kept, -1).max(-1).values
    assert (lowest_kept >= highest_left).all()
    if renormalise:
        torch.testing.assert_close(routing.weights.sum(-1), torch.ones(3))
    else:
        assert torch.equal(routing.weights[kept], routing.probabilities[kept])


def test_channel_normal_prompts_differ_in_their_channel_means() -> None:
    torch.manual_seed(0)
    spread = {
        kind: PromptModule(16, 8, 16, options(prompt_init=kind))
        .prompt_param[0]
        .mean((-2, -1))
        .std(0)
        .mean()
        for kind in ("uniform", "channel-normal")
    }
    assert spread["channel-normal"] > 10 * spread["uniform"]


def test_balance_is_one_when_even_and_prompts_when_collapsed() -> None:
    assert float(balance(torch.eye(5))) == pytest.approx(1)
    assert float(balance(torch.eye(5)[[2] * 7])) == pytest.approx(5)


def routing(k: int, seed: int = 0, samples: int = 5) -> dict[str, Routing]:
    torch.manual_seed(seed)
    found = {}
    for level in ("level3", "level2"):
        p = torch.randn(samples, 5).softmax(-1)
        keep = torch.zeros_like(p).scatter(-1, p.topk(k).indices, 1.0)
        found[level] = Routing(weights=p * keep, probabilities=p)
    return found


@given(k=st.integers(1, 4), seed=st.integers(0, 30))
def test_unselected_negatives_are_distinct_and_were_not_chosen(k: int, seed: int) -> None:
    chosen, count = routing(k, seed), 5 - k
    overrides = wrong_prompts(
        chosen,
        TASKS,
        options(cpr_negatives="unselected", cpr_count=count, top_k=k),
        torch.Generator().manual_seed(seed),
    )
    assert len(overrides) == count
    for level, routed in chosen.items():
        together = torch.stack([o[level] for o in overrides])
        assert not ((together > 0) & (routed.weights > 0)).any()
        assert ((together > 0).sum(0) <= 1).all(), "one expert was a negative twice"
        torch.testing.assert_close(
            together.sum(-1), routed.weights.sum(-1).expand(count, -1), rtol=1e-5, atol=1e-6
        )


def test_mixture_weighs_what_was_not_chosen_by_probability() -> None:
    chosen = routing(2)
    (override,) = wrong_prompts(
        chosen, TASKS, options(cpr_negatives="mixture", top_k=2), torch.Generator()
    )
    for level, routed in chosen.items():
        assert routed.probabilities is not None
        left = routed.probabilities * (routed.weights == 0)
        expected = left / left.sum(-1, keepdim=True) * routed.weights.sum(-1, keepdim=True)
        torch.testing.assert_close(override[level], expected, rtol=1e-4, atol=1e-5)


def test_other_task_takes_routing_of_a_sample_of_another_task() -> None:
    tasks, chosen = ("a", "a", "b", "b", "b"), routing(1)
    (override,) = wrong_prompts(
        chosen, tasks, options(cpr_negatives="other-task"), torch.Generator().manual_seed(0)
    )
    for level, routed in chosen.items():
        for sample, given_weights in enumerate(override[level]):
            donors = [j for j in range(5) if torch.equal(given_weights, routed.weights[j])]
            assert any(tasks[j] != tasks[sample] for j in donors)
    assert wrong_prompts(chosen, ("a",) * 5, options(), torch.Generator()) == []


@pytest.mark.parametrize("form", ["ratio", "difference", "margin"])
@pytest.mark.parametrize("negatives", ["unselected", "mixture", "other-task"])
def test_each_form_lowers_its_loss_and_makes_wrong_prompts_worse(form: str, negatives: str) -> None:
    """On a fixed batch: CPR falls, and wrong-minus-right error grows."""
    method = build_tiny(
        "cpl",
        cpr_form=form,
        cpr_negatives=negatives,
        cpr_weight="0.1",
        balance_weight="0",
        cpr_margin="0.2",
        top_k="1",
    ).train()
    fixed = batch(side=16)
    # Task i has expert i, throughout: what is tested is the loss, not where a router drifts.
    own = Routing(weights=torch.eye(5), probabilities=(3 * torch.eye(5)).softmax(-1))
    for module in (method.prompt1, method.prompt2, method.prompt3):
        module.route = lambda x: own

    def measure() -> tuple[float, float]:
        with torch.no_grad():
            features = method.encode(fixed.degraded)
            right = method.decode(features)
            generator = torch.Generator().manual_seed(0)
            value = method.prompting.contrast(method.decode, features, right, fixed, generator)
            wrong = [
                method.decode(features, override).restored
                for override in wrong_prompts(
                    right.routing, TASKS, method.prompting.options, torch.Generator().manual_seed(0)
                )
            ]
        error = torch.stack([(w - fixed.clean).abs().mean() for w in wrong]).mean()
        return float(value), float(error - (right.restored - fixed.clean).abs().mean())

    trained = [p for n, p in method.named_parameters() if "linear_layer" not in n]
    optimiser = torch.optim.Adam(trained, lr=2e-3)
    before = measure()
    for _ in range(40):
        terms = method.losses(fixed, torch.Generator().manual_seed(0))
        optimiser.zero_grad()
        (terms["cpr"] + terms["l1"]).backward()
        optimiser.step()
    after = measure()
    assert after[0] < before[0]
    assert after[1] > before[1]


def test_compare_matches_a_hand_computation() -> None:
    output, clean, wrong = (torch.full((1, 3, 4, 4), v) for v in (0.5, 0.6, 0.2))
    expected = {"ratio": 0.1 / 0.3, "difference": 0.1 - 0.1 * 0.3, "margin": 0.25 + 0.1 - 0.3}
    for form, value in expected.items():
        contrast = PromptContrast(options(cpr_form=form, cpr_margin=0.25, cpr_push=0.1))
        assert float(contrast.compare(output, clean, [wrong])) == pytest.approx(value, rel=1e-4)
    far = PromptContrast(options(cpr_form="margin", cpr_margin=0.05))
    assert float(far.compare(output, clean, [wrong])) == 0


@pytest.mark.parametrize("autocast", [False, True], ids=["fp32", "bf16"])
def test_negatives_teach_what_the_option_names(autocast: bool) -> None:
    def gradients(reach: str) -> dict[str, torch.Tensor]:
        method = build_tiny("cpl", cpr_gradient=reach, cpr_margin="1", balance_weight="0").train()
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            loss = torch.stack(
                list(method.losses(batch(), torch.Generator().manual_seed(0)).values())
            )
        loss.sum().backward()
        assert all(p.requires_grad for p in method.parameters())
        return {n: p.grad for n, p in method.named_parameters() if p.grad is not None}

    full, prompts, detached = (gradients(reach) for reach in ("full", "prompts", "detached"))
    assert full.keys() == prompts.keys() == detached.keys()
    for name, gradient in prompts.items():
        # The prompts learn from the negatives as under `full`, all else as under `detached`.
        like, unlike = (full, detached) if "prompt_param" in name else (detached, full)
        # In bf16 a negative computed without a graph differs by its rounding.
        tolerated = 0.05 if autocast else 1e-4
        assert (gradient - like[name]).norm() <= tolerated * like[name].norm() + 1e-7, name
        if "linear_layer" not in name:  # no negative teaches the router
            assert not torch.equal(gradient, unlike[name]), name


def test_warm_up_grows_linearly() -> None:
    method = build_tiny("cpl", cpr_warmup_steps="10").train()
    values = [
        float(method.losses(batch(step=s), torch.Generator().manual_seed(0))["cpr"].detach())
        for s in (0, 4, 9, 99)
    ]
    assert values[1] == pytest.approx(5 * values[0], rel=1e-4)
    assert values[2] == pytest.approx(values[3], rel=1e-6)


REFUSED = [
    ({"top_k": 6}, "top_k=6"),
    ({"cpr_weight": 0.1, "cpr_negatives": "unselected"}, "keeps all 5"),
    ({"cpr_weight": 0.1, "cpr_negatives": "unselected", "top_k": 3, "cpr_count": 3}, "cpr_count=3"),
    ({"cpr_weight": 0.1, "cpr_negatives": "mixture", "top_k": 1, "cpr_count": 2}, "cpr_count=1"),
    ({"cpr_weight": 0.1, "chooser": "true-task", "cpr_negatives": "mixture"}, "chooser=true-task"),
    ({"chooser": "classifier", "prompts": 4}, "prompts=4 for 5 tasks"),
    ({"balance_weight": 0.1, "chooser": "true-task"}, "balance_weight"),
    ({"prompts": 1}, "prompts=1"),
    ({"dim": 5}, "dim=5"),
    ({"cpr_weight": -1.0}, "must not be negative"),
]


@pytest.mark.parametrize(("values", "named"), REFUSED, ids=lambda v: str(v)[:50])
def test_contradictions_are_refused_by_name(values: dict[str, object], named: str) -> None:
    with pytest.raises(OptionError, match=named):
        check_promptir(PromptIROptions(**values), CheckContext(TASKS, 5))  # type: ignore[arg-type]


def test_other_task_needs_a_batch() -> None:
    with pytest.raises(OptionError, match="micro-batch of 1"):
        check_promptir(PromptIROptions(cpr_weight=0.1), CheckContext(TASKS, 1))


def test_missing_vgg_weights_say_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HARNESS_VGG16_WEIGHTS", str(tmp_path / "none.pth"))
    with pytest.raises(OptionError, match=r"none.pth is not there.*cpr_features=pixels"):
        build_tiny("cpl", cpr_features="vgg16")


def test_damaged_vgg_weights_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "bad.pth"
    path.write_bytes(b"nothing")
    monkeypatch.setenv("HARNESS_VGG16_WEIGHTS", str(path))
    with pytest.raises(OptionError, match=r"bad.pth cannot be read"):
        Vgg16()


def test_vgg_features_equal_torchvision(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import torchvision

    torch.manual_seed(0)
    network = torchvision.models.vgg16(weights=None).features.eval()
    path = tmp_path / "vgg.pth"
    torch.save({f"features.{k}": v for k, v in network.state_dict().items()}, path)
    monkeypatch.setenv("HARNESS_VGG16_WEIGHTS", str(path))
    ours, image = Vgg16(), torch.rand(1, 3, 32, 32)
    assert not ours.state_dict(), "frozen features must stay out of checkpoints"
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    deviation = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    with torch.no_grad():
        found, x = ours(image), (image - mean) / deviation
        for index, layer in enumerate(network):
            x = layer(x)
            if index in (3, 8, 15):
                torch.testing.assert_close(found[(3, 8, 15).index(index)], x)


def test_real_vgg_weights_load(monkeypatch: pytest.MonkeyPatch) -> None:
    if not VGG16_FILE.exists():
        pytest.skip("the reference weights are not on this machine")
    monkeypatch.setenv("HARNESS_VGG16_WEIGHTS", str(VGG16_FILE))
    method = build_tiny("cpl", cpr_features="vgg16", cpr_margin="5").train()
    terms = method.losses(batch(), torch.Generator().manual_seed(0))
    assert float(terms["cpr"].detach()) > 0
