"""Routers that levels share, trained by outcomes or by a teacher that sees degraded minus clean."""

from __future__ import annotations

from itertools import combinations

import pytest
import torch
import torch.nn.functional as F

from harness.method import Batch, CheckContext, OptionError, Routing
from harness.training.gathered_state import settle
from methods.prompting.outcome import candidate_probabilities
from methods.prompting.routers import RunningNorm, SharedRouter
from methods.prompting.teacher import TeacherRouter
from methods.promptir.spec import PromptIROptions, check_promptir
from tests.networks import PER_LEVEL, TASKS, batch, build_tiny


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_running_norm_standardises_by_training_statistics() -> None:
    torch.manual_seed(0)
    norm, seen = RunningNorm(3), torch.randn(40, 10, 3) * 4 + torch.tensor([5.0, -2.0, 0.0])
    for x in seen:
        norm(x)
        settle(norm)
    flat = seen.flatten(0, 1)
    torch.testing.assert_close(norm.mean, flat.mean(0), atol=0.3, rtol=0)
    # Early batches are compared with a mean that is still on its way.
    torch.testing.assert_close(norm.variance.sqrt(), flat.std(0), atol=0.6, rtol=0)
    state = {name: value.clone() for name, value in norm.state_dict().items()}
    one = norm.eval()(flat[:1])
    torch.testing.assert_close(one, (flat[:1] - norm.mean) / (norm.variance + 1e-4).sqrt())
    assert all(torch.equal(value, norm.state_dict()[name]) for name, value in state.items())


def test_a_shared_router_chooses_one_prompt_for_every_level() -> None:
    method = build_tiny("spm-guided", teacher_weight="0", teacher_choice="false").eval()
    image = torch.rand(3, 3, 24, 40)
    with torch.no_grad():
        routing = method.decode(method.encode(image)).routing
    assert tuple(routing) == method.levels
    first, *others = routing.values()
    assert all(torch.equal(first.weights, other.weights) for other in others)
    torch.testing.assert_close(first.weights.sum(-1), torch.ones(3))
    assert not any("linear_layer" in name for name, _ in method.named_parameters())


def test_a_shared_router_does_not_train_the_encoder() -> None:
    method = build_tiny("spm-guided", teacher_weight="0", teacher_choice="false").train()
    routed = method.prompting.router(method.encode(batch().degraded).maps()[0])
    routed.load_balancing.backward()
    trained = {name for name, p in method.named_parameters() if p.grad is not None}
    assert trained == {
        f"prompting.router.{n}" for n, _ in method.prompting.router.named_parameters()
    }


def three_degradations() -> Batch:
    """Return fine noise, a veil, and streaks on flat images: ten samples of each degradation."""
    generator = torch.Generator().manual_seed(3)
    clean = torch.rand(30, 3, 1, 1, generator=generator).expand(30, 3, 32, 32).contiguous()
    noise = 0.1 * torch.randn(10, 3, 32, 32, generator=generator)
    veil = torch.full((10, 3, 32, 32), 0.3)
    streaks = torch.zeros(10, 3, 32, 32)
    streaks[..., ::8] = 0.5
    return Batch(clean + torch.cat([noise, veil, streaks]), clean, ("any",) * 30, 0, 100)


def groups_of(data: Batch, seed: int, lr: float, inputs: str) -> list[set[int]]:
    """Return the prompts that each degradation gets of a teacher router after 300 steps."""
    torch.manual_seed(seed)
    options = PromptIROptions(
        top_k=1,
        router_temperature=0.2,
        load_balancing="information",
        load_balancing_weight=1,
        renormalise=True,
        teacher_inputs=inputs,
    )
    router = TeacherRouter(options)
    optimiser = torch.optim.Adam(router.parameters(), lr=lr)
    for _ in range(300):
        term = router(data.degraded, data.clean).load_balancing
        optimiser.zero_grad()
        term.backward()
        settle(router)
        optimiser.step()
    chosen = router.eval()(data.degraded, data.clean).weights.argmax(-1)
    return [set(group) for group in chosen.reshape(3, 10).tolist()]


def test_a_teacher_router_groups_degradations_without_task_labels() -> None:
    groups = groups_of(three_degradations(), 0, 0.01, "raw")
    assert [len(group) for group in groups] == [1, 1, 1]
    assert len(set.union(*groups)) == 3


@pytest.mark.parametrize("seed", [8, 10])
def test_centred_inputs_keep_a_teacher_router_from_joining_two_kinds(seed: int) -> None:
    # From these starts raw inputs end with one prompt for two degradations.
    groups = groups_of(three_degradations(), seed, 1e-3, "centred")
    assert not any(first & second for first, second in combinations(groups, 2))


def test_the_router_used_at_test_learns_to_follow_the_teacher() -> None:
    method = build_tiny("spm-guided", teacher_weight="1").train()
    fixed = batch(side=16)
    optimiser = torch.optim.Adam(method.prompting.router.parameters(), lr=0.01)
    values = []
    for _ in range(30):
        terms = method.losses(fixed, rng())
        optimiser.zero_grad()
        terms["teacher"].backward()
        optimiser.step()
        values.append(float(terms["teacher"].detach()))
    assert values[-1] < 0.8 * values[0]
    trained = [p.grad for p in method.prompting.teacher.parameters()]
    assert all(gradient is None for gradient in trained), (
        "the teacher is not trained by its students"
    )


def test_the_teacher_chooses_in_training_and_never_at_test() -> None:
    method = build_tiny("spm-guided").train()
    fixed = batch(side=16)
    forced: list[torch.Tensor] = []
    decode = method.decode

    def spy(features: object, override: dict[str, torch.Tensor] | None = None) -> object:
        forced.append(next(iter((override or {"": torch.empty(0)}).values())))
        return decode(features, override)

    method.decode = spy
    method.losses(fixed, rng())
    chosen = method.prompting.teacher(fixed.degraded, fixed.clean).weights
    assert torch.equal(forced[0], chosen)
    method.eval()
    method.prompting.teacher = None
    with torch.no_grad():
        assert method.restore(fixed.degraded).shape == fixed.degraded.shape
    assert forced[1].numel() == 0


def test_candidate_probabilities_are_a_softmax_over_chosen_prompts_and_negatives() -> None:
    probabilities = torch.tensor([[0.5, 0.3, 0.2]])
    routed = Routing(F.one_hot(torch.tensor([0]), 3).float(), probabilities)
    override = {"level1": torch.eye(3)[[1, 2]], "level2": torch.eye(3)[[1, 2]]}
    shared = candidate_probabilities({"level1": routed, "level2": routed}, override, 2)
    torch.testing.assert_close(shared[:, 0], probabilities[0], atol=1e-6, rtol=0)
    other = Routing(routed.weights, probabilities.clone())
    twice = candidate_probabilities({"level1": routed, "level2": other}, override, 2)[:, 0]
    squared = probabilities[0].square()
    torch.testing.assert_close(twice, squared / squared.sum(), atol=1e-6, rtol=0)


def test_an_outcome_moves_the_router_to_the_prompt_that_restores_better() -> None:
    """Of two candidates the one that restores worse loses probability, whichever was chosen."""
    method = build_tiny(
        "cpl-guided",
        **{**PER_LEVEL, "shared_router": "true", "outcome_weight": "1", "cpr_weight": "0"},
    ).train()
    router, fixed = method.prompting.router, batch(side=16)
    assert isinstance(router, SharedRouter)
    decode = method.decode

    def rigged(features: object, override: dict[str, torch.Tensor] | None = None) -> object:
        """Make prompt 0 restore perfectly and every other badly."""
        done = decode(features, override)
        weights = next(iter(override.values())) if override else done.routing["level1"].weights
        good = weights[:, 0].detach()[:, None, None, None]
        clean = fixed.clean.repeat(len(weights) // len(fixed.clean), 1, 1, 1)
        restored = clean + (1 - good) * 0.3 + 0 * done.restored
        return type(done)(restored, done.routing, done.auxiliary)

    def mean_of_first() -> float:
        with torch.no_grad():
            return float(router(method.encode(fixed.degraded).maps()[0]).probabilities[:, 0].mean())

    method.decode = rigged
    optimiser = torch.optim.Adam(router.parameters(), lr=0.03)
    before = mean_of_first()
    for step in range(40):
        term = method.losses(fixed, torch.Generator().manual_seed(step))["outcome"]
        optimiser.zero_grad()
        term.backward()
        optimiser.step()
    assert mean_of_first() > before + 0.1


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"router_hidden": 8}, "set shared_router=true"),
        ({"teacher_choice": True, "shared_router": True}, "teacher_weight above 0"),
        ({"teacher_weight": 0.1}, "load_balancing_weight above 0"),
        (
            {
                "shared_router": True,
                "teacher_weight": 0.1,
                "load_balancing": "information",
                "load_balancing_weight": 0.1,
                "teacher_choice": True,
                "top_k": 1,
                "outcome_weight": 0.5,
                "cpr_negatives": "in-use",
            },
            "outcome_weight uses the probabilities",
        ),
    ],
    ids=lambda v: str(v)[:40],
)
def test_contradictions_are_refused_by_name(values: dict[str, object], named: str) -> None:
    options = PromptIROptions(dim=8, **values)  # type: ignore[arg-type]
    with pytest.raises(OptionError) as error:
        check_promptir(options, CheckContext(TASKS, 5))
    assert named in str(error.value)
