"""AdaIR beyond its parity: the split of the spectrum, what is trained, and what is refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from harness.config.errors import UsageError
from methods import row_bands
from methods.adair.frequency import FrequencyBlock
from methods.restormer_backbone import as_is
from tests.networks import batch, build_tiny, restore_by_name, single_runs

UNTRAINED = ("conv", "score_gen", "rate_conv")
BLOCKS = ("fre1", "fre2", "fre3")


def build_with_bands(seed: int = 0) -> torch.nn.Module:
    """Build a network whose low bands are not empty in small images and change the output."""
    method = build_tiny("adair", seed, frequency_unit_px="1")
    with torch.no_grad():
        for name in BLOCKS:
            getattr(method, name).para1.fill_(0.5)
    return method


def masked_as_published(x: Tensor, half_sides: list[tuple[int, int]]) -> tuple[Tensor, Tensor]:
    """Split (N, H, W, C) by a rectangle around the centre of the shifted spectrum."""
    height, width = x.shape[1:3]
    mask = torch.zeros_like(x)
    for sample, (tall, wide) in enumerate(half_sides):
        rows = slice(height // 2 - tall, height // 2 + tall)
        mask[sample, rows, width // 2 - wide : width // 2 + wide] = 1
    shifted = torch.fft.fftshift(torch.fft.fft2(x, dim=(1, 2)), dim=(1, 2))
    low, high = (
        torch.fft.ifft2(torch.fft.ifftshift(shifted * m, dim=(1, 2)), dim=(1, 2)).abs()
        for m in (mask, 1 - mask)
    )
    return low, high


@pytest.mark.parametrize(("height", "width"), [(12, 16), (13, 9), (9, 31)])
def test_bands_are_those_of_the_centred_rectangle(height: int, width: int) -> None:
    torch.manual_seed(2)
    block = FrequencyBlock(16, heads=2, unit_px=2)
    x = torch.randn(3, height, width, 16)
    means = x.mean(dim=(1, 2))[..., None, None]
    rates = block.rate_conv(means).sigmoid().flatten(1).tolist()
    sides = [(int(height // 2 * tall), int(width // 2 * wide)) for tall, wide in rates]
    assert all(tall and wide for tall, wide in sides), "the rectangles must not be empty"
    for band, expected in zip(block.split(x), masked_as_published(x, sides), strict=True):
        torch.testing.assert_close(band, expected, rtol=1e-4, atol=1e-5)


def test_the_low_band_is_empty_below_the_unit() -> None:
    block = FrequencyBlock(16, heads=2)
    x = torch.randn(1, 200, 127, 16)
    low, high = block.split(x)
    assert not low.any()
    assert torch.equal(high, x.abs())
    for band, expected in zip((low, high), masked_as_published(x, [(0, 0)]), strict=True):
        torch.testing.assert_close(band, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(24, 40), (33, 47), (8, 8)], ids=str)
def test_batch_of_three_equals_three_single_runs_with_bands(size: tuple[int, int]) -> None:
    method = build_with_bands()
    images = torch.rand(3, 3, *size, generator=torch.Generator().manual_seed(3))
    images[1] *= 0.1  # so that the rates differ
    together = restore_by_name("adair", method, images)
    assert together.shape == images.shape
    single = single_runs("adair", method, images)
    torch.testing.assert_close(together, single, rtol=1e-4, atol=1e-5)


def test_restoring_in_bands_of_rows_equals_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    method, image = build_with_bands().double().eval(), torch.rand(2, 3, 48, 32).double()
    whole = method.restore(image)
    monkeypatch.setattr(row_bands, "LEAST_BAND_ROWS", 5)
    monkeypatch.setattr(row_bands, "BAND_ELEMENTS", {"cpu": 1, "cuda": 1})
    monkeypatch.setattr(row_bands, "WHOLE_ELEMENTS", 0)
    monkeypatch.setattr(row_bands, "STREAMED_ELEMENTS", {"cpu": 1, "cuda": 1})
    torch.testing.assert_close(restore_by_name("adair", method, image), whole)


def gradients(method: torch.nn.Module) -> dict[str, float]:
    """Return the largest gradient of every trained parameter."""
    sum(method.losses(batch(), torch.Generator()).values()).backward()  # type: ignore[operator]
    trained = {name: p for name, p in method.named_parameters() if p.requires_grad}
    assert all(p.grad is not None for p in trained.values())
    return {name: float(p.grad.abs().max()) for name, p in trained.items() if p.grad is not None}


def test_what_the_published_training_never_reaches_is_not_trained() -> None:
    method = build_with_bands().train()
    fixed = {name for name, p in method.named_parameters() if not p.requires_grad}
    assert {name.split(".")[1] for name in fixed} == set(UNTRAINED)
    assert {name.split(".")[0] for name in fixed} == set(BLOCKS)
    assert all(largest > 0 for largest in gradients(method).values())


def test_with_an_empty_low_band_its_queries_learn_nothing() -> None:
    method = build_tiny("adair").train()
    with torch.no_grad():
        for name in BLOCKS:
            getattr(method, name).para1.fill_(0.5)
    still = {name for name, largest in gradients(method).items() if largest == 0}
    parts = ("temperature", "q.weight", "q_dwconv.weight")
    assert still == {f"{block}.channel_cross_h.{part}" for block in BLOCKS for part in parts}


def test_starts_as_a_restormer() -> None:
    method, image = build_tiny("adair").eval(), torch.rand(1, 3, 32, 32)
    before = restore_by_name("adair", method, image)
    with torch.no_grad():
        for parameter in method.fre2.channel_cross_agg.parameters():
            parameter.mul_(3)
    assert torch.equal(before, restore_by_name("adair", method, image))


def test_detached_features_pass_no_gradient() -> None:
    method = build_tiny("adair")
    features = method.encode(torch.rand(1, 3, 17, 23)).detach()
    decoded = method.decode_with(features, as_is)
    assert decoded.restored.shape == (1, 3, 17, 23)
    decoded.restored.sum().backward()
    assert method.patch_embed.proj.weight.grad is None
    assert method.fre1.para1.grad is not None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dim": "4"}, "dim=4 .* no hidden channel"),
        ({"dim": "10", "heads": "1,1,8,8"}, "dim=10 gives 20 channels in the last frequency"),
        ({"frequency_unit_px": "0"}, "frequency_unit_px=0 must be at least 1"),
        ({"heads": "3,1,2,2"}, "8 channels, which 3 heads"),
    ],
    ids=str,
)
def test_contradictions_are_refused_by_name(options: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_tiny("adair", **options)
