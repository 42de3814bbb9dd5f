"""How far a training step is from the machine's limit: shares, bounds and bytes."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

from harness.api.speed import operators
from harness.api.speed.limits import OperatorTime, StepProfile, StepProfiles
from harness.api.speed.networks import NetworkCase
from harness.api.speed.operators import part_of, profiled
from harness.api.speed.result import Machine
from harness.api.speed.traffic import depthwise_bytes
from harness.cli import app
from harness.config.errors import UsageError
from harness.execution.step_flop import gflop_of_step, product_gflop_of_step
from harness.method import Batch, BuildContext
from methods.kernels.depthwise import depthwise, native

MACHINE = Machine(
    processor="one",
    cores=1,
    threads=1,
    torch="2",
    python="3",
    fp32_gflops=100.0,
    bf16_gflops=200.0,
    copy_gb_s=10.0,
)
CHANNELS, SIDE = 4, 16


class Two(nn.Module):
    """A point-wise and a depth-wise convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Conv2d(3, CHANNELS, 1)
        self.deep = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, groups=CHANNELS)

    def restore(self, degraded: Tensor, tasks: tuple[str, ...] | None = None) -> Tensor:
        restored: Tensor = self.deep(self.wide(degraded))[:, :3]
        return restored

    def losses(self, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        return {"l1": (self.restore(batch.degraded) - batch.clean).abs().mean()}


def build(context: BuildContext[object]) -> Two:
    return Two()


@pytest.mark.parametrize(
    ("name", "shapes", "part"),
    [
        ("aten::bmm", [[2, 3, 4], [2, 4, 5]], "products"),
        ("aten::addmm_", [[3, 5], [3, 4], [4, 5]], "products"),
        ("aten::mkldnn_convolution", [[1, 4, 8, 8], [8, 4, 1, 1], []], "products"),
        ("aten::mkldnn_convolution", [[1, 4, 8, 8], [4, 1, 3, 3], []], "depthwise"),
        ("aten::convolution_backward", [[1, 4, 8, 8], [1, 4, 8, 8], [4, 1, 3, 3]], "depthwise"),
        ("aten::convolution_backward", [[1, 4, 8, 8], [1, 1, 8, 8], [4, 4, 3, 3]], "products"),
        ("aten::conv2d", [[1, 1, 8, 8], [1, 1, 3, 3], []], "products"),
        ("harness::depthwise_backward", [], "depthwise"),
        ("GeneratedBackwardFor_harness_depthwise_default", [], "depthwise"),
        ("aten::gelu", [[1, 4, 8, 8]], "rest"),
        ("_AttendBackward", [], "rest"),
        ("Optimizer.step#AdamW.step", [], "rest"),
    ],
)
def test_operators_count_to_a_part(name: str, shapes: list[list[int]], part: str) -> None:
    assert part_of(name, shapes) == part


def test_depthwise_convolutions_are_no_products() -> None:
    network = NetworkCase(size="tiny", batch=2, side_px=SIDE)
    spec, train = network.specs()
    spec = replace(spec, build=f"{__name__}:build")
    pixels = 2 * SIDE * SIDE
    wide = 2 * pixels * 3 * CHANNELS
    deep = 2 * pixels * 9 * CHANNELS
    # Images need no gradient, so the first convolution is differentiated once.
    assert product_gflop_of_step(spec, train) == pytest.approx(2 * wide / 1e9)
    assert gflop_of_step(spec, train) == pytest.approx((2 * wide + 3 * deep) / 1e9)


def own_kernels(weight: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda x: depthwise(x, weight, gated=True)


def plainly(weight: Tensor) -> Callable[[Tensor], Tensor]:
    return lambda x: nn.functional.conv2d(x, weight, padding=1, groups=CHANNELS)


@pytest.mark.parametrize(("form", "halves"), [(own_kernels, True), (plainly, False)])
def test_each_map_is_moved_once(
    form: Callable[[Tensor], Callable[[Tensor], Tensor]], halves: bool
) -> None:
    if halves and not native(torch.zeros(1)):
        pytest.skip("the kernels are not compiled here")
    weight = torch.rand(CHANNELS, 1, 3, 3, requires_grad=True)
    shape = (2, SIDE, SIDE, CHANNELS) if halves else (2, CHANNELS, SIDE, SIDE)
    maps = torch.rand(shape, requires_grad=True)
    moved = depthwise_bytes(lambda: form(weight)(maps * 1.0).sum().backward())
    written = maps.nbytes // 2 if halves else maps.nbytes
    forward = maps.nbytes + weight.nbytes + written
    backward = 2 * maps.nbytes + 2 * weight.nbytes + written
    assert moved == forward + backward


@pytest.fixture(scope="module")
def profile() -> StepProfile:
    torch.manual_seed(0)
    network, images = Two(), torch.rand(2, 3, SIDE, SIDE)
    clock = itertools.count(0.0, 60.0)

    def step() -> None:
        network.restore(images).square().sum().backward()

    return profiled("tiny", step, 0.5, MACHINE, clock=lambda: next(clock))


def test_parts_sum_to_the_step(profile: StepProfile) -> None:
    assert profile.step_s == 60
    shares = [profile.share(part) for part in ("products", "depthwise", "rest")]
    assert sum(shares) == pytest.approx(1)
    assert min(shares) > 0
    own_s = [operator.own_s for operator in profile.operators]
    assert own_s == sorted(own_s, reverse=True)
    assert profile.seconds("products") + profile.seconds("depthwise") < sum(own_s) < 60
    assert len({(one.name, one.part) for one in profile.operators}) == len(profile.operators)


def test_bounds_follow_from_the_parts(profile: StepProfile) -> None:
    products_s = profile.seconds("products")
    assert profile.products_alone == pytest.approx(60 / products_s)
    assert profile.products_alone is not None
    assert profile.products_alone >= 1
    assert profile.at_matrix_rate == pytest.approx(60 / (0.5 / 100))
    assert profile.matrix_share == pytest.approx(0.5 / products_s / 100)
    # The two bounds differ by the share of the rate that products reach.
    assert profile.products_alone / profile.matrix_share == pytest.approx(profile.at_matrix_rate)
    copied_s = profile.depthwise_bytes / 10e9
    assert profile.depthwise_over_copy == pytest.approx(profile.seconds("depthwise") / copied_s)


MADE_UP = StepProfile(
    name="ours",
    step_s=4.0,
    operators=(
        OperatorTime("aten::mkldnn_convolution", "products", 2.5, 7),
        OperatorTime("harness::depthwise", "depthwise", 0.5, 3),
        OperatorTime("aten::add", "rest", 0.25, 2),
    ),
    gflop=200.0,
    depthwise_bytes=1_000_000_000,
    machine=MACHINE,
)


def test_the_text_says_how_far_the_step_is() -> None:
    text = " ".join(MADE_UP.text().split())
    assert "ours: 4.00 s" in text
    assert "matrix products and convolutions 62% 200 GFLOP at 80% of the machine's 100" in text
    assert "depth-wise convolutions 12% 5.0 times as long as copying 1.0 GB at 10 GB/s" in text
    assert "everything else 25%" in text
    assert "were free: 1.60 times as fast; if they ran at the machine's rate besides: 2.00" in text


def test_what_cannot_be_known_is_left_out() -> None:
    bare = replace(MADE_UP, operators=MADE_UP.operators[2:], gflop=None, depthwise_bytes=0)
    assert (bare.products_alone, bare.at_matrix_rate, bare.matrix_share) == (None, None, None)
    assert bare.depthwise_over_copy is None
    assert bare.share("rest") == 1
    assert "no matrix products or convolutions" in bare.text()


def test_the_command_prints_the_profile_and_writes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operators, "profile_step", lambda threads: StepProfiles([MADE_UP]))
    file = tmp_path / "profile.json"
    result = CliRunner().invoke(app, ["bench", "--profile", "--json", str(file)])
    assert result.exit_code == 0
    assert "1.60 times as fast" in result.stdout
    stored = json.loads(file.read_text(encoding="utf-8"))
    assert stored["machine"]["fp32_gflops"] == 100
    (step,) = stored["steps"]
    assert step["shares"] == {"products": 0.625, "depthwise": 0.125, "rest": 0.25}
    assert (step["products_alone"], step["at_matrix_rate"]) == (1.6, 2.0)
    assert [one["part"] for one in step["operators"]] == ["products", "depthwise", "rest"]


def test_a_profile_is_compared_with_nothing(tmp_path: Path) -> None:
    words = ["bench", "--profile", "--compare", str(tmp_path / "old.json")]
    result = CliRunner().invoke(app, words)
    assert isinstance(result.exception, UsageError)
    assert "leave --compare, --rows and --growth out" in str(result.exception)
