"""SIPL beyond parity: rounds at test, what guides training, hosts, and checkpoints."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from harness.config.errors import UsageError
from harness.method import WeightsFile
from harness.registry import find
from harness.training.pretrained import load_pretrained, read_pretrained
from methods.sipl.fusion import FusionBlock, PixelAttention
from tests.networks import batch, build_tiny


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_a_pixel_attends_to_the_pixels_of_another_map() -> None:
    attention = PixelAttention(8, heads=2)
    with torch.no_grad():
        attention.temperature.mul_(3)
        asking, asked = torch.rand(2, 4, 6, 8), torch.rand(2, 3, 5, 8)
        q = attention.q_dwconv(attention.q(asking.permute(0, 3, 1, 2)))
        k, v = attention.kv_dwconv(attention.kv(asked.permute(0, 3, 1, 2))).chunk(2, dim=1)
        q, k, v = (x.unflatten(1, (2, 4)).flatten(3).transpose(2, 3) for x in (q, k, v))
        q, k = (torch.nn.functional.normalize(x, dim=-1) for x in (q, k))
        weights = (q @ k.transpose(2, 3) * attention.temperature).softmax(dim=-1)
        joined = (weights @ v).transpose(2, 3).reshape(2, 8, 4, 6)
        expected = attention.project_out(joined).permute(0, 2, 3, 1)
        torch.testing.assert_close(attention(asking, asked), expected)


def test_the_asking_map_does_not_pass_the_block_itself() -> None:
    block = FusionBlock(8, heads=2).eval()
    asking, asked = torch.rand(1, 8, 4, 4), torch.rand(1, 8, 6, 6)
    with torch.no_grad():
        shifted = block(asking + 5, asked)
        torch.testing.assert_close(block(asking, asked), shifted, rtol=1e-3, atol=1e-3)


def test_each_round_starts_from_the_last_result() -> None:
    once, thrice = (build_tiny("sipl", refinement_rounds=rounds).eval() for rounds in ("1", "3"))
    image = torch.rand(1, 3, 32, 48)
    with torch.no_grad():
        expected = image
        for _ in range(3):
            plain = once.restore_once(expected, None)
            expected = once.restore_once(expected, None, once.privileged(plain))
        torch.testing.assert_close(thrice.restore(image), expected)
        assert not torch.equal(once.restore(image), expected)


def test_the_host_is_guided_in_its_passes_alone() -> None:
    method, image = build_tiny("sipl").eval(), torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        alone = method.host.restore(image)
        plain = method.restore_once(image, None)
        guided = method.restore_once(image, None, method.privileged(plain))
        assert torch.equal(method.host.restore(image), alone)
    assert not torch.equal(alone, plain)
    assert not torch.equal(plain, guided)
    assert "fuse" not in vars(method.host)


def test_training_is_guided_by_the_clean_image_restored() -> None:
    method = build_tiny("sipl").train()
    samples = batch()
    loss = method.losses(samples, rng())["l1"]
    with torch.no_grad():
        privileged = method.privileged(method.restore_once(samples.clean, None))
        restored = method.restore_once(samples.degraded, None, privileged)
    torch.testing.assert_close(loss, (restored - samples.clean).abs().mean())
    assert all(not value.requires_grad for value in privileged.values())
    loss.backward()
    assert method.privileged_dictionary1.grad is not None
    assert "fuse" not in vars(method.host)


def test_the_published_start_has_an_enormous_gradient() -> None:
    method = build_tiny("sipl", dictionary_std="0").train()
    assert not method.privileged_dictionary2.any()
    method.losses(batch(), rng())["l1"].backward()
    started = build_tiny("sipl").train()
    started.losses(batch(), rng())["l1"].backward()
    ratio = _size(method.privileged_dictionary2.grad) / _size(started.privileged_dictionary2.grad)
    assert ratio > 1e6


def _size(gradient: Tensor | None) -> float:
    assert gradient is not None
    assert torch.isfinite(gradient).all()
    return float(gradient.norm())


@pytest.mark.parametrize(
    ("options", "term"),
    [
        ({"cpr_weight": "0.1", "cpr_gradient": "detached"}, "cpr"),
        ({"outcome_weight": "0.1"}, "outcome"),
    ],
    ids=["cpr", "outcome"],
)
@pytest.mark.parametrize("count", ["1", "2", "3"])
def test_each_negative_of_a_sample_is_guided_by_that_sample(
    options: dict[str, str], term: str, count: str
) -> None:
    method = build_tiny("sipl", **options, cpr_count=count).train()
    samples, guides = batch(), []
    fusion = method.cross_p1
    hook = fusion.register_forward_hook(lambda module, given, fused: guides.append(given[1]))
    terms = method.losses(samples, rng())
    hook.remove()
    chosen, negatives = guides[-2:]
    assert len(negatives) == int(count) * len(samples.tasks)
    for guide in negatives.chunk(int(count)):
        torch.testing.assert_close(guide, chosen)
    torch.stack(list(terms.values())).sum().backward()
    assert term in terms
    assert "fuse" not in vars(method.host)


@pytest.mark.parametrize("host", ["adair", "restormer"])
def test_it_can_be_added_to_networks_whose_features_can_be_fused(host: str) -> None:
    spec = find(f"{host}+sipl").spec
    assert spec.label.endswith("+SIPL")
    method = build_tiny(f"{host}+sipl").train()
    terms = method.losses(batch(), rng())
    assert set(terms) == {"l1"}
    terms["l1"].backward()
    reached = {n for n, p in method.named_parameters() if p.grad is not None}
    assert reached == {n for n, p in method.named_parameters() if p.requires_grad}
    image = torch.rand(1, 3, 17, 24)
    with torch.no_grad():
        assert method.eval().restore(image).shape == image.shape


def test_it_is_the_sum_of_promptir_and_itself() -> None:
    assert find("promptir+sipl").spec is find("sipl").spec
    assert find("adair+sipl:refinement_rounds=1").id == "adair+sipl:refinement_rounds=1"


def test_other_networks_are_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"drsformer has no decoder .* fused.* sipl cannot be"):
        find("drsformer+sipl")
    with pytest.raises(UsageError, match="nafnet has no decoder"):
        find("nafnet+sipl")
    with pytest.raises(UsageError, match=r"drsformer cannot be split .* cpl cannot be added"):
        find("drsformer+cpl")


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("refinement_rounds", "0", "refinement_rounds=0 must be at least 1"),
        ("dictionary_patch_px", "4", "dictionary_patch_px=4 must be at least 8"),
        ("dictionary_std", "-1", "dictionary_std=-1.0 must not be negative"),
        ("heads", "1,1,3,2", "do not divide"),
    ],
)
def test_what_cannot_be_is_refused(option: str, value: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_tiny("sipl", **{option: value})


@pytest.mark.parametrize(("name", "dropped"), [("sipl", False), ("adair+sipl", True)])
def test_an_authors_checkpoint_is_read(name: str, dropped: bool, tmp_path: Path) -> None:
    source, target = build_tiny(name, seed=0), build_tiny(name, seed=1)
    bare = {k.removeprefix("host."): v for k, v in source.state_dict().items()}
    if dropped:  # as data-parallel training saves them
        bare = {f"module.{key}": value for key, value in bare.items()}
    path = tmp_path / "net_g_latest.pth"
    torch.save({"params": bare}, path)
    load_pretrained(target, read_pretrained(WeightsFile(path)), name)
    own = source.state_dict()
    assert all(torch.equal(value, own[key]) for key, value in target.state_dict().items())


def test_size_is_the_published_one() -> None:
    spec = find("sipl").spec
    assert spec.parameters == 40_028_562
    # Attention is folded into its projection, which saves PromptIR's 7 G in each of four passes.
    assert spec.macs == pytest.approx(900e9 - 4 * 7e9, rel=0.01)
