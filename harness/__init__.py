"""Benchmark and evaluation harness for all-in-one image restoration.

Everything that a script or a notebook needs is here, and is loaded when it is first used::

    import harness

    plan = harness.plan(methods=["cpl", "promptir"], recipe="smoke")
    harness.run(plan)
    print(harness.table(plan))
"""

import importlib
from typing import Any

OFFERED = (
    *("__version__", "bench", "compare", "doctor", "evaluate", "figure", "keep_images"),
    *("load_results", "plan", "report", "restore", "run", "score", "table", "tune"),
)
"""Names that are loaded when they are first asked for."""


def __getattr__(name: str) -> Any:
    """Load a function of :mod:`harness.api` when it is first asked for."""
    if name == "__version__":
        return importlib.import_module("harness.config.version").__version__
    if name not in OFFERED:
        raise AttributeError(f"module 'harness' has no attribute '{name}'")
    return getattr(importlib.import_module("harness.api"), name)


def __dir__() -> list[str]:
    return sorted(OFFERED)
