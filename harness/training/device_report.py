"""What torch can compute with, as JSON: ``python -m harness.training.device_report``.

It is a process of its own, because an import of torch or the start of a GPU can end a process or
hang. Nothing is written but one line.
"""

from __future__ import annotations

import json
from typing import Any


def device_report() -> dict[str, Any]:
    """Return version, threads and devices of torch as JSON values."""
    import torch

    from harness.training.device import computes_bf16

    devices: list[dict[str, Any]] = []
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        facts = torch.cuda.get_device_properties(index)
        free_bytes, total_bytes = torch.cuda.mem_get_info(index)
        devices.append(
            {
                "name": facts.name,
                "capability": f"{facts.major}.{facts.minor}",
                "free_bytes": free_bytes,
                "total_bytes": total_bytes,
                # Tensor cores have both since NVIDIA's Ampere, 8.0.
                "bf16": facts.major >= 8,
                "tf32": facts.major >= 8,
            }
        )
    return {
        "version": torch.__version__,
        "cuda_build": torch.version.cuda or torch.version.hip,
        "devices": devices,
        "mps": torch.backends.mps.is_available(),
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cpu_bf16": computes_bf16("cpu"),
        "tf32_matmul": torch.backends.cuda.matmul.allow_tf32,
        "tf32_convolutions": torch.backends.cudnn.allow_tf32,
    }


if __name__ == "__main__":
    print(json.dumps(device_report()))
