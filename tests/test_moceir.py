"""MoCE-IR: experts, the router and its noise, load balancing, and the insertion points."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from harness.method import AdaptsState, Batch, CheckContext, MethodSpec, OptionError, PromptHost
from methods import row_bands
from methods.cross_attention import CrossAttention
from methods.moceir.experts import Expert, ExpertLayer, WindowAttention
from methods.moceir.losses import squared_variation
from methods.moceir.routing import Router
from methods.moceir.spec import SPECS, MoCEIROptions, check_moceir
from methods.restormer_backbone import as_is
from methods.spectral_loss import spectral_error
from tests.networks import TASKS, batch, build_tiny


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def expert_layer(expert_top_k: int = 1, channels: int = 16) -> ExpertLayer:
    torch.manual_seed(0)
    return ExpertLayer(channels, 12, MoCEIROptions(dim=channels, expert_top_k=expert_top_k))


@given(side=st.sampled_from([4, 8]), height=st.integers(1, 13), width=st.integers(1, 13))
@settings(deadline=None, max_examples=15)
def test_a_window_convolves_queries_with_keys_around_its_edges(
    side: int, height: int, width: int
) -> None:
    q, k = torch.randn(2, 2, height, width, 3, generator=rng(height), dtype=torch.float64)
    rows, columns = -(-height // side) * side, -(-width // side) * side
    expected = torch.zeros(2, rows, columns, 3, dtype=torch.float64)
    padded = [F.pad(x, (0, 0, 0, columns - width, 0, rows - height)) for x in (q, k)]
    for top in range(0, rows, side):
        for left in range(0, columns, side):
            window = (slice(None), slice(top, top + side), slice(left, left + side))
            wq, wk = (x[window] for x in padded)
            for y in range(side):
                for x in range(side):
                    moved = wk.roll((y, x), dims=(1, 2))
                    expected[window] += wq[:, y : y + 1, x : x + 1] * moved
    found = WindowAttention(3, side).convolve(q, k)
    torch.testing.assert_close(found, expected[:, :height, :width], rtol=1e-4, atol=1e-4)


def test_an_expert_equals_its_published_form() -> None:
    torch.manual_seed(1)
    expert, x, shared = Expert(16, 4, 8), torch.randn(2, 9, 11, 16), torch.randn(2, 9, 11, 16)
    body = expert.body
    nchw = [t.permute(0, 3, 1, 2) for t in (x, shared)]
    inner = expert.proj[0](nchw[0])
    q = body.q_dwconv(body.q(inner))
    k, v = body.kv_dwconv(body.kv(inner)).chunk(2, dim=1)
    mixed = body.convolve(*(t.permute(0, 2, 3, 1) for t in (q, k)))
    mixed = body.proj_out(body.norm(mixed).permute(0, 3, 1, 2) * v)
    expected = expert.proj[2](mixed * F.silu(expert.proj[1](nchw[1]))) + nchw[0]
    torch.testing.assert_close(
        expert(x, shared), expected.permute(0, 2, 3, 1), rtol=1e-4, atol=1e-5
    )


def test_experts_widen_and_their_windows_grow() -> None:
    layer = expert_layer()
    assert [e[0].proj[0].out_channels for e in layer.experts] == [2, 4, 8, 16]
    assert [e[0].body.window_px for e in layer.experts] == [4, 8, 16, 32]
    sizes = [sum(p.numel() for p in e.parameters()) for e in layer.experts]
    expected = torch.tensor(sizes, dtype=torch.float32) / sizes[-1]
    torch.testing.assert_close(layer.routing.complexity, expected)


@pytest.mark.parametrize("expert_top_k", [1, 2, 4])
def test_each_sample_gets_its_own_experts_by_their_gates(expert_top_k: int) -> None:
    layer = expert_layer(expert_top_k)
    x, shared = torch.randn(2, 7, 6, 5, 16, generator=rng(4))
    embedding = torch.randn(7, 12, generator=rng(5)) * 3
    choice = layer.routing(x, embedding, None)
    assert len(set(choice.selected[:, 0].tolist())) > 1, "the test needs samples that differ"
    expected = torch.zeros_like(x)
    for sample, selected in enumerate(choice.selected.tolist()):
        assert len(set(selected)) == expert_top_k
        for index in selected:
            one = layer.experts[index][0](x[sample : sample + 1], shared[sample : sample + 1])
            expected[sample] += choice.gates[sample, index] * one[0]
    expected = layer.proj_out(expected.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    found, _ = layer(x, embedding, shared, None)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_batch_of_images_with_different_experts_equals_single_runs() -> None:
    network = build_tiny("moceir").eval()
    images = torch.rand(5, 3, 19, 26, generator=rng(2))
    noise = 100 * torch.randn(5, 3, 4, generator=rng(3))
    assert len(set(noise[:, 0].argmax(-1).tolist())) > 2, "the test needs images that differ"
    chosen = []
    for module in network.modules():
        if isinstance(module, Router):
            module.register_forward_hook(lambda _, __, out: chosen.append(out.selected))

    def run(samples: slice) -> Tensor:
        features = replace(network.encode(images[samples]), noise=noise[samples])
        return network.decode_with(features, as_is).restored

    with torch.no_grad():
        together = run(slice(None))
        assert torch.equal(torch.stack(chosen, 1).squeeze(-1), noise.argmax(-1))
        single = torch.cat([run(slice(i, i + 1)) for i in range(5)])
    torch.testing.assert_close(together, single, rtol=1e-4, atol=1e-5)


def test_unused_experts_have_the_gradient_zero() -> None:
    layer = expert_layer()
    x, shared = torch.randn(2, 1, 6, 6, 16, generator=rng(1))
    embedding = torch.randn(1, 12, generator=rng(2))
    used = int(layer.routing(x, embedding, None).selected)
    layer(x, embedding, shared, None)[0].square().sum().backward()
    for index, expert in enumerate(layer.experts):
        gradients = [p.grad for p in expert.parameters()]
        assert all(g is not None for g in gradients)
        if index == used:
            assert all(bool(g.any()) for g in gradients if g is not None)
        else:
            assert not any(bool(g.any()) for g in gradients if g is not None)
    assert bool(layer.routing.gate["2"].weight.grad.any()), "the gate learns by its weight"


def router(with_complexity: bool = False) -> Router:
    torch.manual_seed(0)
    return Router(4, 3, (1, 2, 4, 8), expert_top_k=1, with_complexity=with_complexity)


def choose(module: Router, scores: Tensor, noise: Tensor | None = None) -> Any:
    """Route with the given scores (N, 4): they are the mean feature, the gate the identity."""
    with torch.no_grad():
        module.gate["2"].weight.copy_(torch.eye(4))
        module.freq_gate.weight.zero_()
    return module(scores[:, None, None, :], torch.zeros(len(scores), 3), noise)


def test_load_balancing_is_zero_when_even_and_the_number_of_experts_when_collapsed() -> None:
    even = 50 * torch.eye(4)
    assert choose(router(), even).load_balancing.item() == pytest.approx(0, abs=1e-6)
    collapsed = 50 * torch.eye(4)[[2] * 5]
    assert choose(router(), collapsed).load_balancing.item() == pytest.approx(4, rel=1e-4)


def test_complexity_turns_load_balancing_towards_small_experts() -> None:
    small = 50 * torch.eye(4)[[0, 0, 0, 0, 1, 1, 2]]
    large = small.flip(-1)
    plain = [choose(router(), scores).load_balancing.item() for scores in (small, large)]
    assert plain[0] == pytest.approx(plain[1])
    favoured = [choose(router(True), scores).load_balancing.item() for scores in (small, large)]
    assert favoured[0] < favoured[1]


def test_load_is_the_probability_of_selection_under_new_noise() -> None:
    module, scores = router(), torch.randn(1, 4, generator=rng(3)) * 0.3
    noise = torch.randn(1, 4, generator=rng(4))
    noisy = scores + noise * module.noise_std
    again = scores + torch.randn(200_000, 4, generator=rng(5)) * module.noise_std
    measured = squared_variation((again >= noisy.max()).float().mean(0))
    assert float(module.load(scores, noisy)) == pytest.approx(float(measured), rel=0.05)
    assert choose(module, scores, noise).selected.item() == int(noisy.argmax())


@given(scale=st.floats(0.01, 100))
def test_variation_does_not_depend_on_scale(scale: float) -> None:
    values = torch.tensor([0.3, 0.9, 0.1, 0.5])
    torch.testing.assert_close(
        squared_variation(values * scale), squared_variation(values), rtol=1e-4, atol=1e-6
    )


def test_noise_of_training_comes_from_the_generator_alone() -> None:
    network = build_tiny("moceir").train()
    found = []
    for global_seed, seed in ((0, 7), (1, 7), (0, 8)):
        torch.manual_seed(global_seed)
        before = torch.get_rng_state()
        found.append(network.losses(batch(), rng(seed)))
        assert torch.equal(torch.get_rng_state(), before)
    assert list(found[0]) == ["l1", "fft", "load_balancing"]
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])
    assert not torch.equal(found[0]["load_balancing"], found[2]["load_balancing"])


def test_restoring_draws_no_noise_unless_asked_and_then_by_the_image() -> None:
    quiet, noisy = (build_tiny("moceir", noise_at_test=value).eval() for value in ("false", "true"))
    images = torch.rand(3, 3, 16, 24, generator=rng(1))
    with torch.no_grad():
        assert quiet.encode(images).noise is None
        assert torch.equal(quiet.restore(images), quiet.restore(images))
        features = noisy.encode(images)
        assert torch.equal(features.noise, noisy.encode(images).noise)
        assert torch.equal(features.noise[1:2], noisy.encode(images[1:2]).noise)
        assert not torch.equal(features.noise[0], features.noise[1])
        together = noisy.restore(images)
        assert not torch.equal(together, quiet.restore(images))
        single = torch.cat([noisy.restore(image[None]) for image in images])
    torch.testing.assert_close(together, single, rtol=1e-4, atol=1e-5)


def test_bands_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    network = build_tiny("moceir").eval()
    image = torch.rand(1, 3, 77, 58, generator=rng(3))
    with_gradients = network.restore(image).detach()
    monkeypatch.setattr(row_bands, "WHOLE_ELEMENTS", 0)
    monkeypatch.setattr(row_bands, "STREAMED_ELEMENTS", {"cpu": 1, "cuda": 1})
    monkeypatch.setattr(row_bands, "BAND_ELEMENTS", {"cpu": 1, "cuda": 1})
    cut: list[int] = []
    mix = CrossAttention.mix

    def recorded_mix(self: CrossAttention, query_map: Tensor, value_map: Tensor) -> Tensor:
        cut.append(query_map.shape[1])
        return mix(self, query_map, value_map)

    monkeypatch.setattr(CrossAttention, "mix", recorded_mix)
    with torch.no_grad():
        banded = network.restore(image)
    assert max(cut) < 80, "no map was cut"
    torch.testing.assert_close(banded, with_gradients, rtol=1e-4, atol=1e-5)


def test_trains_under_autocast() -> None:
    network = build_tiny("moceir").train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = network.losses(batch(), rng())
    plain = network.losses(batch(), rng())
    torch.stack([term.float() for term in terms.values()]).sum().backward()
    assert all(bool(p.grad.isfinite().all()) for p in network.parameters())
    assert terms["l1"].item() == pytest.approx(plain["l1"].item(), rel=0.05)


def test_objective_is_the_published_one() -> None:
    network, sample = build_tiny("moceir-s").train(), batch()
    terms = network.losses(sample, rng(2))
    restored = network.decode_with(network.encode(sample.degraded, rng(2)), as_is).restored
    spectra = [torch.fft.rfft2(x) for x in (restored, sample.clean)]
    parts = [torch.stack([s.real, s.imag], -1) for s in spectra]
    torch.testing.assert_close(terms["fft"], 0.1 * F.l1_loss(*parts), rtol=1e-4, atol=1e-6)
    assert float(spectral_error(sample.clean, sample.clean)) == 0
    assert {spec.objective for spec in SPECS} == {
        "L1 + 0.1 L1 of spectra + 0.01 load balancing of experts"
    }
    options = MoCEIROptions()
    assert (options.fft_weight, options.expert_load_balancing_weight, options.with_complexity) == (
        0.1,
        0.01,
        False,
    )
    without = build_tiny("moceir", fft_weight="0", expert_load_balancing_weight="0").train()
    assert list(without.losses(sample, rng())) == ["l1"]


def test_prompts_are_inserted_at_the_three_levels_of_the_decoder() -> None:
    network = build_tiny("moceir").eval()
    assert isinstance(network, PromptHost)
    image = torch.rand(2, 3, 21, 35, generator=rng(1))
    seen = {}

    def insert(level: str, x: Tensor) -> Tensor:
        seen[level] = tuple(x.shape)
        return x + 0.5 if level == "level2" else x

    with torch.no_grad():
        features = network.encode(image)
        changed = network.decode_with(features, insert)
        as_before = network.decode_with(features, as_is)
    assert seen == {"level3": (2, 32, 6, 10), "level2": (2, 16, 12, 20), "level1": (2, 8, 24, 40)}
    assert {k: v[1] for k, v in seen.items()} == dict(network.insertion_channels)
    assert list(network.insertion_channels) == ["level3", "level2", "level1"]
    assert not changed.routing
    assert not changed.auxiliary, "load balancing is a loss of training"
    assert changed.restored.shape == image.shape
    assert not torch.equal(changed.restored, as_before.restored)
    assert torch.equal(as_before.restored, network.restore(image))


def test_features_repeat_and_detach_with_their_noise() -> None:
    network = build_tiny("moceir").train()
    image = torch.rand(2, 3, 16, 16, generator=rng(1))
    features = network.encode(image, rng(3))
    assert features.noise.shape == (2, 3, 4)
    twice = network.decode_with(features.repeat(2), as_is)
    once = network.decode_with(features, as_is)
    assert list(once.auxiliary) == ["load_balancing"]
    torch.testing.assert_close(
        twice.restored, once.restored.repeat(2, 1, 1, 1), rtol=1e-4, atol=1e-5
    )
    network.decode_with(features.detach(), as_is).restored.sum().backward()
    assert network.patch_embed.proj.weight.grad is None
    assert network.output.weight.grad is not None


def test_states_without_complexities_are_completed_and_nothing_else_is_touched() -> None:
    network, other = build_tiny("moceir"), build_tiny("moceir", seed=1)
    assert isinstance(network, AdaptsState)
    state = network.state_dict()
    assert network.adapt_state(state).keys() == state.keys()
    name = "dec.0.2.layers.0.adapter.routing.complexity"
    theirs = torch.full((4,), 3.0)
    assert torch.equal(network.adapt_state({**state, name: theirs})[name], theirs)
    lean = {key: value for key, value in state.items() if not key.endswith("complexity")}
    assert len(lean) == len(state) - 3
    with pytest.raises(RuntimeError, match="complexity"):
        other.load_state_dict(lean, strict=True)
    other.load_state_dict(other.adapt_state(lean), strict=True)
    image = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(network.eval().restore(image), other.eval().restore(image))
    assert "what.is.this" in network.adapt_state({**state, "what.is.this": theirs})


def test_a_step_moves_the_high_pass_as_the_published_training_does() -> None:
    network = build_tiny("moceir").train()
    kernel = network.freq_embed.high_conv[0].conv.weight
    laplacian = torch.tensor([[-1.0, -1, -1], [-1, 8, -1], [-1, -1, -1]])
    assert torch.equal(kernel[5, 0], laplacian)
    torch.stack(list(network.losses(batch(), rng()).values())).sum().backward()
    assert bool(kernel.grad.any())


def test_copies_and_batches_of_one_train() -> None:
    network = copy.deepcopy(build_tiny("moceir")).train()
    whole = batch(side=24)
    one = Batch(
        degraded=whole.degraded[:1], clean=whole.clean[:1], tasks=TASKS[:1], step=0, steps=1
    )
    terms = network.losses(one, rng())
    assert all(bool(term.isfinite()) for term in terms.values())


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"dim": 4, "heads": (1, 1, 1, 1)}, "dim=4"),
        ({"experts": 1}, "experts=1"),
        ({"expert_top_k": 5}, "expert_top_k=5"),
        ({"expert_top_k": 0}, "expert_top_k=0"),
        ({"decoder_blocks": (2, 0, 1)}, "decoder_blocks"),
        ({"fft_weight": -0.1}, "fft_weight=-0.1"),
        ({"expert_load_balancing_weight": -1.0}, "expert_load_balancing_weight=-1.0"),
        ({"dim": 50, "heads": (4, 4, 4, 4)}, "dim=50"),
    ],
)
def test_options_that_cannot_be_built_are_refused_by_name(
    values: dict[str, Any], named: str
) -> None:
    with pytest.raises(OptionError, match=named):
        check_moceir(MoCEIROptions(**values), CheckContext(TASKS, 4))


@pytest.mark.parametrize("size", ["tiny", "small", "full"])
@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_every_size_can_be_built(spec: MethodSpec, size: str) -> None:
    options = MoCEIROptions(**{**spec.defaults, **spec.sizes[size]})
    check_moceir(options, CheckContext(TASKS, 1))
    assert options.dim // 2 ** (options.experts - 1) >= 1
