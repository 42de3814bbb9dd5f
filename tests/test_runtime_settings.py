"""What a recipe's ``runtime`` sets: it changes no hash, and no number but by rounding of sums."""

from __future__ import annotations

import copy
import importlib
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.config.errors import HarnessError, Interrupted, UsageError
from harness.config.recipes import Runtime
from harness.data.sources.samples import Samples
from harness.planning.plan import Plan
from harness.training.arithmetic import tf32
from harness.training.batches import batches
from harness.training.blocks import blocks_of, prepare_blocks
from tests.networks import batch, build_tiny
from tests.plans import plan_of
from tests.trainings import assert_same, job_of, stop_after, trained

RECIPE = """
base: smoke
train: {steps: 2, batch: 2, warmup_steps: 1, decay_steps: 2, validate_every_steps: 2}
runtime: {checkpoint_every_steps: 1, %s}
"""


def two_steps(folder: Path, setting: str, method: str = "restormer") -> Plan:
    folder.mkdir(parents=True)
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE % setting)
    return plan_of([method], folder, recipe=str(recipe))


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("activation_memory: much", "'much' is no amount of memory; write it as 4GB"),
        ("activation_memory: 0GB", "'0GB' is no amount of memory"),
        ("activation_memory: 4", "activation_memory"),
        ("check_every_steps: 0", "check_every_steps"),
        ("compile: 2", "compile"),
        ("tf32: often", "tf32"),
        ("channel_last: true", "channels_last"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_computed(
    tmp_path: Path, setting: str, named: str
) -> None:
    with pytest.raises(UsageError, match=named):
        two_steps(tmp_path / "a", setting)


@pytest.mark.parametrize(
    ("amount", "expected"), [("4GB", 4 * 10**9), ("1.5 gb", 1_500_000_000), ("800MB", 8 * 10**8)]
)
def test_amounts_of_memory(amount: str, expected: int) -> None:
    runtime = Runtime(
        checkpoint_every_steps=1, expected_step_s=1, expected_on="x", activation_memory=amount
    )
    assert runtime.activation_bytes == expected


def test_losses_are_read_every_step_of_a_cpu_alone() -> None:
    runtime = Runtime(checkpoint_every_steps=1, expected_step_s=1, expected_on="x")
    assert (runtime.check_steps("cpu"), runtime.check_steps("cuda")) == (1, 10)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, dict[str, Tensor]]:
    plan = two_steps(tmp_path_factory.mktemp("plain") / "out", "compile: false")
    return plan, trained(plan)


@pytest.mark.parametrize(
    "setting", ["activation_memory: 1kB", "check_every_steps: 9", "tf32: true", "tf32: false"]
)
def test_no_bit_and_no_hash_changes(
    tmp_path: Path, plain: tuple[Plan, dict[str, Tensor]], setting: str
) -> None:
    plan = two_steps(tmp_path / "out", setting)
    assert plan.runs[-1].weights_id == plain[0].runs[-1].weights_id
    with pytest.raises(Interrupted):
        trained(plan, stop=stop_after(1))
    assert_same(trained(plan), plain[1])


def test_layout_changes_the_rounding_of_sums_at_most(
    tmp_path: Path, plain: tuple[Plan, dict[str, Tensor]]
) -> None:
    found = trained(two_steps(tmp_path / "out", "channels_last: false"))
    for key, value in found.items():
        torch.testing.assert_close(value, plain[1][key], rtol=1e-3, atol=1e-4)


# --- blocks that are computed again ------------------------------------------------------


def gradients(method: Any) -> dict[str, Tensor]:
    terms = method.train().losses(batch(), torch.Generator().manual_seed(0))
    torch.stack(list(terms.values())).sum().backward()
    return {name: p.grad for name, p in method.named_parameters() if p.grad is not None}


def kept_bytes(method: Any) -> int:
    found: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        found[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        terms = method.train().losses(batch(), torch.Generator().manual_seed(0))
    assert terms
    return sum(found.values())


@pytest.mark.parametrize(
    "name", ["restormer", "cpl", "adair", "drsformer", "airnet", "moceir", "histoformer", "dfpir"]
)
def test_blocks_that_are_computed_again_give_the_same_gradients(name: str, tmp_path: Path) -> None:
    plan = two_steps(tmp_path / "out", "activation_memory: 1kB")
    method, other = build_tiny(name), build_tiny(name)
    lines: list[str] = []
    names = list(method.state_dict())
    prepare_blocks(method, job_of(plan), torch.device("cpu"), lines.append)
    assert list(method.state_dict()) == names
    assert "more than 1kB, so lower micro_batch" in lines[0]
    assert_same(gradients(method), gradients(other))


def test_blocks_that_are_frozen_meanwhile_are_computed_again_as_they_were(tmp_path: Path) -> None:
    plan = two_steps(tmp_path / "out", "activation_memory: 1kB")
    options = {"cpr_gradient": "prompts", "cpr_start": "0"}
    method, other = (build_tiny("adair+cpl-guided", **options) for _ in range(2))
    prepare_blocks(method, job_of(plan), torch.device("cpu"), lambda _: None)
    assert_same(gradients(method), gradients(other))


def test_as_many_blocks_are_computed_again_as_memory_asks_for(tmp_path: Path) -> None:
    lines: list[str] = []
    kept = []
    for amount in ("1TB", "6MB", "1kB"):
        method = build_tiny("restormer")
        plan = two_steps(tmp_path / amount, f"activation_memory: {amount}")
        prepare_blocks(method, job_of(plan), torch.device("cpu"), lines.append)
        kept.append(kept_bytes(method))
    count = len(blocks_of(build_tiny("restormer")))
    assert lines[0].startswith(f"activation_memory: 0 of {count} blocks")
    assert lines[2].startswith(f"activation_memory: {count} of {count} blocks")
    again = int(lines[1].split()[1])
    assert 0 < again < count
    assert kept[0] > kept[1] > kept[2]


# --- compiled blocks ---------------------------------------------------------------------


def test_compiled_blocks_compute_nearly_the_same(
    tmp_path: Path, plain: tuple[Plan, dict[str, Tensor]], monkeypatch: pytest.MonkeyPatch
) -> None:
    compile_ = torch.compile
    # Traced and differentiated as for any backend, and not written as C++, which takes minutes.
    monkeypatch.setattr(torch, "compile", partial(compile_, backend="aot_eager"))
    plan = two_steps(tmp_path / "out", "compile: true")
    assert plan.runs[-1].weights_id == plain[0].runs[-1].weights_id
    found = trained(plan)
    assert found.keys() == plain[1].keys()
    for key, value in found.items():
        torch.testing.assert_close(value, plain[1][key], rtol=1e-3, atol=1e-4)


def test_without_a_compiler_it_trains_without(
    tmp_path: Path, plain: tuple[Plan, dict[str, Tensor]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no C++ compiler\nat all")

    monkeypatch.setattr(torch, "compile", fail)
    lines: list[str] = []
    plan = two_steps(tmp_path / "out", "compile: true")
    prepare_blocks(build_tiny("restormer"), job_of(plan), torch.device("cpu"), lines.append)
    assert lines == ["compile: torch.compile does not work here (no C++ compiler); trains without"]
    assert_same(trained(plan), plain[1])


class Scaled(nn.Module):
    """A block; ``factor`` makes each another one to the compiler."""

    recomputable = True

    def __init__(self, width: int, factor: float) -> None:
        super().__init__()
        self.inner = nn.Conv2d(width, width, 1)
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        scaled: Tensor = x + self.factor * torch.relu(self.inner(x))
        return scaled


class Shifted(Scaled):
    """Blocks of another class."""

    def forward(self, x: Tensor) -> Tensor:
        return 1 + super().forward(x)


@pytest.fixture
def compiled_by(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any], None]]:
    """Return what names the backend of ``torch.compile``."""
    dynamo = importlib.import_module("torch._dynamo.config")
    names = [
        name
        for name in ("recompile_limit", "cache_size_limit", "accumulated_recompile_limit")
        if hasattr(dynamo, name)
    ]
    before = {name: getattr(dynamo, name) for name in names}
    compile_ = torch.compile

    def use(backend: Any) -> None:
        monkeypatch.setattr(torch, "compile", partial(compile_, backend=backend))

    torch.compiler.reset()
    yield use
    torch.compiler.reset()
    for name, value in before.items():
        setattr(dynamo, name, value)


def prepared(folder: Path, network: nn.Module) -> list[str]:
    lines: list[str] = []
    plan = two_steps(folder / "out", "compile: true")
    prepare_blocks(network, job_of(plan), torch.device("cpu"), lines.append)
    return lines


def test_each_block_is_compiled_for_each_shape(
    tmp_path: Path, compiled_by: Callable[[Any], None]
) -> None:
    seen: list[tuple[Any, ...]] = []

    def backend(graph: Any, inputs: list[Any]) -> Any:
        seen.append(tuple(type(size) for value in inputs for size in value.shape))
        return graph.forward

    compiled_by(backend)
    network = nn.Sequential(*(Scaled(4, 1 + number / 7) for number in range(12))).train()
    lines = prepared(tmp_path, network)
    assert lines[0] == "compile: 12 blocks are compiled in their first step"
    seen.clear()
    for sides, count in ((8, 12), (8, 12), (6, 24), (5, 36)):
        network(torch.ones(2, 4, sides, sides)).sum().backward()
        assert len(seen) == count
    assert {kind for kinds in seen for kind in kinds} == {int}


@pytest.mark.parametrize("phase", ["forward", "backward"])
def test_blocks_that_cannot_be_compiled_train_as_they_are(
    tmp_path: Path, compiled_by: Callable[[Any], None], phase: str
) -> None:
    from functorch.compile import make_boxed_func

    aot_autograd = importlib.import_module("torch._dynamo.backends.common").aot_autograd
    tried: list[int] = []

    def passes(graph: Any, inputs: list[Any]) -> Any:
        return make_boxed_func(graph.forward)

    def fails(graph: Any, inputs: list[Any]) -> Any:
        names = [str(node.target) for node in graph.graph.nodes]
        if not any("convolution" in name for name in names):
            return passes(graph, inputs)  # what tries whether anything can be compiled
        tried.append(len(inputs))
        raise RuntimeError(f"no {phase} pass\nat all")

    both = {"fw_compiler": passes, "bw_compiler": passes}
    both["fw_compiler" if phase == "forward" else "bw_compiler"] = fails
    compiled_by(aot_autograd(**both))
    blocks = [Scaled(4, 1.0), Shifted(4, 1.0), Scaled(4, 2.0), Shifted(4, 3.0)]
    network = nn.Sequential(*blocks).train()
    plainly = copy.deepcopy(network)
    lines = prepared(tmp_path, network)
    image = torch.rand(2, 4, 8, 8)
    for _ in range(2):
        network(image).sum().backward()
        plainly(image).sum().backward()
    for found, expected in zip(network.parameters(), plainly.parameters(), strict=True):
        assert torch.equal(found.grad, expected.grad)
    assert len(tried) == 2
    for line, name in zip(lines[2:], ("Scaled", "Shifted"), strict=True):
        assert line.startswith(f"compile: {name} cannot be compiled (")
        assert f"no {phase} pass" in line
        assert line.endswith("); such blocks train without")


def test_memory_that_runs_out_in_a_compiled_block_ends_the_step(
    tmp_path: Path, compiled_by: Callable[[Any], None]
) -> None:
    def backend(graph: Any, inputs: list[Any]) -> Any:
        def run(*_: Any) -> Any:
            raise torch.OutOfMemoryError("CUDA out of memory")

        return run if len(inputs) > 1 else graph.forward

    compiled_by(backend)
    network = nn.Sequential(Scaled(4, 1.0)).train()
    lines = prepared(tmp_path, network)
    with pytest.raises(torch.OutOfMemoryError):
        network(torch.rand(2, 4, 8, 8))
    assert len(lines) == 2


def test_a_cpu_is_advised_to_compare(tmp_path: Path, compiled_by: Callable[[Any], None]) -> None:
    compiled_by("eager")
    lines = prepared(tmp_path, nn.Sequential(Scaled(4, 1.0)))
    assert lines[1].startswith("compile: on a CPU the first step takes minutes")
    assert prepared(tmp_path / "no", nn.Sequential(nn.ReLU())) == [
        "compile: this network marks no blocks that could be compiled; trains without"
    ]


def test_a_network_without_blocks_is_trained_as_it_is(tmp_path: Path) -> None:
    lines: list[str] = []
    plan = two_steps(tmp_path / "out", "compile: true")
    prepare_blocks(build_tiny("task-classifier"), job_of(plan), torch.device("cpu"), lines.append)
    assert lines == ["compile: this network marks no blocks that could be compiled; trains without"]


def test_tf32_holds_for_the_training_alone() -> None:
    products, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    before = (products.allow_tf32, convolutions.allow_tf32)
    for allowed in (True, False):
        with tf32(allowed):
            assert (products.allow_tf32, convolutions.allow_tf32) == (allowed, allowed)
        assert (products.allow_tf32, convolutions.allow_tf32) == before


# --- batches that are made ahead ---------------------------------------------------------


class Stream:
    """Counts the batches that were asked for, and fails at one."""

    def __init__(self, fails_at: int = -1, error: Exception | None = None) -> None:
        self.train: Any = type("Steps", (), {"steps": 20})()
        self.made: list[int] = []
        self.fails_at, self.error = fails_at, error

    def batch(self, step: int, slots: range | None = None) -> Samples:
        self.made.append(step)
        if step == self.fails_at and self.error is not None:
            raise self.error
        return Samples(None, None, (), step)  # type: ignore[arg-type]


def threads() -> list[str]:
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name.startswith("batches")]


def test_a_thread_makes_a_few_batches_ahead_and_ends_with_them() -> None:
    stream: Any = Stream()
    made: Iterator[Samples] = batches(stream, 3, None)
    assert next(made).step == 3
    deadline = time.monotonic() + 10
    while len(stream.made) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert stream.made == [3, 4, 5]
    assert threads()
    made.close()  # type: ignore[attr-defined]
    assert not threads()
    assert [samples.step for samples in batches(stream, 15, None)] == [15, 16, 17, 18, 19]
    assert not threads()


@pytest.mark.parametrize("error", [HarnessError("rain.png is damaged"), ValueError("a fault")])
def test_an_error_of_the_thread_comes_at_its_step(error: Exception) -> None:
    stream: Any = Stream(2, error)
    made = batches(stream, 0, None)
    assert [next(made).step, next(made).step] == [0, 1]
    with pytest.raises(type(error), match=str(error)):
        next(made)
    assert not threads()
