"""Check the compiled kernels on other processors than this machine's.

python -m benchmarks.kernels_elsewhere

Compiles ``methods/kernels/depthwise.cpp`` for Arm (NEON) with a cross compiler, and for the levels
of x86-64, and compares what the programs compute with torch's operators on this machine. Arm's run
under an emulator, which says what is right and nothing of speed; Debian's packages
``g++-aarch64-linux-gnu`` and ``qemu-user`` bring both. What this machine cannot compile or run is
listed as not run, and then the exit code is 1, as it is for values that differ.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from methods.kernels.depthwise import COMPUTE, NAMES, Taps, plain, plain_rows
from methods.kernels.native import FLAGS, SOURCE

_TARGETS = {
    "Arm, NEON": ("aarch64-linux-gnu-g++", "armv8-a", ("qemu-aarch64",)),
    "Arm, NEON with bf16": ("aarch64-linux-gnu-g++", "armv8.6-a", ("qemu-aarch64", "-cpu", "max")),
    "x86-64, SSE2": ("g++", "x86-64", ()),
    "x86-64, AVX2": ("g++", "x86-64-v3", ()),
    "x86-64, AVX-512": ("g++", "x86-64-v4", ()),
}
"""Compiler, -march, and what runs the program."""

_LIMITS = {torch.float32: 1e-4, torch.float64: 1e-9, torch.bfloat16: 2e-2}
"""Largest difference, as a share of the largest value; the program knows types by their place."""

_SHAPES = ((1, 1, 1, 2), (2, 5, 7, 6), (1, 19, 33, 40), (1, 4, 3, 96))
"""Images, height, width, channels: odd sizes, whole vectors and what no vector covers."""

_PROGRAM = """
#include "SOURCE"
#include <cstdio>
#include <vector>

std::vector<char> read_bytes(int64_t size) {
  std::vector<char> bytes(size);
  if (size && fread(bytes.data(), 1, size, stdin) != size_t(size)) abort();
  return bytes;
}

int main() {
  int64_t sizes[9], bytes[5];
  if (fread(sizes, 8, 9, stdin) != 9 || fread(bytes, 8, 5, stdin) != 5) abort();
  const int64_t n = sizes[0], h = sizes[1], w = sizes[2], c = sizes[3];
  const int gated = sizes[4], biased = sizes[5], threads = sizes[6], below = sizes[7];
  auto forward = depthwise_forward_float32;
  auto backward = depthwise_backward_float32;
  if (sizes[8] == 1) forward = depthwise_forward_float64, backward = depthwise_backward_float64;
  if (sizes[8] == 2) forward = depthwise_forward_bfloat16, backward = depthwise_backward_bfloat16;
  auto x = read_bytes(bytes[0]), above = read_bytes(bytes[1]), taps = read_bytes(bytes[2]);
  auto gradient = read_bytes(bytes[3]);
  std::vector<char> out(bytes[4]), to_x(bytes[0]), to_taps(bytes[2]);
  forward(x.data(), above.empty() ? nullptr : above.data(), below, taps.data(), out.data(), n, h,
          w, c, gated, biased, threads);
  fwrite(out.data(), 1, out.size(), stdout);
  if (gradient.empty()) return 0;
  backward(x.data(), taps.data(), gradient.data(), to_x.data(), to_taps.data(), n, h, w, c, gated,
           biased, threads);
  fwrite(to_x.data(), 1, to_x.size(), stdout);
  fwrite(to_taps.data(), 1, to_taps.size(), stdout);
}
"""


@dataclass(frozen=True)
class Case:
    """One call of the kernels: a map, what is done to it, and what is known of what is about it."""

    dtype: torch.dtype
    shape: tuple[int, int, int, int]
    gated: bool
    biased: bool
    threads: int
    is_part: bool  # rows of a map: two rows above are known, and others follow

    @property
    def computed_in(self) -> torch.dtype:
        """Type of the taps and of sums."""
        return COMPUTE.get(self.dtype, self.dtype)


def cases() -> Iterator[Case]:
    """Yield every combination."""
    flags = (False, True)
    for dtype, shape, gated, biased, is_part in itertools.product(
        _LIMITS, _SHAPES, flags, flags, flags
    ):
        for threads in (1, 2):
            yield Case(dtype, shape, gated, biased, threads, is_part)


def main() -> None:
    """Compile and run for every target, and print what was found."""
    is_right = True
    with tempfile.TemporaryDirectory() as folder:
        for target in _TARGETS:
            try:
                shares = _checked(target, Path(folder))
            except FileNotFoundError as error:
                print(f"{target}: not run, {error.filename} is not installed", flush=True)
                is_right = False
            except subprocess.CalledProcessError as error:
                print(f"{target}: not run, {error}: {error.stderr.decode()}", flush=True)
                is_right = False
            else:
                texts = [f"{NAMES[t]} {share:.1e} of {_LIMITS[t]:.0e}" for t, share in shares]
                print(f"{target}: largest differences {', '.join(texts)}", flush=True)
                is_right &= all(share <= _LIMITS[t] for t, share in shares)
    sys.exit(not is_right)


def _checked(target: str, folder: Path) -> list[tuple[torch.dtype, float]]:
    """Return the largest difference of each type.

    Raises:
        FileNotFoundError: the compiler or the emulator is missing.
        CalledProcessError: one of them, or the program, ended with an error.
    """
    compiler, march, runner = _TARGETS[target]
    program = _program(folder, compiler, march)
    found: dict[torch.dtype, list[float]] = {dtype: [] for dtype in _LIMITS}
    for case in cases():
        found[case.dtype].append(_found((*runner, str(program)), case))
    return [(dtype, max(shares)) for dtype, shares in found.items()]


def _program(folder: Path, compiler: str, march: str) -> Path:
    source, program = folder / "program.cpp", folder / f"program-{march}"
    source.write_text(_PROGRAM.replace("SOURCE", str(SOURCE)), encoding="utf-8")
    flags = [f"-march={march}" if flag == "-march=native" else flag for flag in FLAGS]
    # What -w keeps quiet is of static programs, which the kernels are not part of otherwise.
    words = [compiler, *flags, "-w", "-fopenmp", "-static", str(source), "-o", str(program)]
    subprocess.run(words, check=True, capture_output=True)
    return program


def _found(command: tuple[str, ...], case: Case) -> float:
    """Return the largest difference from torch, as a share of the largest value."""
    rng = torch.Generator().manual_seed(0)
    n, _, width, channels = case.shape

    def drawn(*shape: int, dtype: torch.dtype = case.dtype) -> Tensor:
        return torch.randn(*shape, generator=rng, dtype=torch.float64).to(dtype)

    x = drawn(*case.shape)
    above = drawn(n, 2, width, channels) if case.is_part else None
    taps = drawn(9 + case.biased, channels, dtype=case.computed_in)
    expected = _expected(case, x, above, taps)
    gradient = None if case.is_part else drawn(*expected[0].shape)
    if gradient is not None:
        expected += _expected_gradients(case, x, taps, gradient)
    given = [_bytes(part) for part in (x, above, taps, gradient)]
    flags = [case.gated, case.biased, case.threads, case.is_part, list(_LIMITS).index(case.dtype)]
    lengths = [*map(len, given), expected[0].numel() * x.element_size()]
    data = np.array([*case.shape, *flags, *lengths], dtype=np.int64).tobytes() + b"".join(given)
    printed = subprocess.run(command, input=data, capture_output=True, check=True).stdout
    share, begin = 0.0, 0
    for index, wanted in enumerate(expected):
        dtype = case.computed_in if index == 2 else case.dtype
        values = torch.frombuffer(
            bytearray(printed), dtype=dtype, count=wanted.numel(), offset=begin
        )
        begin += values.numel() * values.element_size()
        difference = (values.double() - wanted.flatten()).abs().max()
        share = max(share, float(difference / wanted.abs().max()))
    assert begin == len(printed)
    return share


def _bytes(tensor: Tensor | None) -> bytes:
    return b"" if tensor is None else tensor.contiguous().view(torch.uint8).numpy().tobytes()


def _expected(case: Case, x: Tensor, above: Tensor | None, taps: Tensor) -> list[Tensor]:
    known = None if above is None else above.double()
    return [plain_rows(x.double(), known, case.is_part, _taps(case, taps.double()))]


def _expected_gradients(case: Case, x: Tensor, taps: Tensor, gradient: Tensor) -> list[Tensor]:
    leaves = [part.double().requires_grad_() for part in (x, taps)]
    wide = _taps(case, leaves[1])
    plain(leaves[0], wide.weight, wide.gated, wide.bias).backward(gradient.double())
    return [leaf.grad for leaf in leaves if leaf.grad is not None]


def _taps(case: Case, taps: Tensor) -> Taps:
    """Return the rows that the kernels take as torch takes them."""
    weight = taps[:9].t().reshape(-1, 1, 3, 3)
    return Taps(weight, case.gated, taps[9] if case.biased else None)


if __name__ == "__main__":
    main()
