"""The fast paths compute what the plain ones do: outputs, gradients, everywhere they run."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from harness.execution.own_operators import DEPTHWISE
from methods import blocks, convolutions, row_bands
from methods.attention import attend, attend_plainly
from methods.blocks import TransformerBlock
from methods.kernels import native
from methods.kernels.depthwise import Taps, depthwise, depthwise_rows, plain, plain_rows

TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-9, torch.bfloat16: 2e-2}
DTYPES = [torch.float32, torch.float64, torch.bfloat16]
no_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
needs_kernels = pytest.mark.skipif(
    native.kernels().library is None, reason=f"no compiled kernels: {native.kernels().reason}"
)


def close(fast: Tensor, reference: Tensor, dtype: torch.dtype) -> None:
    """Compare relative to the reference's largest value: sums cancel in single ones."""
    scale = float(reference.detach().abs().max()) or 1.0
    assert fast.shape == reference.shape
    assert (
        float((fast.detach().double() - reference.detach().double()).abs().max())
        <= TOLERANCE[dtype] * scale
    )


def both_ways(
    fast: Callable[..., Tensor],
    reference: Callable[..., Tensor],
    dtype: torch.dtype,
    *shapes: object,
) -> None:
    """Compare outputs and all gradients; the reference runs in float64 on the same values."""
    torch.manual_seed(3)
    given = [torch.randn(*shape).to(dtype).requires_grad_() for shape in shapes]  # type: ignore[misc]
    wide = [x.detach().double().requires_grad_() for x in given]
    out, expected = fast(*given), reference(*wide)
    close(out, expected, dtype)
    weights = torch.randn(expected.shape).to(dtype)
    for gradient, right in zip(
        torch.autograd.grad(out, given, weights),
        torch.autograd.grad(expected, wide, weights.double()),
        strict=True,
    ):
        close(gradient, right, dtype)


@needs_kernels
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("gated", [False, True], ids=["alone", "gated"])
@pytest.mark.parametrize("biased", [False, True], ids=["", "biased"])
@pytest.mark.parametrize("shape", [(1, 2, 1, 2), (2, 7, 5, 34), (1, 40, 33, 48)], ids=str)
def test_rows_of_a_map_join_to_the_whole(
    shape: tuple[int, int, int, int], biased: bool, gated: bool, dtype: torch.dtype
) -> None:
    torch.manual_seed(2)
    x, channels = torch.randn(shape).to(dtype), shape[-1]
    bias = torch.randn(channels).to(dtype) if biased else None
    taps = Taps(torch.randn(channels, 1, 3, 3).to(dtype), gated, bias)
    whole = plain(x.double(), taps.weight.double(), gated, None if bias is None else bias.double())
    for compute in (depthwise_rows, plain_rows):
        for step in (2, 3, 5, 64):
            parts, above = [], None
            for top in range(0, shape[1], step):
                some = x[:, top : top + step].contiguous()
                parts.append(compute(some, above, top + step < shape[1], taps))
                above = some[:, -2:]
            close(torch.cat(parts, dim=1), whole, dtype)


@needs_kernels
@pytest.mark.parametrize("gated", [False, True], ids=["alone", "gated"])
def test_a_map_larger_than_the_cache_is_the_same(gated: bool) -> None:
    both_ways(
        lambda x, w: depthwise(x, w, gated),
        lambda x, w: plain(x, w, gated),
        torch.float32,
        (1, 96, 96, 192),  # 7 MB; with the gate, half of that leaves
        (192, 1, 3, 3),
    )


@needs_kernels
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("gated", [False, True], ids=["alone", "gated"])
@pytest.mark.parametrize(
    "shape",
    [(1, 1, 1, 2), (1, 1, 9, 8), (1, 7, 1, 10), (2, 17, 5, 34), (1, 33, 71, 26), (3, 16, 32, 16)],
    ids=str,
)
def test_depthwise_equals_torch(
    shape: tuple[int, int, int, int], gated: bool, dtype: torch.dtype
) -> None:
    both_ways(
        lambda x, w: depthwise(x, w, gated),
        lambda x, w: plain(x, w, gated),
        dtype,
        shape,
        (shape[-1], 1, 3, 3),
    )


@needs_kernels
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("gated", [False, True], ids=["alone", "gated"])
@pytest.mark.parametrize("shape", [(1, 1, 1, 2), (2, 17, 5, 34), (1, 33, 71, 26)], ids=str)
def test_depthwise_with_a_bias_equals_torch(
    shape: tuple[int, int, int, int], gated: bool, dtype: torch.dtype
) -> None:
    both_ways(
        lambda x, w, b: depthwise(x, w, gated, b),
        lambda x, w, b: plain(x, w, gated, b),
        dtype,
        shape,
        (shape[-1], 1, 3, 3),
        (shape[-1],),
    )


@needs_kernels
def test_depthwise_skips_unwanted_gradients_about_a_bias() -> None:
    x, weight, bias = torch.randn(1, 6, 5, 4), torch.randn(4, 1, 3, 3), torch.randn(4)
    (only,) = torch.autograd.grad(depthwise(x, weight, False, bias.requires_grad_()).sum(), bias)
    assert torch.equal(only, torch.full((4,), 30.0))
    x.requires_grad_()
    (only,) = torch.autograd.grad(depthwise(x, weight, True, bias.detach()).sum(), x)
    assert only.shape == x.shape


@needs_kernels
def test_gate_is_exact_in_the_tails() -> None:
    x = torch.linspace(-30, 30, 4001).reshape(1, 1, -1, 1)
    x = torch.cat([x, torch.ones_like(x)], dim=-1)
    centre = torch.zeros(2, 1, 3, 3)
    centre[:, :, 1, 1] = 1
    expected = torch.nn.functional.gelu(x[..., :1].double())
    assert float((depthwise(x, centre, True).double() - expected).abs().max()) < 5e-6


@needs_kernels
def test_depthwise_does_not_depend_on_threads() -> None:
    torch.manual_seed(0)
    x, w = torch.randn(2, 40, 24, 20, requires_grad=True), torch.randn(20, 1, 3, 3)
    w.requires_grad_()
    found = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            out = depthwise(x, w, True)
            found.append([out, *torch.autograd.grad(out.sum(), (x, w))])
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


@needs_kernels
def test_depthwise_takes_maps_that_are_not_contiguous_and_skips_unwanted_gradients() -> None:
    x = torch.randn(1, 6, 5, 9).permute(0, 2, 3, 1)[..., :4]
    weight = torch.randn(4, 1, 3, 3, requires_grad=True)
    out = depthwise(x, weight, False)
    close(out, plain(x.double(), weight.double(), False), torch.float32)
    (only,) = torch.autograd.grad(out.sum(), weight)
    assert only.shape == weight.shape


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 7, 5, 17), (2, 129, 31, 17)], ids=str)
def test_point_convolutions_are_products(
    shape: tuple[int, int, int, int], threads: int, dtype: torch.dtype
) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        outputs = 2 * shape[-1] + 1
        both_ways(
            convolutions.pointwise,
            lambda x, w, b: x @ w.flatten(1).t() + b,
            dtype,
            shape,
            (outputs, shape[-1], 1, 1),
            (outputs,),
        )
    finally:
        torch.set_num_threads(before)


def test_point_convolutions_run_in_onednn_with_one_thread() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        x, layer = torch.rand(1, 8, 161, 153, requires_grad=True), convolutions.conv1x1(8, 12)
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as found:
            layer(x).sum().backward()
    finally:
        torch.set_num_threads(before)
    operators = {event.key for event in found.key_averages()}
    assert "aten::mkldnn_convolution" in operators
    assert not any("slow_conv" in name for name in operators)


@pytest.mark.parametrize(
    "path", [convolutions.pointwise, convolutions.PointConv], ids=["function", "layer"]
)
def test_point_convolutions_have_right_gradients(path: object) -> None:
    torch.manual_seed(2)
    x = torch.randn(2, 3, 5, 4, dtype=torch.float64, requires_grad=True)
    if path is convolutions.PointConv:
        layer = convolutions.PointConv(3, 6).double()
        assert torch.autograd.gradcheck(lambda given: layer(given), (x,))
        return
    weight = torch.randn(6, 4, 1, 1, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(convolutions.pointwise, (x, weight))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    ("n", "pixels", "channels", "heads"), [(1, 5, 4, 2), (2, 35, 24, 3), (2, 2051, 6, 2)]
)
def test_attention_equals_the_published_form(
    n: int, pixels: int, channels: int, heads: int, dtype: torch.dtype
) -> None:
    both_ways(
        attend,
        attend_plainly,
        dtype,
        (n, pixels, 3 * channels),
        (heads, 1, 1),
        (channels + 1, channels),
    )


def test_attention_of_empty_channels_is_finite_as_published() -> None:
    qkv = torch.randn(1, 9, 12, dtype=torch.float64)
    qkv[..., 0] = 0
    temperature, weight = torch.ones(1, 1, 1).double(), torch.eye(4).double()
    found = []
    for path in (attend, attend_plainly):
        given = qkv.clone().requires_grad_()
        out = path(given, temperature, weight)
        found.append((out, torch.autograd.grad(out.square().sum(), given)[0]))
    (out, gradient), (expected, right) = found
    close(out, expected, torch.float64)
    # At a norm of zero the slope is 1e12 of the others: those are compared.
    close(gradient[..., 1:], right[..., 1:], torch.float64)
    assert bool(gradient.isfinite().all())


@pytest.fixture
def plain_blocks(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return a switch that replaces every fast path in the blocks."""

    def switch() -> None:
        monkeypatch.setattr(row_bands, "depthwise", plain)
        monkeypatch.setattr(blocks, "attend", attend_plainly)

    return switch


def recording(seen: set[torch.dtype]) -> Callable[..., Tensor]:
    """Return ``depthwise_rows``, noting what precision it is given."""

    def note(x: Tensor, above: Tensor | None, open_below: bool, taps: Taps) -> Tensor:
        seen.add(x.dtype)
        return depthwise_rows(x, above, open_below, taps)

    return note


@pytest.mark.parametrize("autocast", [False, True], ids=["fp32", "bf16"])
@pytest.mark.parametrize("shape", [(1, 16, 1, 3), (1, 16, 23, 7), (2, 16, 17, 24)], ids=str)
def test_block_in_bands_equals_the_whole(
    shape: tuple[int, ...], autocast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(1)
    block, x = TransformerBlock(shape[1], heads=2, expansion=2.66), torch.randn(shape)
    dtype = torch.bfloat16 if autocast else torch.float32
    if not autocast:
        block, x, dtype = block.double(), x.double(), torch.float64
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        whole = block(x)
        for rows in (1, 4, 7, 100):
            # Two halves of 42 hidden channels, extended to 48, are the widest map.
            elements = rows * shape[0] * shape[3] * 96
            monkeypatch.setattr(row_bands, "STREAMED_ELEMENTS", {"cpu": elements, "cuda": 1})
            widths = set[torch.dtype]()
            monkeypatch.setattr(row_bands, "depthwise_rows", recording(widths))
            with torch.no_grad():
                found = block(x)
            assert found.dtype == whole.dtype
            assert widths == {dtype}
            close(found, whole, dtype)


@pytest.mark.parametrize("autocast", [False, True], ids=["fp32", "bf16"])
@pytest.mark.parametrize("shape", [(1, 16, 13, 7), (2, 16, 8, 24)], ids=str)
def test_block_equals_its_plain_self(
    shape: tuple[int, ...], autocast: bool, plain_blocks: Callable[[], None]
) -> None:
    torch.manual_seed(1)
    block = TransformerBlock(shape[1], heads=2, expansion=2.66)
    x = torch.randn(shape, requires_grad=True)

    def run() -> list[Tensor]:
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            out = block(x)
        return [out, *torch.autograd.grad(out.float().square().sum(), (x, *block.parameters()))]

    fast = run()
    plain_blocks()
    for found, expected in zip(fast, run(), strict=True):
        close(found, expected, torch.bfloat16 if autocast else torch.float32)


def test_block_compiles_whole() -> None:
    torch.manual_seed(1)
    block = TransformerBlock(8, heads=2, expansion=2.0)
    x = torch.randn(1, 8, 6, 5, requires_grad=True)
    compiled = torch.compile(block, fullgraph=True, backend="aot_eager")
    found, expected = (
        [y, *torch.autograd.grad(y.square().sum(), x)] for y in (compiled(x), block(x))
    )
    for a, b in zip(found, expected, strict=True):
        close(a, b, torch.float32)


@pytest.mark.parametrize(
    ("environment", "reason"),
    [({"HARNESS_KERNELS": "off"}, "HARNESS_KERNELS=off"), ({"PATH": ""}, "no C++ compiler")],
    ids=["switched off", "no compiler"],
)
def test_without_kernels_the_plain_path_runs(environment: dict[str, str], reason: str) -> None:
    program = (
        "import torch; from methods.blocks import TransformerBlock; "
        "from methods.kernels.native import kernels; "
        "TransformerBlock(8, 1, 2.0)(torch.rand(1, 8, 5, 5)).sum().backward(); "
        "from harness.method import runtime_notes; "
        "print(kernels().library, runtime_notes()['depthwise kernels'])"
    )

    given = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment}
    given.pop("CXX", None)
    done = subprocess.run(
        [sys.executable, "-c", program], env=given, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith(f"None {reason}")


def test_a_failing_compiler_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("CXX", "false")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(native.SWITCH, raising=False)
    found = native.kernels.__wrapped__()
    assert found.library is None
    assert "false failed" in found.reason


@needs_kernels
def test_a_cache_that_cannot_be_written_has_a_fallback(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blocked = tmp_path / "a file where the cache should be"
    blocked.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    found = native.kernels.__wrapped__()
    assert found.reason == "compiled"
    said = capsys.readouterr().err
    assert "could not be built or loaded" in said
    assert f"compiled kernels are in {native.fallback_folder()} instead" in said


def test_kernels_that_are_off_say_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.delenv(native.SWITCH, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    monkeypatch.setattr(native, "fallback_folder", lambda: blocked)
    assert native.kernels.__wrapped__().library is None
    assert "changes the last digits of results" in capsys.readouterr().err
    monkeypatch.setenv(native.SWITCH, "off")
    assert native.kernels.__wrapped__().library is None
    assert not capsys.readouterr().err


def test_without_a_home_there_is_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(cls: type[Path]) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", classmethod(homeless))
    assert native.cache_folder() == native.fallback_folder()


@pytest.mark.cuda
@no_gpu
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16], ids=str)
def test_block_on_cuda_equals_the_cpu(precision: torch.dtype) -> None:
    torch.manual_seed(1)
    block, x = TransformerBlock(16, heads=2, expansion=2.66), torch.randn(2, 16, 24, 24)
    expected = block(x)
    expected.square().sum().backward()
    right = [p.grad.clone() for p in block.parameters() if p.grad is not None]
    block.zero_grad()
    block.cuda()
    with torch.autocast("cuda", torch.bfloat16, enabled=precision == torch.bfloat16):
        out = block(x.cuda().contiguous(memory_format=torch.channels_last))
    out.float().square().sum().backward()
    tolerated = torch.bfloat16 if precision == torch.bfloat16 else torch.float32
    close(out.cpu(), expected, tolerated)
    for parameter, gradient in zip(block.parameters(), right, strict=True):
        assert parameter.grad is not None
        close(parameter.grad.cpu(), gradient, tolerated)


@pytest.mark.cuda
@no_gpu
def test_block_on_cuda_compiles() -> None:
    torch.manual_seed(1)
    block = TransformerBlock(16, heads=2, expansion=2.66).cuda()
    x = torch.randn(1, 16, 24, 24, device="cuda")
    close(torch.compile(block)(x).cpu(), block(x).cpu(), torch.float32)


def test_operators_that_are_counted_are_all_of_them() -> None:
    own = {name for name in torch._C._dispatch_get_all_op_names() if name.startswith("harness::")}
    assert {f"harness::{name}" for name in DEPTHWISE} == own
