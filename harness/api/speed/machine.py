"""The machine: its processor, and the rates of matrix products and copies as they are now."""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.api.diagnosis.devices import cpu_model
from harness.api.speed.result import Machine
from harness.api.speed.sides import MATRIX_PX
from harness.api.speed.subject import Prepared
from harness.api.speed.timers import Timer, timer_of
from harness.config.cores import cores

_COPIED = 2**26
"""Numbers that are copied: 256 MiB, more than caches hold."""

_INSTRUCTIONS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve")


def describe_machine(threads: int, device: str) -> Machine:
    """Return the machine with its rates, each the best of five.

    Args:
        threads: compute threads.
        device: ``cpu`` or ``cuda``.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    timer = timer_of(device)
    try:
        rates = _rates(device, timer)
    finally:
        torch.set_num_threads(before)
    name = "cpu" if device == "cpu" else torch.cuda.get_device_name(device)
    return Machine(
        processor=processor(),
        device=name,
        cores=cores(),
        threads=threads,
        torch=torch.__version__,
        python=platform.python_version(),
        **rates,
    )


def _rates(device: str, timer: Timer) -> dict[str, Any]:
    import torch

    side = MATRIX_PX if device == "cpu" else 2 * MATRIX_PX
    square = torch.rand(side, side, device=device)
    # Without instructions for it, a product in bf16 takes a thousand times as long.
    small_side = 256 if device == "cpu" else side
    small = torch.rand(small_side, small_side, device=device).bfloat16()
    source = torch.rand(_COPIED, device=device)
    target = torch.empty_like(source)
    fp32_s = _best(timer, lambda: square @ square)
    bf16_s = _best(timer, lambda: small @ small)
    copy_s = _best(timer, lambda: target.copy_(source))
    return {
        "fp32_gflops": round(2 * side**3 / fp32_s / 1e9, 1),
        "bf16_gflops": round(2 * small_side**3 / bf16_s / 1e9, 1),
        "copy_gb_s": round(2 * source.nbytes / copy_s / 1e9, 1),
    }


def matrix_product(threads: int, device: str = "cpu") -> Prepared:
    """Prepare the product that tells how fast the machine is in each turn."""
    import torch

    torch.set_num_threads(threads)
    square = torch.rand(MATRIX_PX, MATRIX_PX, device=device)

    def multiply() -> None:
        square @ square

    return Prepared(multiply)


def _best(timer: Timer, work: Callable[[], object]) -> float:
    return min(timer.seconds(work) for _ in range(5))


def processor() -> str:
    """Return the processor's model, with the instructions that matter here."""
    known = [name for name in _INSTRUCTIONS if name in _flags()]
    model = cpu_model()
    return f"{model} ({', '.join(known)})" if known else model


def _flags() -> list[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return []
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return value.split()
    return []
