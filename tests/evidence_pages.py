"""The pages of measured results, whose numbers tests hold to the stored rows."""

from __future__ import annotations

from pathlib import Path

_PAGES = ("evidence.md", "evidence_appendix.md")

EVIDENCE = "\n".join(
    (Path(__file__).parents[1] / "docs" / page).read_text(encoding="utf-8") for page in _PAGES
).replace("−", "-")
"""Both pages, with minus signs as Python prints them."""
