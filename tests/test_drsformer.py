"""DRSformer beyond its parity: sparse attention, bands, the variant, and what is refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from harness.config.errors import UsageError
from methods import row_bands
from methods.attention import attend, attend_with
from methods.drsformer.mixture import Mixture
from methods.drsformer.network import DRSformer
from methods.drsformer.sparse import SparseAttention, SparseBlock
from methods.drsformer.spec import DRSformerOptions
from tests.networks import batch, build_tiny, restore_by_name, single_runs


def sparse_as_published(logits: Tensor, scales: list[Tensor]) -> Tensor:
    """Return the scaled sum of softmaxes over the k largest of each row, row by row."""
    channels = logits.shape[-1]
    total = torch.zeros_like(logits)
    for share, scale in zip((1 / 2, 2 / 3, 3 / 4, 4 / 5), scales, strict=True):
        values, indices = logits.topk(int(channels * share), dim=-1)
        total += scale * torch.zeros_like(logits).scatter(-1, indices, values.softmax(dim=-1))
    return total


@pytest.mark.parametrize("channels", [2, 3, 7, 48])
def test_each_softmax_selects_its_share_of_the_channels(channels: int) -> None:
    torch.manual_seed(0)
    attention = SparseAttention(2 * channels, heads=2).double()
    scales = [attention.attn1, attention.attn2, attention.attn3, attention.attn4]
    with torch.no_grad():
        for index, scale in enumerate(scales):
            scale.fill_(0.1 + 0.2 * index)
    logits = torch.randn(2, 2, channels, channels, dtype=torch.float64, requires_grad=True)
    found, expected = attention.weigh(logits), sparse_as_published(logits, scales)
    torch.testing.assert_close(found, expected)
    weights = torch.randn_like(found)
    given = (logits, *scales)
    for ours, published in zip(
        torch.autograd.grad(found, given, weights),
        torch.autograd.grad(expected, given, weights),
        strict=True,
    ):
        torch.testing.assert_close(ours, published)


def test_equal_logits_select_no_more_than_their_share() -> None:
    attention = SparseAttention(12, heads=1).double()
    weights = attention.weigh(torch.zeros(1, 1, 12, 12, dtype=torch.float64))
    assert (weights > 0).sum(dim=-1).max() <= 9  # 4/5 of 12, rounded down
    torch.testing.assert_close(weights.sum(dim=-1), torch.full((1, 1, 12), 0.8).double())


def test_attention_with_softmax_is_the_plain_attention() -> None:
    torch.manual_seed(0)
    shapes = ((2, 35, 36), (3, 1, 1), (13, 12))
    given = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]
    found = attend_with(lambda logits: logits.softmax(dim=-1), *given)
    expected = attend(*given)
    torch.testing.assert_close(found, expected)
    weights = torch.randn_like(found)
    for ours, fast in zip(
        torch.autograd.grad(found, given, weights),
        torch.autograd.grad(expected, given, weights),
        strict=True,
    ):
        torch.testing.assert_close(ours, fast)


@pytest.mark.parametrize("shape", [(1, 16, 1, 3), (1, 16, 23, 7), (2, 16, 17, 24)], ids=str)
def test_block_in_bands_equals_the_whole(
    shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(1)
    block = SparseBlock(shape[1], heads=2, expansion=2.66).double()
    x = torch.randn(shape, dtype=torch.float64)
    whole = block(x)
    monkeypatch.setattr(row_bands, "BAND_ELEMENTS", {"cpu": 1, "cuda": 1})
    monkeypatch.setattr(row_bands, "WHOLE_ELEMENTS", 0)
    monkeypatch.setattr(row_bands, "STREAMED_ELEMENTS", {"cpu": 1, "cuda": 1})
    for rows in (1, 4, 7, 100):
        monkeypatch.setattr(row_bands, "LEAST_BAND_ROWS", rows)
        with torch.no_grad():
            torch.testing.assert_close(block(x), whole)


@pytest.mark.parametrize("size", [(24, 40), (33, 47), (8, 8)], ids=str)
def test_batch_of_three_equals_three_single_runs(size: tuple[int, int]) -> None:
    method = build_tiny("drsformer")
    images = torch.rand(3, 3, *size, generator=torch.Generator().manual_seed(3))
    together = restore_by_name("drsformer", method, images)
    assert together.shape == images.shape
    single = single_runs("drsformer", method, images)
    torch.testing.assert_close(together, single, rtol=1e-4, atol=1e-5)


def test_gradient_reaches_every_parameter() -> None:
    method = build_tiny("drsformer").train()
    method.losses(batch(), torch.Generator())["l1"].backward()
    still = [n for n, p in method.named_parameters() if p.grad is None or not p.grad.any()]
    assert not still


def test_gradient_of_a_black_image_is_finite() -> None:
    method = build_tiny("drsformer").train()
    method.restore(torch.zeros(1, 3, 16, 16)).square().sum().backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in method.parameters())


def test_mixture_weighs_every_image_by_itself_and_gives_nothing_negative() -> None:
    torch.manual_seed(0)
    mixture = Mixture(8)
    x = torch.randn(2, 8, 9, 7)
    found = mixture(x)
    assert found.shape == x.shape
    assert bool((found >= 0).all())
    torch.testing.assert_close(found[1:], mixture(x[1:]))


def test_the_variant_without_mixtures_lacks_their_keys_alone() -> None:
    with torch.device("meta"):
        whole, variant = (DRSformer(DRSformerOptions(mixture=m)) for m in (True, False))
    shapes = {key: value.shape for key, value in whole.state_dict().items()}
    mixtures = {key for key in shapes if key.startswith(("encoder_level0.", "refinement."))}
    left = {key: shape for key, shape in shapes.items() if key not in mixtures}
    assert mixtures
    assert {key: value.shape for key, value in variant.state_dict().items()} == left


def test_the_variant_restores() -> None:
    method, image = build_tiny("drsformer", mixture="false"), torch.rand(2, 3, 19, 24)
    assert restore_by_name("drsformer", method, image).shape == image.shape


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": "1,1,2,3"}, "dim=8 gives 64 channels, which 3 heads"),
        ({"heads": "8,1,2,2"}, "gives heads of one channel"),
        ({"blocks": "1,0,1,1"}, "dim, blocks and heads must be at least 1"),
        ({"refinement_blocks": "4"}, "no option 'refinement_blocks'"),
    ],
    ids=str,
)
def test_contradictions_are_refused_by_name(options: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_tiny("drsformer", **options)
