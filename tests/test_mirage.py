"""MIRAGE beyond parity: what is drawn in training, its losses, its size and its recipe."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from harness.config.errors import UsageError
from harness.config.recipe_files import load_recipe
from harness.method import WeightsFile
from harness.registry import find
from harness.training.pretrained import load_pretrained, read_pretrained
from harness.training.schedule import learning_rate
from methods.mirage.gated import GatedConvolution, skipping
from methods.mirage.losses import contrast, covariance
from tests.networks import batch, build_tiny


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_samples_skip_gated_convolutions_in_training_alone() -> None:
    method = build_tiny("mirage", drop_path="0.5").train()
    gates = [m for m in method.modules() if isinstance(m, GatedConvolution)]
    with skipping(method, 0.5, 400, rng()):
        factors = torch.stack([gate.skipped for gate in gates])
    assert set(factors.unique().tolist()) == {0.0, 2.0}
    assert 0.45 < float((factors == 0).float().mean()) < 0.55
    assert all(gate.skipped is None for gate in gates)
    first, same, other = (method.losses(batch(), rng(seed))["l1"] for seed in (0, 0, 1))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_a_skipped_branch_leaves_the_shortcut() -> None:
    gate = GatedConvolution(8)
    x = torch.rand(2, 8, 16, 16)
    gate.skipped = torch.zeros(2, 1, 1, 1)
    torch.testing.assert_close(gate(x), gate.proj_out(x))


def test_kernels_belong_to_image_and_channel() -> None:
    gate = GatedConvolution(4).eval()
    x = torch.rand(3, 4, 12, 20)
    with torch.no_grad():
        together = gate._convolve(x)
        kernels = gate.kernel_generator(x).reshape(3, 4, 7, 7)
        padded = torch.nn.functional.pad(x, (3, 3, 3, 3))
        windows = padded.unfold(2, 7, 1).unfold(3, 7, 1)
        expected = (windows * kernels[:, :, None, None]).sum(dim=(-2, -1))
    torch.testing.assert_close(together, expected)


def test_terms_are_weighted_and_can_be_left_out() -> None:
    method = build_tiny("mirage", drop_path="0").train()
    losses = method.losses(batch(), rng())
    assert set(losses) == {"l1", "fft", "contrast"}
    heavier = build_tiny("mirage", drop_path="0", fft_weight="0.2", contrast_weight="0.02")
    doubled = heavier.train().losses(batch(), rng())
    for name in ("fft", "contrast"):
        torch.testing.assert_close(doubled[name], 2 * losses[name])
    alone = build_tiny("mirage", fft_weight="0", contrast_weight="0").train()
    assert set(alone.losses(batch(), rng())) == {"l1"}


def test_contrast_is_zero_for_one_image_and_low_where_pairs_agree() -> None:
    vectors = torch.eye(4)
    assert float(contrast(vectors[:1], vectors[1:2], 0.1)) == 0
    assert (
        float(contrast(vectors, vectors, 0.1))
        < 1e-3
        < float(contrast(vectors, vectors.roll(1, 0), 0.1))
    )
    features = torch.rand(2, 3, 8, 8)
    expected = torch.cov(features[1].flatten(1)) + 1e-5 * torch.eye(3)
    torch.testing.assert_close(covariance(features)[1], expected.flatten())


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("dim", "16", "dim=16 must be a multiple of 3"),
        ("heads", "3,1,2,2", "leaves the attention 4 channels, which 3 heads"),
        ("drop_path", "1", r"drop_path=1.0 must lie in \[0, 1\)"),
        ("contrast_temperature", "0", "contrast_temperature=0.0 must be above 0"),
        ("fft_weight", "-1", "fft_weight=-1.0 must not be negative"),
    ],
)
def test_what_cannot_be_is_refused(option: str, value: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_tiny("mirage", **{option: value})


@pytest.mark.parametrize(
    ("name", "millions", "published_macs"), [("mirage", 10, 34.84e9), ("mirage-tiny", 6, 21.22e9)]
)
def test_size_is_the_published_one(name: str, millions: int, published_macs: float) -> None:
    spec = find(name).spec
    assert round(spec.parameters / 1e6) == millions
    # A product with the identity stands in for the projection that this attention lacks.
    assert spec.macs == pytest.approx(published_macs, rel=0.01)


def test_a_checkpoint_of_lightning_is_read(tmp_path: Path) -> None:
    source, target = build_tiny("mirage", seed=0), build_tiny("mirage", seed=1)
    path = tmp_path / "3Deg_small.ckpt"
    prefixed = {f"net.{key}": value for key, value in source.state_dict().items()}
    torch.save({"epoch": 129, "state_dict": prefixed, "optimizer_states": [{"state": {}}]}, path)
    load_pretrained(target, read_pretrained(WeightsFile(path)), "mirage")
    image = torch.rand(1, 3, 24, 24)
    with torch.no_grad():
        assert torch.equal(target.eval().restore(image), source.eval().restore(image))


# Epochs of 4,450 steps: 0, 1, 15, 75, 129 of a cosine that ends at 150; five tasks: of 5,082.
@pytest.mark.parametrize(
    ("setting", "epoch", "steps", "last"),
    [("three-task", 4450, 578500, 1.178e-5), ("five-task", 5082, 762300, 2.7e-8)],
)
def test_the_recipe_is_the_published_one(setting: str, epoch: int, steps: int, last: float) -> None:
    recipe = load_recipe("mirage", setting)
    train = recipe.train
    assert (recipe.name, recipe.size) == ("mirage", "full")
    assert (train.steps, train.batch, train.patch_px) == (steps, 32, 128)
    assert (train.betas, train.weight_decay, train.grad_clip_norm) == ((0.9, 0.999), 0.01, None)
    rates = {0: 0.0, 1: 2e-4 / 14, 15: 2e-4, 75: 1.173648e-4}
    for number, rate in rates.items():
        assert learning_rate(train, number * epoch) == pytest.approx(rate, rel=1e-4, abs=1e-12)
    assert learning_rate(train, steps - 1) == pytest.approx(last, rel=0.01)


def test_the_recipe_holds_in_other_settings_as_well() -> None:
    for setting in ("seven-task", "all-weather", "composite"):
        assert load_recipe("mirage", setting).train == load_recipe("mirage").train
