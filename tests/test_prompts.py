"""Sparse routing, load balancing, and contrastive prompt regularisation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.config.errors import UsageError
from harness.method import CheckContext, OptionError, Routing
from harness.training.gathered_state import settle
from methods.prompting.contrastive import PromptContrast
from methods.prompting.expert_load import ExpertLoad
from methods.prompting.load_balancing import load_balancing_loss, selection_probability
from methods.prompting.negative_memory import BUDGET, NegativeMemory
from methods.prompting.negatives import Negatives, draw_negatives
from methods.prompting.pooling import pooling
from methods.prompting.prompt_module import PromptModule, exploring
from methods.prompting.routing import Exploration, temperature
from methods.promptir.spec import PromptIROptions, check_promptir
from methods.vgg16 import Vgg16, Vgg16Use
from tests.networks import PER_LEVEL, TASKS, batch, build_tiny
from tests.plans import plan_of

VGG16_USE = Vgg16Use("cpr_features=vgg16", "cpr_features=pixels")
VGG16_FILE = Path(__file__).parents[2] / "shared/weights/vgg16_features_to_relu3_3.safetensors"


def options(**values: object) -> PromptIROptions:
    return PromptIROptions(**{"dim": 8, "prompt_patch_px": 32, **values})  # type: ignore[arg-type]


@given(k=st.integers(1, 5), renormalise=st.booleans(), seed=st.integers(0, 50))
def test_top_k_selects_the_largest(k: int, renormalise: bool, seed: int) -> None:
    torch.manual_seed(seed)
    module = PromptModule(16, 8, 4, options(top_k=k, renormalise=renormalise))
    routing = module.route(torch.randn(3, 16, 4, 4))
    assert routing.probabilities is not None
    selected = routing.weights > 0
    assert (selected.sum(-1) == k).all()
    lowest_selected = routing.probabilities.masked_fill(~selected, 2).min(-1).values
    highest_unselected = routing.probabilities.masked_fill(selected, -1).max(-1).values
    assert (lowest_selected >= highest_unselected).all()
    if renormalise:
        torch.testing.assert_close(routing.weights.sum(-1), torch.ones(3))
    else:
        assert torch.equal(routing.weights[selected], routing.probabilities[selected])


def test_channel_normal_prompts_differ_in_their_channel_means() -> None:
    torch.manual_seed(0)
    spread = {}
    for kind in ("uniform", "channel-normal"):
        module = PromptModule(16, 8, 16, options(prompt_init=kind))
        channel_means = module.prompt_param[0].mean((-2, -1))
        spread[kind] = channel_means.std(0).mean()
    assert spread["channel-normal"] > 10 * spread["uniform"]


def test_share_loss_is_one_when_even_and_prompts_when_collapsed() -> None:
    assert float(load_balancing_loss("share", torch.eye(5), None)) == pytest.approx(1)
    assert float(load_balancing_loss("share", torch.eye(5)[[2] * 7], None)) == pytest.approx(5)


def routing(k: int, seed: int = 0, samples: int = 5) -> dict[str, Routing]:
    torch.manual_seed(seed)
    found = {}
    for level in ("level3", "level2"):
        p = torch.randn(samples, 5).softmax(-1)
        keep = torch.zeros_like(p).scatter(-1, p.topk(k).indices, 1.0)
        found[level] = Routing(weights=p * keep, probabilities=p)
    return found


def negatives_of(
    chosen: dict[str, Routing],
    tasks: tuple[str, ...] = TASKS,
    expert_load: ExpertLoad | None = None,
    seed: int = 0,
    **values: object,
) -> Negatives:
    rng = torch.Generator().manual_seed(seed)
    found = draw_negatives(chosen, tasks, options(**values), expert_load, rng)
    assert found is not None
    return found


@given(k=st.integers(1, 4), seed=st.integers(0, 30))
def test_unselected_negatives_are_distinct_and_were_not_chosen(k: int, seed: int) -> None:
    chosen, count = routing(k, seed), 5 - k
    found = negatives_of(chosen, cpr_negatives="unselected", cpr_count=count, top_k=k, seed=seed)
    assert found.weights.shape == (count, 5)
    assert (found.weights == 1).all()
    for level, routed in chosen.items():
        together = torch.stack(found.override[level].chunk(count))
        assert not ((together > 0) & (routed.weights > 0)).any()
        assert ((together > 0).sum(0) <= 1).all(), "one prompt was a negative twice"
        torch.testing.assert_close(
            together.sum(-1), routed.weights.sum(-1).expand(count, -1), rtol=1e-5, atol=1e-6
        )


def test_mixture_weighs_what_was_not_chosen_by_probability() -> None:
    chosen = routing(2)
    found = negatives_of(chosen, cpr_negatives="mixture", top_k=2)
    for level, routed in chosen.items():
        assert routed.probabilities is not None
        left = routed.probabilities * (routed.weights == 0)
        expected = left / left.sum(-1, keepdim=True) * routed.weights.sum(-1, keepdim=True)
        torch.testing.assert_close(found.override[level], expected, rtol=1e-4, atol=1e-5)


def test_other_task_takes_routing_of_a_sample_of_another_task() -> None:
    tasks, chosen = ("a", "a", "b", "b", "b"), routing(1)
    found = negatives_of(chosen, tasks, cpr_negatives="other-task")
    for level, routed in chosen.items():
        for sample, given_weights in enumerate(found.override[level]):
            donors = [j for j in range(5) if torch.equal(given_weights, routed.weights[j])]
            assert any(tasks[j] != tasks[sample] for j in donors)
    assert draw_negatives(chosen, ("a",) * 5, options(), None, torch.Generator()) is None


def one_hot_routing(prompts: list[int]) -> dict[str, Routing]:
    weights = torch.nn.functional.one_hot(torch.tensor(prompts), 5).float()
    return {"level3": Routing(weights, weights)}


def test_in_use_draws_the_prompts_of_other_tasks_alone() -> None:
    expert_load = ExpertLoad(("level3",), TASKS, options())
    expert_load.observe(one_hot_routing([0, 0, 1, 1, 1]), TASKS)
    settle(expert_load)
    chosen = one_hot_routing([0, 2, 1, 1, 1])
    for seed in range(20):
        found = negatives_of(
            chosen, expert_load=expert_load, seed=seed, cpr_negatives="in-use", cpr_count=2
        )
        used = found.override["level3"].argmax(-1).reshape(2, 5)
        # Sample 0 has prompt 0, and of the others only prompt 1 is in use.
        assert set(used[:, 0].tolist()) == {1}
        assert set(used[:, 1].tolist()) <= {0, 1}
        assert set(used[:, 2:].flatten().tolist()) == {0}
    # Three quarters of the other tasks use prompt 1; no other task uses the prompt of sample 1.
    torch.testing.assert_close(found.weights[0], torch.tensor([0.75, 1.0, 0.5, 0.5, 0.5]))


def test_in_use_has_weight_zero_once_all_tasks_use_one_prompt() -> None:
    expert_load = ExpertLoad(("level3",), TASKS, options())
    expert_load.observe(one_hot_routing([3] * 5), TASKS)
    settle(expert_load)
    found = negatives_of(one_hot_routing([3] * 5), expert_load=expert_load, cpr_negatives="in-use")
    assert float(found.weights.sum()) == 0


def test_running_mean_is_per_task_and_a_negative_is_that_of_another() -> None:
    expert_load = ExpertLoad(("level3",), ("a", "b"), options(cpr_usage_decay=0.5))
    expert_load.observe(one_hot_routing([0, 1, 4]), ("a", "a", "b"))
    settle(expert_load)
    torch.testing.assert_close(expert_load.level3[0], torch.tensor([0.5, 0.5, 0, 0, 0]))
    expert_load.observe(one_hot_routing([2]), ("a",))
    settle(expert_load)
    torch.testing.assert_close(expert_load.level3[0], torch.tensor([0.25, 0.25, 0.5, 0, 0]))
    torch.testing.assert_close(expert_load.level3[1], torch.tensor([0, 0, 0, 0, 1.0]))
    chosen = one_hot_routing([0, 4])
    found = negatives_of(chosen, ("a", "b"), expert_load, cpr_negatives="running-mean")
    torch.testing.assert_close(found.override["level3"], expert_load.level3[[1, 0]])


def test_running_mean_waits_until_another_task_was_seen() -> None:
    expert_load = ExpertLoad(("level3",), ("a", "b"), options())
    expert_load.observe(one_hot_routing([0]), ("a",))
    settle(expert_load)
    asked = options(cpr_negatives="running-mean")
    assert (
        draw_negatives(one_hot_routing([0]), ("a",), asked, expert_load, torch.Generator()) is None
    )


@pytest.mark.parametrize(
    ("form", "negatives"),
    [
        ("ratio", "unselected"),
        ("difference", "unselected"),
        ("margin-db", "unselected"),
        ("infonce", "unselected"),
        ("margin", "unselected"),
        ("margin", "mixture"),
        ("margin", "other-task"),
        ("margin", "in-use"),
    ],
)
def test_each_form_lowers_its_loss_and_makes_negatives_worse(form: str, negatives: str) -> None:
    """On a fixed batch CPR falls, and the gap between negatives and the choice grows."""
    method = build_tiny(
        "cpl",
        **{**PER_LEVEL, "cpr_form": form, "cpr_negatives": negatives},
        cpr_margin="0.2",
        cpr_margin_db="20",
    ).train()
    fixed = batch(side=16)
    # Task i has prompt i throughout, so that the loss is tested without a router that changes.
    own = Routing(weights=torch.eye(5), probabilities=(3 * torch.eye(5)).softmax(-1))
    for module in (method.prompt1, method.prompt2, method.prompt3):
        module.route = lambda x: own

    def measure() -> tuple[float, float]:
        with torch.no_grad():
            features = method.encode(fixed.degraded)
            chosen = method.decode(features)
            prompting = method.prompting
            if prompting.expert_load is not None:
                prompting.expert_load.observe(chosen.routing, TASKS)
                settle(prompting.expert_load)
            rng = torch.Generator().manual_seed(0)
            found = draw_negatives(
                chosen.routing, TASKS, prompting.options, prompting.expert_load, rng
            )
            assert found is not None
            negative = method.decode(features, found.override).restored
            value = prompting.contrast.compare(
                chosen.restored, fixed.clean, [negative], found.weights
            )
        error = (negative - fixed.clean).abs().mean()
        return float(value), float(error - (chosen.restored - fixed.clean).abs().mean())

    trained = [p for n, p in method.named_parameters() if "linear_layer" not in n]
    optimiser = torch.optim.Adam(trained, lr=2e-3)
    before = measure()
    for _ in range(25):
        terms = method.losses(fixed, torch.Generator().manual_seed(0))
        optimiser.zero_grad()
        (terms["cpr"] + terms["l1"]).backward()
        optimiser.step()
    after = measure()
    assert after[0] < before[0]
    assert after[1] > before[1]


def test_compare_matches_a_hand_computation() -> None:
    output, clean, negative = (torch.full((1, 3, 4, 4), v) for v in (0.5, 0.6, 0.2))
    expected = {
        "ratio": 0.1 / 0.3,
        "difference": 0.1 - 0.1 * 0.3,
        "margin": 0.25 + 0.1 - 0.3,
        # The negative is four times as far from the ground truth: 12.04 dB.
        "margin-db": 20 - 12.0412,
        "infonce": 0.6931472,
    }
    for form, value in expected.items():
        tau = 0.2 / 1e9 if form != "infonce" else 1e9
        contrast = PromptContrast(
            options(cpr_form=form, cpr_margin=0.25, cpr_push=0.1, cpr_margin_db=20, cpr_tau=tau)
        )
        assert float(contrast.compare(output, clean, [negative])) == pytest.approx(value, rel=1e-4)
    far = PromptContrast(options(cpr_form="margin", cpr_margin=0.05))
    assert float(far.compare(output, clean, [negative])) == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
@pytest.mark.parametrize(("tau", "weight"), [(0.2, 1.0), (0.2, 0.25), (1e-3, 1.0), (1e-30, 0.5)])
def test_infonce_of_any_distance_is_finite_and_weighs_negatives(
    tau: float, weight: float, dtype: torch.dtype
) -> None:
    """A negative of weight 0 counts as nothing, however much better than the output it is."""
    output = torch.full((2, 3, 4, 4), 0.5, dtype=dtype, requires_grad=True)
    clean, near, far = (torch.full((2, 3, 4, 4), v, dtype=dtype) for v in (1.0, 0.25, 0.5))
    weights = torch.tensor([[weight] * 2, [0.0] * 2])
    loss = PromptContrast(options(cpr_form="infonce", cpr_tau=tau)).compare(
        output, clean, [near, far], weights
    )
    loss.backward()
    # d+ is 0.5, and d- of the negative that counts 0.25.
    expected = np.logaddexp(0, 0.25 / tau + np.log(weight))
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)
    assert output.grad is not None
    assert bool(output.grad.isfinite().all())
    assert bool(output.grad.any())


def test_infonce_without_a_negative_that_counts_is_zero() -> None:
    output = torch.full((2, 3, 4, 4), 0.5, requires_grad=True)
    contrast = PromptContrast(options(cpr_form="infonce", cpr_tau=1e-3))
    loss = contrast.compare(output, torch.ones(2, 3, 4, 4), [output.detach()], torch.zeros(1, 2))
    loss.backward()
    assert float(loss.detach()) == 0
    assert output.grad is not None
    assert not output.grad.any()


@pytest.mark.parametrize("autocast", [False, True], ids=["fp32", "bf16"])
def test_negatives_train_what_the_option_names(autocast: bool) -> None:
    def gradients(reach: str) -> dict[str, torch.Tensor]:
        method = build_tiny("cpl", **{**PER_LEVEL, "cpr_gradient": reach}, cpr_margin="1").train()
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
        if "linear_layer" not in name:  # no negative trains the router
            assert not torch.equal(gradient, unlike[name]), name


def gradients_of_three_negatives(
    side: int, budget_bytes: int, **options: str
) -> tuple[dict[str, torch.Tensor], NegativeMemory]:
    """Return gradients and the loss of a step in float64, and what measured its memory."""
    method = build_tiny("cpl", **{**PER_LEVEL, "cpr_count": "3", "cpr_margin": "1", **options})
    memory = method.double().train().prompting.negative_memory
    memory.budget_bytes = budget_bytes
    single = batch(side)
    fixed = replace(single, degraded=single.degraded.double(), clean=single.clean.double())
    terms = method.losses(fixed, torch.Generator().manual_seed(0))
    torch.stack(list(terms.values())).sum().backward()
    assert all(p.requires_grad for p in method.parameters())
    found = {n: p.grad for n, p in method.named_parameters() if p.grad is not None}
    return {**found, "cpr": terms["cpr"].detach()}, memory


@pytest.mark.parametrize(
    ("reach", "form", "threads", "side", "at_once"),
    [
        ("full", "ratio", 1, 16, 1),
        ("full", "infonce", 1, 16, 2),
        ("full", "margin-db", 1, 25, 1),
        ("prompts", "difference", 1, 16, 1),
        ("prompts", "infonce", 1, 25, 2),
        ("prompts", "margin", 2, 16, 1),
    ],
)
def test_negatives_in_chunks_train_as_all_at_once(
    reach: str, form: str, threads: int, side: int, at_once: int
) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        chosen = {"cpr_gradient": reach, "cpr_form": form}
        whole, memory = gradients_of_three_negatives(side, 2**40, **chosen)
        degraded = batch(side).degraded
        assert memory.at_once(degraded, 3) == 3
        budget_bytes = at_once * memory.kept_bytes[(*degraded.shape, False)]
        chunked, memory = gradients_of_three_negatives(side, budget_bytes, **chosen)
        assert memory.at_once(degraded, 3) == at_once
    finally:
        torch.set_num_threads(before)
    assert whole.keys() == chunked.keys()
    for name, expected in whole.items():
        scale = float(expected.abs().max())
        assert float((chunked[name] - expected).abs().max()) <= 1e-9 * scale, name


def test_chunks_keep_the_maps_of_the_last_alone() -> None:
    """What autograd keeps of four negatives is what one of them needs."""
    kept = {}
    for budget_bytes in (2**40, 1):
        method = build_tiny("cpl", **{**PER_LEVEL, "cpr_count": "4"}, cpr_margin="1").train()
        method.prompting.negative_memory.budget_bytes = budget_bytes
        whole = NegativeMemory()
        with whole.measured(batch().degraded):
            terms = method.losses(batch(), torch.Generator().manual_seed(0))
        (kept[budget_bytes],) = whole.kept_bytes.values()
        (of_one,) = method.prompting.negative_memory.kept_bytes.values()
        terms["cpr"].backward()
    assert kept[2**40] - kept[1] == pytest.approx(3 * of_one, rel=0.1)


@pytest.mark.parametrize("text", ["many", "0", "-1", "nan", "inf"])
def test_a_budget_that_is_no_size_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BUDGET, text)
    with pytest.raises(OptionError, match=f"{BUDGET}={text} is no number of GiB above 0"):
        build_tiny("cpl")


def test_the_hardest_negative_is_the_one_that_restores_best() -> None:
    output, clean = torch.full((2, 3, 4, 4), 0.5), torch.full((2, 3, 4, 4), 0.6)
    good, bad = torch.full((2, 3, 4, 4), 0.55), torch.full((2, 3, 4, 4), 0.1)
    mixed = [torch.cat([good[:1], bad[:1]]), torch.cat([bad[:1], good[:1]])]
    contrast = PromptContrast(options(cpr_form="margin", cpr_margin=1, cpr_hardest=True))
    hardest = float(contrast.compare(output, clean, mixed))
    assert hardest == pytest.approx(1 + 0.1 - 0.05, rel=1e-4)
    weights = torch.tensor([[0.0, 1.0], [1.0, 1.0]])
    assert float(contrast.compare(output, clean, mixed, weights)) == pytest.approx(hardest / 2)


def test_the_encoder_as_feature_space_is_not_trained_by_it() -> None:
    method = build_tiny("cpl", cpr_features="encoder").train()
    fixed = batch()
    negative = method.restore(fixed.degraded).detach()
    value = method.prompting.contrast.compare(
        fixed.degraded.requires_grad_(), fixed.clean, [negative], None, method
    )
    value.backward()
    assert fixed.degraded.grad is not None
    assert float(fixed.degraded.grad.abs().sum()) > 0
    assert all(p.grad is None and p.requires_grad for p in method.parameters())


@pytest.mark.parametrize("gradient", ["selected", "straight-through"])
def test_only_straight_through_trains_a_router_with_one_prompt_of_weight_one(
    gradient: str,
) -> None:
    torch.manual_seed(0)
    chosen = {"top_k": 1, "renormalise": True, "routing_gradient": gradient}
    module = PromptModule(16, 8, 4, options(prompt_init="channel-normal", **chosen))
    prompt, routing = module(torch.randn(3, 16, 8, 8), None)
    torch.testing.assert_close(routing.weights.sum(-1), torch.ones(3))
    assert (routing.weights.detach() > 1e-6).sum() == 3, "values are one-hot either way"
    (prompt**2).sum().backward()
    trained = float(module.linear_layer.weight.grad.norm())
    assert (trained > 1e-3) == (gradient == "straight-through")


def test_poolings_of_known_features() -> None:
    checkered = (torch.arange(16)[:, None] + torch.arange(16)) % 2
    x = torch.stack([torch.full((16, 16), 2.0), checkered.float()])[None]
    assert pooling(x, "mean").tolist() == [[2.0, 0.5]]
    torch.testing.assert_close(
        pooling(x, "mean-deviation")[0, 2:], torch.tensor([0.0, 0.5]), atol=1e-4, rtol=0
    )
    # All variation is finer than two pixels; an empty band counts as a thousandth.
    bands = pooling(x, "frequency")[0].reshape(3, 2).exp()
    torch.testing.assert_close(bands, torch.tensor([[0, 0.5], [0, 0], [0, 0]]) + 1e-3)
    assert pooling(x[..., :1, :1], "frequency").shape == (1, 6)


def test_information_loss_of_certain_and_uncertain_choices() -> None:
    even, one = torch.eye(4), torch.eye(4)[[2] * 4]
    assert float(load_balancing_loss("information", even, None)) == pytest.approx(-1, abs=1e-5)
    for nothing in (one, torch.full((4, 4), 0.25)):
        assert float(load_balancing_loss("information", nothing, None)) == pytest.approx(
            0, abs=1e-5
        )


def test_importance_and_load_are_zero_when_even() -> None:
    even = torch.eye(4)
    assert float(load_balancing_loss("importance-load", even, even)) == pytest.approx(0, abs=1e-6)
    one = torch.eye(4)[[2] * 4]
    assert float(load_balancing_loss("importance-load", one, one)) == pytest.approx(2 * 3, rel=1e-4)


def test_selection_probability_is_that_of_redrawn_noise() -> None:
    torch.manual_seed(0)
    logits = torch.tensor([[1.0, 0.5, -0.5, 0.0]])
    noisy = logits + 0.7 * torch.randn(1, 4)
    expected = []
    for prompt in range(4):
        redrawn = noisy.repeat(40000, 1)
        redrawn[:, prompt] = logits[0, prompt] + 0.7 * torch.randn(40000)
        expected.append(float((redrawn.topk(2).indices == prompt).any(-1).float().mean()))
    found = selection_probability(logits, noisy, 0.7, 2)[0]
    torch.testing.assert_close(found, torch.tensor(expected), atol=0.012, rtol=0)


def test_a_bias_moves_towards_prompts_that_are_selected_less_often() -> None:
    torch.manual_seed(0)
    module = PromptModule(
        8, 8, 4, options(top_k=1, load_balancing="bias", load_balancing_weight=0.1)
    ).train()
    x = torch.randn(6, 8, 4, 4) * 0.01
    first = set(module.route(x).weights.argmax(-1).tolist())
    assert len(first) == 1
    seen = set()
    for step in range(30):
        with exploring(module, Exploration(step, 100, torch.Generator())):
            seen |= set(module.route(x).weights.argmax(-1).tolist())
        settle(module)
    assert len(seen) == 5
    before = module.load_bias.clone()
    module.route(x)
    settle(module)
    assert torch.equal(before, module.load_bias), "the bias moves in training alone"


def test_noise_and_temperature_are_for_training_alone() -> None:
    torch.manual_seed(0)
    asked = options(
        router_noise=1.0,
        router_temperature=0.5,
        router_temperature_start=8.0,
        router_temperature_decay=0.5,
    )
    module, x = PromptModule(8, 8, 4, asked), torch.randn(4, 8, 4, 4)
    assert [temperature(asked, None), temperature(asked, None)] == [0.5, 0.5]
    plain = module.route(x).probabilities
    with exploring(module, Exploration(0, 200, torch.Generator().manual_seed(1))):
        assert temperature(asked, module.exploring) == 8
        noisy = module.route(x).probabilities
    with exploring(module, Exploration(50, 200, torch.Generator().manual_seed(1))):
        assert temperature(asked, module.exploring) == pytest.approx(2)
        assert not torch.equal(noisy, module.route(x).probabilities)
    assert torch.equal(plain, module.route(x).probabilities)
    expected = (2 * module.linear_layer(x.mean((-2, -1)))).softmax(-1)
    torch.testing.assert_close(plain, expected)


def test_prompts_are_inserted_at_the_levels_of_the_option() -> None:
    method = build_tiny("cpl-guided", prompt_levels="level3+level1", residual_prompt="true")
    routing = method.decode(method.encode(torch.rand(1, 3, 16, 16))).routing
    assert tuple(routing) == method.levels == ("level3", "level1")
    assert not hasattr(method, "prompt2")
    assert method.prompt1.residual is not None


def test_cpr_begins_at_its_share_of_the_training() -> None:
    method = build_tiny("cpl", **{**PER_LEVEL, "cpr_start": "0.05"}).train()
    names = [set(method.losses(batch(step=s), torch.Generator().manual_seed(0))) for s in (4, 5)]
    assert "cpr" not in names[0]
    assert "cpr" in names[1]


def test_schedules_follow_the_length_of_the_training() -> None:
    method = build_tiny("cpl", cpr_start="0.1").train()
    began = []
    for steps in (12, 60, 400, 600):
        for step in range(steps):
            if method.prompting._contrasts(batch(step=step, steps=steps)):
                began.append(step)
                break
    assert began == [1, 6, 40, 60]


def test_a_part_that_never_comes_into_force_is_refused_in_the_plan(tmp_path: Path) -> None:
    recipe = tmp_path / "short.yaml"
    recipe.write_text("base: smoke\nsummary: x\ntrain: {steps: 2, warmup_steps: 0}\n")
    with pytest.raises(UsageError, match=r"cpr_start=0.8 of 2 training steps is none"):
        plan_of(["cpl:cpr_start=0.8"], tmp_path, recipe=str(recipe))


def test_warm_up_grows_linearly() -> None:
    method = build_tiny("cpl", **PER_LEVEL, cpr_warmup="0.1").train()
    values = [
        float(method.losses(batch(step=s), torch.Generator().manual_seed(0))["cpr"].detach())
        for s in (0, 4, 9, 99)
    ]
    assert values[1] == pytest.approx(5 * values[0], rel=1e-4)
    assert values[2] == pytest.approx(values[3], rel=1e-6)


TAUGHT = {
    "shared_router": True,
    "teacher_weight": 0.1,
    "load_balancing": "information",
    "load_balancing_weight": 0.1,
}
CERTAIN = {"top_k": 1, "renormalise": True}
"""The weight of the selected prompt is 1, whatever the router says."""

REFUSED: list[tuple[dict[str, object], str]] = [
    ({"top_k": 6}, "top_k=6"),
    ({"cpr_weight": 0.1, "cpr_negatives": "unselected"}, "selects all 5"),
    ({"cpr_weight": 0.1, "cpr_negatives": "unselected", "top_k": 3, "cpr_count": 3}, "cpr_count=3"),
    ({"cpr_weight": 0.1, "cpr_negatives": "mixture", "top_k": 1, "cpr_count": 2}, "cpr_count=1"),
    ({"cpr_weight": 0.1, "chooser": "true-task", "cpr_negatives": "mixture"}, "chooser=true-task"),
    ({"chooser": "classifier", "prompts": 4}, "prompts=4 for 5 tasks"),
    ({"load_balancing_weight": 0.1, "chooser": "true-task"}, "load_balancing_weight"),
    ({"prompts": 1}, "prompts=1"),
    ({"dim": 5}, "dim=5"),
    ({"cpr_weight": -1.0}, "must not be negative"),
    ({"cpr_tau": 0.0}, "cpr_tau=0.0 must be above 0"),
    ({"cpr_usage_decay": 1.0}, "cpr_usage_decay=1.0"),
    (
        {"load_balancing_weight": 0.1, "load_balancing": "importance-load", "top_k": 1},
        "set router_noise",
    ),
    (
        {"load_balancing_weight": 0.1, "load_balancing": "importance-load", "router_noise": 1.0},
        "set top_k",
    ),
    ({"load_balancing_weight": 0.1, "load_balancing": "bias"}, "set top_k"),
    ({"cpr_weight": 0.1, "cpr_to_router": True, "cpr_negatives": "running-mean"}, "cpr_to_router"),
    ({"cpr_weight": 0.1, "cpr_negatives": "in-use"}, "selects all 5"),
    (
        {"cpr_weight": 0.1, "cpr_to_router": True, "cpr_gradient": "detached"},
        "cpr_to_router .* cpr_gradient=detached leaves them none; set cpr_gradient=full or prompts",
    ),
    (
        {"cpr_weight": 0.1, "cpr_to_router": True, "chooser": "true-task"},
        "cpr_to_router .* chooser=true-task has none; set cpr_to_router=false",
    ),
    (
        {"cpr_weight": 0.1, "cpr_to_router": True, "chooser": "classifier"},
        "cpr_to_router .* chooser=classifier has none; set cpr_to_router=false",
    ),
    (
        {"cpr_weight": 0.1, "cpr_to_router": True, "teacher_choice": True, **TAUGHT},
        "cpr_to_router .* teacher_choice=true .* set cpr_to_router=false",
    ),
    (
        {"cpr_weight": 0.1, "cpr_to_router": True, **CERTAIN, **TAUGHT},
        "cpr_to_router .* set routing_gradient=straight-through or cpr_to_router=false",
    ),
    (
        {"cpr_weight": 0.1, "cpr_hardest": True},
        "cpr_hardest=true .* cpr_count=1 .* set cpr_count=2 or more, or cpr_hardest=false",
    ),
    (CERTAIN, "renormalise=true .* set routing_gradient=straight-through or renormalise=false"),
    ({**CERTAIN, "shared_router": True}, "no loss trains the router"),
    ({**CERTAIN, "cpr_weight": 0.1}, "no loss trains the router"),
    ({**CERTAIN, "load_balancing": "bias", "load_balancing_weight": 0.1}, "no loss trains"),
    ({"cpr_start": 60.0}, r"cpr_start=60.0 is a share .* must lie in \[0, 1\]"),
    ({"cpr_weight": 0.1, "cpr_start": 1.0}, "leaves CPR no step"),
    ({"cpr_weight": 0.1, "cpr_start": 0.9}, "cpr_start=0.9 of 4 training steps is none"),
    ({"cpr_weight": 0.1, "cpr_start": 0.5, "cpr_warmup": 0.6}, "never gets its weight"),
    ({"router_temperature_start": 8.0}, "router_temperature_decay=0"),
    (
        {"router_temperature_start": 8.0, "router_temperature_decay": 0.1},
        "router_temperature_decay=0.1 of 4 training steps is none",
    ),
]


@pytest.mark.parametrize(("values", "named"), REFUSED, ids=lambda v: str(v)[:50])
def test_contradictions_are_refused_by_name(values: dict[str, object], named: str) -> None:
    with pytest.raises(OptionError, match=named):
        check_promptir(PromptIROptions(**values), CheckContext(TASKS, 5, 4))  # type: ignore[arg-type]


ROUTER_OF_LEVEL_1 = ("prompt1.linear_layer.weight", "level1.prompt.linear_layer.weight")


@pytest.mark.parametrize("name", ["cpr", "restormer+cpr", "nafnet+cpr", "moceir+cpr"])
@pytest.mark.parametrize("gradient", ["full", "prompts"])
@pytest.mark.parametrize(
    "routing", [{}, {"top_k": "2"}, {"top_k": "1"}], ids=["dense", "top-2", "top-1"]
)
def test_negatives_train_the_router_where_the_option_is_accepted(
    name: str, gradient: str, routing: dict[str, str]
) -> None:
    trained = {}
    for to_router in ("true", "false"):
        accepted = {"cpr_gradient": gradient, "cpr_to_router": to_router, "cpr_start": "0"}
        accepted |= {"cpr_form": "margin", "cpr_margin": "1"}
        method = build_tiny(name, **accepted, **routing).train()
        method.losses(batch(), torch.Generator().manual_seed(0))["cpr"].backward()
        (router,) = (p for n, p in method.named_parameters() if n.endswith(ROUTER_OF_LEVEL_1))
        trained[to_router] = None if router.grad is None else router.grad.clone()
    assert trained["true"] is not None
    assert trained["false"] is None or not torch.equal(trained["true"], trained["false"])


@pytest.mark.parametrize(
    "source",
    [
        {"routing_gradient": "straight-through"},
        {"outcome_weight": "1", "cpr_negatives": "unselected"},
        {"load_balancing_weight": "0.1"},
        {"load_balancing_weight": "0.1", "load_balancing": "information"},
        {"teacher_weight": "0.1", "load_balancing": "share", "load_balancing_weight": "0.1"},
        {"renormalise": "false"},
    ],
    ids=lambda source: next(iter(source)),
)
@pytest.mark.parametrize("name", ["promptir", "cpl-guided"])
def test_a_single_weight_of_one_is_accepted_where_something_trains_the_router(
    name: str, source: dict[str, str]
) -> None:
    # Not by CPR, which the loss has in cpl-guided.
    off = {"teacher_choice": "false", "teacher_weight": "0", "load_balancing_weight": "0"}
    certain = {**off, "top_k": "1", "renormalise": "true", "cpr_weight": "0"}
    method = build_tiny(name, **{**certain, **source}).train()
    terms = method.losses(batch(), torch.Generator().manual_seed(0))
    torch.stack(list(terms.values())).sum().backward()
    scoring = ("linear_layer.weight", "score.0.weight")
    routers = [p for n, p in method.named_parameters() if n.endswith(scoring)]
    largest = [0.0 if p.grad is None else float(p.grad.abs().max()) for p in routers]
    assert min(largest) > 1e-9


def test_other_task_needs_a_batch() -> None:
    with pytest.raises(OptionError, match="micro-batch of 1"):
        check_promptir(PromptIROptions(cpr_weight=0.1), CheckContext(TASKS, 1))


def test_an_error_on_missing_vgg_weights_states_how_to_get_them(
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
        Vgg16(VGG16_USE)


def test_vgg_features_equal_torchvision(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import torchvision

    torch.manual_seed(0)
    network = torchvision.models.vgg16(weights=None).features.eval()
    path = tmp_path / "vgg.pth"
    torch.save({f"features.{k}": v for k, v in network.state_dict().items()}, path)
    monkeypatch.setenv("HARNESS_VGG16_WEIGHTS", str(path))
    ours, image = Vgg16(VGG16_USE), torch.rand(1, 3, 32, 32)
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
    method = build_tiny("cpl", **PER_LEVEL, cpr_features="vgg16", cpr_margin="5").train()
    terms = method.losses(batch(), torch.Generator().manual_seed(0))
    assert float(terms["cpr"].detach()) > 0
