"""Where numbers come from: sections that a page shows when a number is opened.

Many numbers share a run, a column or a table, so each names the numbers of its sections.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Fact = tuple[str, str]
"""What it is, and the value as text."""


@dataclass(frozen=True)
class Sources:
    """All sections of a site, each once."""

    sections: list[dict[str, Any]] = field(default_factory=list)
    _numbers: dict[str, int] = field(default_factory=dict)

    def add(self, title: str, facts: Sequence[Fact], content: Any = None, about: str = "") -> int:
        """Add a section, and return its number; an equal one is there only once.

        Args:
            title: heading of the section.
            facts: shown as a list; those without a value are left out.
            content: what is shown as JSON below them, such as a spec; None for nothing.
            about: what the JSON is.
        """
        section: dict[str, Any] = {"title": title, "facts": [f for f in facts if f[1]]}
        if content is not None:
            section["about"] = about
            section["json"] = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False)
        key = json.dumps(section, sort_keys=True)
        if key not in self._numbers:
            self._numbers[key] = len(self.sections)
            self.sections.append(section)
        return self._numbers[key]


def listed(values: Mapping[str, Any]) -> str:
    """Return names and values in one line, such as versions."""
    return ", ".join(f"{name} {value}" for name, value in values.items())


def joined(numbers: Sequence[int]) -> str:
    """Return numbers of sections as an attribute of a page holds them."""
    return " ".join(map(str, numbers))
