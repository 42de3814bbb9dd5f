"""The cores that this process may use."""

from __future__ import annotations

import os
from pathlib import Path


def cores() -> int:
    """Return the cores that this process may use: its affinity, or a container's quota if less."""
    if hasattr(os, "sched_getaffinity"):
        allowed = len(os.sched_getaffinity(0))
    else:
        allowed = os.cpu_count() or 1
    quota = cgroup_cores()
    return allowed if quota is None else max(1, min(allowed, quota))


def cgroup_cores(root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Return the cores that a container's quota allows, rounded up; None without a quota."""
    try:
        if (root / "cpu.max").exists():
            quota, period = (root / "cpu.max").read_text().split()[:2]
        else:
            quota = (root / "cpu" / "cpu.cfs_quota_us").read_text().strip()
            period = (root / "cpu" / "cpu.cfs_period_us").read_text().strip()
        if quota == "max" or int(quota) <= 0:
            return None
        return -(-int(quota) // int(period))
    except (OSError, ValueError, ZeroDivisionError):
        return None
