"""See the package's docstring."""

from __future__ import annotations

import argparse
import json
import math
import platform
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import benchmarks.speed
from benchmarks.speed.rows import ROWS
from harness.execution.process import cores


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.speed",
        description=benchmarks.speed.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rows", default=",".join(ROWS), help="rows, comma-separated")
    parser.add_argument("--profile", action="store_true", help="profile a step instead")
    parser.add_argument("--growth", action="store_true", help="measure growth instead")
    parser.add_argument("--out", type=Path, help="JSON file to write; rows in it are replaced")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.rows.split(",") if name not in ROWS]
    if unknown:
        parser.error(f"unknown row {unknown[0]!r}; known: {', '.join(ROWS)}")
    if arguments.profile:
        profile()
        return
    machine = describe_machine()
    print("  ".join(f"{key} {value}" for key, value in machine.items()), flush=True)
    if arguments.growth:
        grow(arguments.out, machine)
        return
    for name in arguments.rows.split(","):
        outcomes = ROWS[name]()
        for outcome in outcomes:
            met = "met   " if outcome.met else "missed"
            print(f"{met}  {outcome.what}: {outcome.measured} (asked {outcome.asked})", flush=True)
        keep(arguments.out, machine, name, [asdict(outcome) for outcome in outcomes])


def grow(out: Path | None, machine: dict[str, Any]) -> None:
    """Print the curves and keep them."""
    from benchmarks.speed.growth import curves

    kept = []
    for curve in curves():
        cells = "  ".join(
            f"{value:g}: {seconds:.3g} s, {added / 2**20:.0f} MiB"
            for value, seconds, added in zip(
                curve.values, curve.seconds, curve.added_bytes, strict=True
            )
        )
        print(
            f"{curve.quantity}: time ^{curve.time_exponent:.2f}, "
            f"memory ^{curve.memory_exponent:.2f} | {cells}",
            flush=True,
        )
        exponents = {"time_exponent": curve.time_exponent, "memory_exponent": curve.memory_exponent}
        kept.append(
            {**asdict(curve), **{k: None if math.isnan(v) else v for k, v in exponents.items()}}
        )
    keep(out, machine, "growth", kept)


def keep(out: Path | None, machine: dict[str, Any], name: str, content: Any) -> None:
    """Put one row's figures into the JSON file, next to those that are there."""
    if out is None:
        return
    rows = json.loads(out.read_text("utf-8")) if out.exists() else {}
    rows[name] = {"machine": machine, "command": f"python -m benchmarks.speed --rows {name}"}
    if name == "growth":
        rows[name]["command"] = "python -m benchmarks.speed --growth"
    rows[name]["measured"] = content
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")


def describe_machine() -> dict[str, Any]:
    """Return the processor, its fp32 and bf16 matrix rates and its copy rate, as measured now."""
    import torch

    torch.set_num_threads(cores())
    a = torch.rand(2048, 2048)
    big = torch.rand(2**26)
    target = torch.empty_like(big)
    # Without instructions for it, a product in bf16 takes a thousand times as long.
    small = torch.rand(256, 256).bfloat16()
    return {
        "processor": _processor(),
        "cores": cores(),
        "torch": torch.__version__,
        "fp32_gflops": round(2 * 2048**3 / _best(lambda: a @ a) / 1e9),
        "bf16_gflops": round(2 * 256**3 / _best(lambda: small @ small) / 1e9, 1),
        "copy_gb_s": round(2 * big.nbytes / _best(lambda: target.copy_(big)) / 1e9, 1),
    }


def _best(work: Any) -> float:
    taken = []
    for _ in range(5):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return min(taken)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    flags = next(line for line in lines if line.startswith("flags")).split()
    model = next(line for line in lines if line.startswith("model name")).split(": ")[1]
    known = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags]
    return f"{model} ({', '.join(known)})"


def profile() -> None:
    """Print the operators of one training step of each side, full width, by their own time."""
    import torch

    from benchmarks.speed.subjects import our_training, published_training

    for name, maker in (("published", published_training), ("ours", our_training)):
        step = maker("full", 2, 128)
        step()
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as found:
            step()
        events = sorted(found.key_averages(), key=lambda e: -e.self_cpu_time_total)
        total = sum(e.self_cpu_time_total for e in events)
        print(f"\n{name}: {total / 1e6:.2f} s")
        for event in events[:16]:
            share = event.self_cpu_time_total / total
            print(
                f"{share:7.1%} {event.self_cpu_time_total / 1e6:8.3f} s {event.count:6} {event.key}"
            )


if __name__ == "__main__":
    main()
