"""Benchmark and evaluation harness for all-in-one image restoration.

Everything that a script or a notebook needs is here, and is loaded when it is first used::

    import harness

    plan = harness.plan(methods=["cpl", "promptir"], recipe="smoke")
    harness.run(plan)
    print(harness.table(plan))
"""

from typing import TYPE_CHECKING, Any

from harness.config.version import __version__ as __version__

if TYPE_CHECKING:
    from harness.api import evaluate, load_results, plan, run, score, table

__all__ = ["__version__", "evaluate", "load_results", "plan", "run", "score", "table"]


def __getattr__(name: str) -> Any:
    """Load a function of :mod:`harness.api` when it is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module 'harness' has no attribute '{name}'")
    import importlib

    return getattr(importlib.import_module("harness.api"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
