"""What a run computes with: processor, memory, torch and its devices, threads, kernels."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from harness.api.diagnosis.finding import Finding, State, gib
from harness.config.cores import cgroup_cores, cores
from harness.config.package import PACKAGE_FOLDER
from harness.execution.process import worker_of
from harness.execution.status import has_gpu
from harness.planning.request import Resources
from harness.registry import runtime_checks

_LIMIT_S = 60.0
_REINSTALL = "install it again with pip install --force-reinstall torch torchvision"
_MEMORY_VARIABLES = ("LD_PRELOAD", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF")


def start_device_report() -> subprocess.Popen[str] | OSError:
    """Start the process that asks torch, which takes a second or two; or return why it cannot."""
    paths = [str(PACKAGE_FOLDER.parent), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    try:
        return subprocess.Popen(
            [sys.executable, "-B", "-m", "harness.training.device_report"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
    except OSError as error:
        return error


def devices(asked: subprocess.Popen[str] | OSError) -> list[Finding]:
    """Return processor, memory, and what torch finds."""
    quota = cgroup_cores()
    of_quota = "" if quota is None else f", a container's quota of {quota}"
    found = [
        Finding("devices", "cpu", f"{cpu_model()}; {cores()} cores for this process{of_quota}"),
        _memory(),
    ]
    report, problem = _answer(asked)
    if report is None:
        found.append(Finding("devices", "torch", problem, "broken", _REINSTALL))
        return found
    return found + _of_torch(report)


def _of_torch(report: dict[str, Any]) -> list[Finding]:
    bf16 = "in hardware" if report["cpu_bf16"] else "emulated, several times slower than fp32"
    found = [
        Finding("devices", "torch", f"{report['version']}, works"),
        Finding("devices", "cpu arithmetic", f"{report['cpu_capability']}; bf16 {bf16}"),
    ]
    for index, device in enumerate(report["devices"]):
        memory = f"{gib(device['free_bytes'])} of {gib(device['total_bytes'])} free"
        bf16, tf32 = _yes(device["bf16"]), _yes(device["tf32"])
        value = f"{device['name']}, {memory}, capability {device['capability']}"
        found.append(Finding("devices", f"cuda:{index}", f"{value}; bf16 {bf16}, TF32 {tf32}"))
    if report["devices"]:
        matmul, convolutions = _on(report["tf32_matmul"]), _on(report["tf32_convolutions"])
        value = f"matrix products {matmul}, convolutions {convolutions} (torch's settings)"
        found.append(Finding("devices", "TF32", value))
    elif report["mps"]:
        found.append(Finding("devices", "mps", "there; choose it with --device mps"))
    else:
        found.append(_no_gpu(report["cuda_build"]))
    return found


def _no_gpu(cuda_build: str | None) -> Finding:
    if not has_gpu():
        return Finding("devices", "gpu", "none", "absent", "a CPU trains small recipes alone")
    if cuda_build is None:
        advice = "install a build of torch for this GPU; pytorch.org names the command"
        return Finding("devices", "gpu", "this torch has no support of it", "broken", advice)
    advice = f"this torch is built for CUDA {cuda_build}; compare the driver that nvidia-smi shows"
    return Finding("devices", "gpu", "there, and torch cannot use it", "broken", advice)


def _answer(asked: subprocess.Popen[str] | OSError) -> tuple[dict[str, Any] | None, str]:
    """Return what torch answered, or None and why there is no answer."""
    if isinstance(asked, OSError):
        return None, f"cannot be asked ({asked})"
    try:
        printed, errors = asked.communicate(timeout=_LIMIT_S)
    except subprocess.TimeoutExpired:
        asked.kill()
        asked.communicate()
        return None, f"gave no answer within {_LIMIT_S:.0f} s"
    if asked.returncode != 0:
        last = errors.strip().splitlines()[-1:]
        return None, f"does not work ({''.join(last) or f'exit code {asked.returncode}'})"
    report: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return report, ""


def threads_and_memory() -> list[Finding]:
    """Return the threads that a run gets, and what the allocator does."""
    threads = worker_of(Resources(device="cpu")).threads
    named = os.environ.get("OMP_NUM_THREADS")
    why = f"OMP_NUM_THREADS={named}" if named else f"{cores()} cores, one run at a time"
    library = " ".join(filter(None, platform.libc_ver()))
    kept = sys.platform == "linux" and library.startswith("glibc")
    allocator = "runs keep large freed blocks, which is fast" if kept else "as the system has it"
    found = [
        Finding("threads and memory", "threads of a run", f"{threads} ({why})"),
        Finding("threads and memory", "allocator", f"{library or sys.platform}: {allocator}"),
    ]
    for name in _MEMORY_VARIABLES:
        if os.environ.get(name):
            found.append(Finding("threads and memory", name, os.environ[name]))
    return found


def kernels() -> list[Finding]:
    """Return whether the compiled parts of the methods are there, without compiling them."""
    found: list[Finding] = []
    for check in runtime_checks():
        state: State = "ok" if check.is_fast else "absent"
        found.append(Finding("kernels", check.name, check.value, state, check.advice))
    return found


def cpu_model() -> str:
    """Return the model of the processor, or its architecture where the system does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    for line in lines:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory() -> Finding:
    """Return the memory of the machine, and how much of it is free where the system tells."""
    try:
        page = os.sysconf("SC_PAGE_SIZE")
        total = page * os.sysconf("SC_PHYS_PAGES")
        free = page * os.sysconf("SC_AVPHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return Finding("devices", "memory", "the system does not say")
    return Finding("devices", "memory", f"{gib(total)}, {gib(free)} free without caches")


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _on(value: bool) -> str:
    return "on" if value else "off"
