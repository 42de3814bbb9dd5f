"""Histoformer beyond its parity: sorting and its undoing, bins, the correlation, checkpoints."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from harness.execution.complexity import count
from harness.method import CheckContext, OptionError, WeightsFile
from harness.registry import catalogue
from harness.training.pretrained import load_pretrained, read_pretrained
from methods.histoformer.attention import HistogramAttention, sort_plane
from methods.histoformer.losses import correlation_loss
from methods.histoformer.network import Histoformer
from methods.histoformer.spec import HistoformerOptions, check_histoformer
from tests.networks import TASKS, batch, build_tiny, first_of, loss_of_two_steps

PUBLISHED_CONVOLUTION_MACS, PUBLISHED_ATTENTION_MACS = 91.59e9, 21.74e9


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_parameters_and_multiply_accumulates_are_the_published_ones() -> None:
    counted = count(catalogue().specs["histoformer"])
    assert counted.parameters == 16_615_100
    published = PUBLISHED_CONVOLUTION_MACS + PUBLISHED_ATTENTION_MACS
    assert counted.macs == pytest.approx(published, rel=1e-3)


def test_a_sorted_plane_rises_along_its_rows_and_is_restored() -> None:
    x = torch.rand(2, 3, 5, 7, generator=rng())
    plane = sort_plane(x)
    assert (plane.values.diff(dim=-1) >= 0).all()
    assert torch.equal(plane.restore_places(plane.values), x)


@pytest.mark.parametrize("pixels", [24, 22])
@pytest.mark.parametrize("strided", [False, True])
def test_bins_hold_runs_of_pixels_or_every_so_manieth(pixels: int, strided: bool) -> None:
    attention = HistogramAttention(8, heads=4)
    x = torch.arange(1.0, pixels + 1).expand(1, 8, pixels) + 100 * torch.arange(8.0)[:, None]
    bins = attention._bins(x, strided)
    assert bins.shape == (1, 4, 2 * 4, 6)
    # Head 1 has channels 2 and 3; tokens 4 to 7 are the bins of its second channel.
    first = [301, 305, 309, 313, 317, 321] if strided else [301, 302, 303, 304, 305, 306]
    assert bins[0, 1, 4].tolist() == first
    assert int((bins == 0).sum()) == 8 * (-pixels % 4)
    assert torch.equal(attention._pixels(bins, 8, strided)[..., :pixels], x)


def plain_attention(layer: HistogramAttention, x: Tensor) -> Tensor:
    """Compute the attention pixel by pixel of one image, with loops over heads and bins."""
    channels, half, heads = x.shape[1], x.shape[1] // 2, len(layer.temperature)
    plane = sort_plane(x[:, :half])
    mixed = layer.qkv_dwconv(layer.qkv(torch.cat([plane.values, x[:, half:]], 1))).flatten(2)
    q1, k1, q2, k2, v = mixed[0].chunk(5)
    order, pixels = v.argsort(dim=-1), v.shape[-1]
    length, width = -(-pixels // heads) * heads, channels // heads
    ordered = []
    for part in (q1, k1, q2, k2, v):
        filled = torch.zeros(channels, length)
        filled[:, :pixels] = part.gather(-1, order)
        ordered.append(filled)
    product = torch.ones(channels, length)
    places = torch.arange(length)
    members = {
        "runs": [places[bin * length // heads :][: length // heads] for bin in range(heads)],
        "strided": [places[bin::heads] for bin in range(heads)],
    }
    for form, (q, k) in zip(members, (ordered[:2], ordered[2:4]), strict=True):
        for head in range(heads):
            tokens = []
            for channel in range(head * width, (head + 1) * width):
                tokens += [(channel, places) for places in members[form]]
            q_rows, k_rows, v_rows = (
                torch.stack([part[channel, where] for channel, where in tokens])
                for part in (q, k, ordered[4])
            )
            unit_q, unit_k = (rows / rows.norm(dim=-1, keepdim=True) for rows in (q_rows, k_rows))
            logits = unit_q @ unit_k.T * layer.temperature[head, 0, 0]
            # A softmax in which one more logit is zero.
            weights = torch.cat([logits, torch.zeros(len(logits), 1)], 1).softmax(1)[:, :-1]
            for (channel, where), row in zip(tokens, weights @ v_rows, strict=True):
                product[channel, where] *= row
    placed = torch.zeros(channels, pixels).scatter(-1, order, product[:, :pixels])
    out = layer.project_out(placed.unflatten(-1, x.shape[-2:])[None])
    return torch.cat([plane.restore_places(out[:, :half]), out[:, half:]], 1)


@pytest.mark.parametrize("size", [(6, 4), (5, 5)])
def test_attention_equals_its_definition(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    layer = HistogramAttention(8, heads=2)
    layer.temperature.data = torch.tensor([0.5, 2.0]).view(2, 1, 1)
    x = torch.rand(1, 8, *size, generator=rng(3))
    with torch.no_grad():
        torch.testing.assert_close(layer(x), plain_attention(layer, x), rtol=1e-4, atol=1e-6)


def test_correlation_is_nought_for_the_same_image_and_one_for_its_negative() -> None:
    clean = torch.rand(2, 3, 9, 8, generator=rng(1))
    assert float(correlation_loss(2 * clean + 1, clean)) == pytest.approx(0, abs=1e-5)
    assert float(correlation_loss(1 - clean, clean)) == pytest.approx(1, abs=1e-5)
    restored = torch.rand(2, 3, 9, 8, generator=rng(2))
    found = float(correlation_loss(restored, clean))
    each = []
    for x, y in zip(restored, clean, strict=True):
        each.append((1 - torch.corrcoef(torch.stack([x.flatten(), y.flatten()]))[0, 1]) / 2)
    assert found == pytest.approx(float(torch.stack(each).mean()), rel=1e-4)


def test_images_without_a_finite_correlation_are_left_out() -> None:
    clean = torch.rand(2, 3, 8, 8, generator=rng(1))
    broken = clean.clone()
    broken[0] = float("nan")
    assert float(correlation_loss(broken, clean)) == pytest.approx(0, abs=1e-5)
    assert float(correlation_loss(torch.full_like(clean, float("inf")), clean)) == 0
    flat = torch.full_like(clean, 0.5, requires_grad=True)
    loss = correlation_loss(flat, clean)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(0.5)
    assert bool(flat.grad.isfinite().all())


def test_the_objective_is_l1_and_the_correlation() -> None:
    terms = build_tiny("histoformer").train().losses(batch(), rng())
    assert list(terms) == ["l1", "correlation"]
    assert HistoformerOptions().correlation_weight == 1
    without = build_tiny("histoformer", correlation_weight="0").train()
    assert list(without.losses(batch(), rng())) == ["l1"]


def test_the_authors_file_loads(tmp_path: Path) -> None:
    """BasicSR saves the weights under ``params``, with plain names."""
    theirs, ours = build_tiny("histoformer", seed=0), build_tiny("histoformer", seed=1)
    path = tmp_path / "net_g_best.pth"
    torch.save({"params": theirs.state_dict()}, path)
    load_pretrained(ours, read_pretrained(WeightsFile(path)), "histoformer")
    image = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(ours.eval().restore(image), theirs.eval().restore(image))


def test_the_full_size_trains() -> None:
    first, second = loss_of_two_steps(Histoformer(HistoformerOptions()), first_of(batch()))
    assert second < first


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"ffn_expansion": 2.66}, "ffn_expansion=2.66"),
        ({"dim": 35}, "dim=35"),
        ({"correlation_weight": -1.0}, "correlation_weight=-1.0"),
        ({"heads": (5, 1, 1, 1)}, "heads"),
    ],
)
def test_what_cannot_be_built_is_refused_by_name(values: dict[str, object], named: str) -> None:
    with pytest.raises(OptionError, match=named):
        check_histoformer(HistoformerOptions(**values), CheckContext(TASKS, 4))
