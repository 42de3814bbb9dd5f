"""Launchers: each hands the runs of a plan to execution, on this machine or on others.

A launcher is a function ``launch(plan, worker) -> list of RunOutcome`` in a module of its own that
:data:`LAUNCHERS` names. It computes the batches of
:func:`harness.execution.status.missing_batches` one after the other, each run through
:func:`harness.execution.execute.execute`; on another machine that is
``python -m harness exec RUN_ID --plan FILE``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from harness.config.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from harness.execution.execute import RunOutcome
    from harness.execution.process import Worker
    from harness.planning.plan import Plan

Launcher = Callable[["Plan", "Worker"], "list[RunOutcome]"]

LAUNCHERS = {"local": "harness.launch.local"}
"""The module of each launcher, by the name that ``--launcher`` has for it."""


def launcher(name: str) -> Launcher:
    """Return the launcher of ``--launcher``.

    Raises:
        UsageError: no such launcher; the nearest is named.
    """
    if name not in LAUNCHERS:
        raise UsageError(f"--launcher {name} is unknown; {did_you_mean(name, LAUNCHERS)}")
    found: Launcher = importlib.import_module(LAUNCHERS[name]).launch
    return found
