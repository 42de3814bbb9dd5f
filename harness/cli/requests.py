"""The request of a command line, and its plan."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cli.flags import merged

if TYPE_CHECKING:
    from harness.api import Plan, RunRequest


def request_of(
    defaults: Mapping[str, Any], config: Path | None, *groups: Mapping[str, Any]
) -> RunRequest:
    """Return the request of a command line.

    Args:
        defaults: the subcommand's own.
        config: file of ``--config``.
        groups: values of the flags that were given.

    Raises:
        UsageError: an unknown key in the file, or a value that does not fit; names where.
    """
    from harness.api import RunRequest, of_methods
    from harness.config.parsing import parse, read_yaml

    values = dict(defaults)
    where = "the command line"
    if config is not None:
        content = read_yaml(config)
        parse(RunRequest, content, str(config))
        for group in groups:
            if "methods" in group:
                content = of_methods(content, group["methods"])
        values = merged(values, content)
    for group in groups:
        values = merged(values, group)
    return parse(RunRequest, values, where)


def plan_of(request: RunRequest) -> Plan:
    """Return the plan of a request; hashing many files is logged."""
    from harness.api import plan

    return plan(request, on_progress=log_hashing)


def log_hashing(done: int, total: int) -> None:
    """Log how many files of large data sets have been hashed."""
    if total >= 1000 and (done % 500 == 0 or done == total):
        print(f"hashed {done} of {total} files, once", file=sys.stderr, flush=True)
