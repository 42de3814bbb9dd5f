"""TransWeather beyond its parity: sizes, weather queries, left out residuals, the features."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from harness.execution.complexity import count
from harness.execution.execute import execute
from harness.execution.process import Worker
from harness.method import CheckContext, OptionError, PreparesTraining, WeightsFile
from harness.registry import catalogue
from harness.training.pretrained import load_pretrained, read_pretrained
from methods.transweather.losses import perceptual_loss
from methods.transweather.network import TransWeather
from methods.transweather.spec import TransWeatherOptions, check_transweather
from methods.transweather.tokens import BlockSize, WeatherAttention, dropping, keep_all
from tests.networks import TASKS, batch, build_tiny, first_of, loss_of_two_steps
from tests.plans import plan_of

VGG16_CHANNELS = ((0, 3, 64), (2, 64, 64), (5, 64, 128), (7, 128, 128), (10, 128, 256))


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def random_vgg16(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in for the file of VGG16's weights, with random ones."""
    state, generator = {}, rng(5)
    for index, inputs, outputs in (*VGG16_CHANNELS, (12, 256, 256), (14, 256, 256)):
        weight = torch.randn(outputs, inputs, 3, 3, generator=generator)
        state[f"features.{index}.weight"] = weight / (3 * inputs**0.5)
        state[f"features.{index}.bias"] = torch.zeros(outputs)
    path = tmp_path / "vgg16.pth"
    torch.save(state, path)
    monkeypatch.setenv("HARNESS_VGG16_WEIGHTS", str(path))
    return path


def test_parameters_and_multiply_accumulates_are_the_published_ones() -> None:
    counted = count(catalogue().specs["transweather"])
    assert counted.parameters == 38_052_078
    assert counted.macs == pytest.approx(4.66e9, rel=2e-3)
    frozen = [p.numel() for p in build_full().parameters() if not p.requires_grad]
    assert sum(frozen) == 296_667


def build_full() -> TransWeather:
    return TransWeather(TransWeatherOptions())


@pytest.mark.parametrize("size", [(48, 48), (80, 112), (160, 48)])
def test_sizes_of_which_the_deepest_stages_are_uneven_are_run(size: tuple[int, int]) -> None:
    network, image = build_tiny("transweather").eval(), torch.rand(1, 3, *size, generator=rng())
    with torch.no_grad():
        assert network.run(image * 2 - 1).shape == image.shape
        torch.testing.assert_close(network.restore(image), network.run(image * 2 - 1))


def test_each_learned_query_serves_a_run_of_tokens() -> None:
    layer = WeatherAttention(BlockSize(8, heads=2), queries=48)
    layer.q.weight.data, layer.q.bias.data = torch.eye(8), torch.zeros(8)
    layer.task_query.data = torch.arange(48.0)[None, :, None].expand(1, 48, 8).contiguous()
    with torch.no_grad():
        few = layer.queries(torch.zeros(2, 4, 4, 8))
        many = layer.queries(torch.zeros(1, 8, 12, 8))
    assert few.shape == (2, 2, 16, 4)
    assert few[1, 1, :, 3].tolist() == [3.0 * i for i in range(16)]
    assert many[0, 0, :, 0].tolist() == [float(i // 2) for i in range(96)]
    # For 74 tokens, torch's float32 scale differs from the exact floor of i * 48 / 74.
    with torch.no_grad():
        odd = layer.queries(torch.zeros(1, 2, 37, 8))[0, 0, :, 0]
    assert odd.tolist() != [float(i * 48 // 74) for i in range(74)]


def test_left_out_residuals_come_from_the_generator_and_keep_the_mean() -> None:
    x = torch.ones(4000, 1, 1, 1)
    dropped = dropping(rng(1))(x, 0.25)
    assert dropped.unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    assert float(dropped.mean()) == pytest.approx(1, abs=0.03)
    assert torch.equal(dropped, dropping(rng(1))(x, 0.25))
    assert torch.equal(keep_all(x, 0.25), x)


def test_residuals_are_left_out_in_training_alone() -> None:
    network, sample = build_tiny("transweather", drop_path="0.9"), batch()
    losses = [float(network.train().losses(sample, rng(s))["smooth_l1"].detach()) for s in (0, 1)]
    assert losses[0] != losses[1]
    quiet = [float(network.eval().losses(sample, rng(s))["smooth_l1"].detach()) for s in (0, 1)]
    assert quiet[0] == quiet[1]
    restored = network.restore(sample.degraded)
    assert quiet[0] == pytest.approx(float(F.smooth_l1_loss(restored, sample.clean).detach()))


def test_rates_rise_from_the_first_block_to_the_last() -> None:
    encoder = build_full().Tenc
    names = [f"block{stage}" for stage in (1, 2, 3, 4)]
    rates = [block.drop_path for name in names for block in encoder.get_submodule(name).children()]
    assert rates == pytest.approx([0.1 * i / 7 for i in range(8)])
    branch = [encoder.get_submodule(f"patch_block{n}.0").drop_path for n in (1, 2, 3)]
    assert branch == pytest.approx([rates[0], rates[2], rates[4]])
    assert [b.drop_path for b in build_full().Tdec.block1] == pytest.approx([0, 0.1 / 15, 0.2 / 15])


def test_the_perceptual_loss_is_the_mean_error_of_three_feature_maps(random_vgg16: Path) -> None:
    network, sample = build_tiny("transweather", perceptual_weight="0.04").eval(), batch()
    terms = network.losses(sample, rng())
    assert list(terms) == ["smooth_l1", "perceptual"]
    restored, state = network.restore(sample.degraded), torch.load(random_vgg16)
    errors, maps = [], [restored, sample.clean]
    for index, _, _ in (*VGG16_CHANNELS, (12, 256, 256), (14, 256, 256)):
        if index in (5, 10):
            maps = [F.max_pool2d(x, 2) for x in maps]
        parts = [state[f"features.{index}.{part}"] for part in ("weight", "bias")]
        maps = [F.relu(F.conv2d(x, *parts, padding=1)) for x in maps]
        if index in (2, 7, 14):
            errors.append(F.mse_loss(*maps))
    expected = 0.04 * torch.stack(errors).mean()
    torch.testing.assert_close(terms["perceptual"], expected, rtol=1e-4, atol=1e-7)
    assert float(perceptual_loss(sample.clean, sample.clean, network.features).detach()) == 0
    assert not any("features" in key for key in network.state_dict())


def test_training_without_vggs_weights_is_refused_and_restoring_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_VGG16_WEIGHTS", str(tmp_path / "none.pth"))
    plan = plan_of(["transweather:perceptual_weight=0.04"], tmp_path, setting="all-weather")
    outcome = execute(plan.runs[-1], plan, Worker(device="cpu", threads=1))
    assert "perceptual_weight=0.04 cannot be trained" in outcome.error
    assert "none.pth is not there" in outcome.error
    assert outcome.error.endswith("or use perceptual_weight=0")
    network = build_tiny("transweather", perceptual_weight="0.04")
    assert isinstance(network, PreparesTraining)
    network.eval().restore(torch.rand(1, 3, 16, 16))
    build_tiny("transweather").prepare_training()


def test_the_authors_file_loads(tmp_path: Path) -> None:
    """Their file is the bare state dict of a data-parallel model."""
    theirs, ours = build_tiny("transweather", seed=0), build_tiny("transweather", seed=1)
    path = tmp_path / "best"
    torch.save({f"module.{key}": value for key, value in theirs.state_dict().items()}, path)
    load_pretrained(ours, read_pretrained(WeightsFile(path)), "transweather")
    image = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        assert torch.equal(ours.eval().restore(image), theirs.eval().restore(image))


def test_the_full_size_trains(random_vgg16: Path) -> None:
    first, second = loss_of_two_steps(build_full(), first_of(batch(side=48)))
    assert second < first


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"widths": (64, 128, 321, 512)}, "321 channels"),
        ({"decoder_heads": 7}, "7 heads"),
        ({"queries": 0}, "queries"),
        ({"drop_path": 1.0}, "drop_path=1.0"),
        ({"perceptual_weight": -0.1}, "perceptual_weight=-0.1"),
    ],
)
def test_what_cannot_be_built_is_refused_by_name(values: dict[str, object], named: str) -> None:
    with pytest.raises(OptionError, match=named):
        check_transweather(TransWeatherOptions(**values), CheckContext(TASKS, 4))
