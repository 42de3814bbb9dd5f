"""Trackers: programs that show the course of trainings, such as TensorBoard.

A tracker is a module that :data:`TRACKERS` names. It has ``PACKAGE``, the package it needs, and
``open_tracker(run)``, which returns a :class:`~harness.execution.trackers.protocol.Tracker`. The
package is imported inside that function.
"""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

from harness.config.errors import UsageError, did_you_mean
from harness.execution.trackers.protocol import TrackedRun, Tracker

NO_TRACKER = "none"
"""The name of ``--tracker`` for none at all."""

TRACKERS = {
    "tensorboard": "harness.execution.trackers.tensorboard",
    "wandb": "harness.execution.trackers.wandb",
}
"""The module of each tracker, by the name that ``--tracker`` has for it."""


def check_tracker(name: str) -> None:
    """Refuse a tracker that is unknown, or whose package is not installed.

    Raises:
        UsageError: names the nearest trackers, or how to install the package.
    """
    if name == NO_TRACKER:
        return
    if name not in TRACKERS:
        raise UsageError(
            f"--tracker {name} is unknown; {did_you_mean(name, [NO_TRACKER, *TRACKERS])}"
        )
    package = str(_module(name).PACKAGE)
    if importlib.util.find_spec(package) is None:
        raise UsageError(
            f"--tracker {name} needs the package {package}, which is not installed; install it "
            f"with: pip install {package}"
        )


def open_tracker(name: str, run: TrackedRun) -> Tracker:
    """Return a tracker that goes on with ``run``, or begins it."""
    tracker: Tracker = _module(name).open_tracker(run)
    return tracker


def _module(name: str) -> ModuleType:
    return importlib.import_module(TRACKERS[name])
