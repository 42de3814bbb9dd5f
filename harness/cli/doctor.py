"""``harness doctor``: what is found on this machine, and what to do about what is missing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from harness.api import Finding

_MARKS = {"ok": " ", "absent": "-", "broken": "!"}


def doctor(
    out: Annotated[
        Path | None,
        typer.Option(help="Output folder to look at.", show_default="results/runs"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 if something needed is broken.")
    ] = False,
) -> None:
    """Say what works on this machine, what is missing, and what to do about it.

    Nothing is written, and no network is used. What is marked - is optional, what is marked ! is
    needed.
    """
    from harness.api import doctor as diagnose

    findings = diagnose() if out is None else diagnose(out)
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        _print(findings)
    if strict and any(finding.state == "broken" for finding in findings):
        raise typer.Exit(1)


def _print(findings: Sequence[Finding]) -> None:
    width = max(len(finding.name) for finding in findings)
    section = ""
    for finding in findings:
        if finding.section != section:
            section = finding.section
            print(f"{section}:")
        print(f"{_MARKS[finding.state]} {finding.name:<{width}}  {finding.value}")
        if finding.advice:
            print(f"  {'':<{width}}  -> {finding.advice}")
    broken = [finding.name for finding in findings if finding.state == "broken"]
    print(f"\nneeded and broken: {', '.join(broken) or 'nothing'}")
