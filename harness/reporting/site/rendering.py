"""Pages from templates; every value is escaped unless it was made as markup here."""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import Any

import jinja2

POLICY = (
    "default-src 'none'; script-src 'self' file:; style-src 'self' file:; "
    "img-src 'self' file:; base-uri 'none'; form-action 'none'"
)
"""What pages may load: files next to them. ``file:`` is for browsers to which a page from disk has
no origin of its own; pages from a server cannot load such files."""


def page(template: str, **values: Any) -> str:
    """Return a page as HTML."""
    return _templates().get_template(template).render(policy=POLICY, **values)


def number_text(value: float | None, decimals: int) -> str:
    """Return a value as pages show it; a dash where none is known."""
    if value is None:
        return "–"
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:z.{decimals}f}".replace("-", "−")


@functools.cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
