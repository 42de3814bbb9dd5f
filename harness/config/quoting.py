"""Lists and options on a command line whose values may hold the signs that separate them.

A value that follows ``=`` may be put in quotes: ``spandrel:checkpoint='/data/a,b:c=1.pth'``.
"""

from __future__ import annotations

import re

_QUOTED = re.compile(r"""=\s*(?P<quote>["'])(?P<value>.*?)(?P=quote)(?=\s*(?:[:,]|$))""")
_NEXT_OPTION = re.compile(r":(?=\s*\w+\s*=)")


def split_outside_quotes(text: str, sign: re.Pattern[str]) -> list[str]:
    """Split ``text`` where ``sign`` matches outside quoted values."""
    parts, start = [], 0
    for match in sign.finditer(text):
        if not _is_quoted(text, match.start()):
            parts.append(text[start : match.start()])
            start = match.end()
    return [*parts, text[start:]]


def split_options(text: str) -> list[str]:
    """Split ``a=1:b=C:\\x:c=2`` before every ``:name=``; other colons belong to a value."""
    return split_outside_quotes(text, _NEXT_OPTION)


def with_commas(text: str) -> str:
    """Replace ``;`` by a comma outside quoted values."""
    return ",".join(split_outside_quotes(text, re.compile(";")))


def unquoted(value: str) -> str:
    """Return a value without the quotes around it, if it has any."""
    match = _QUOTED.fullmatch(f"={value}")
    return match["value"] if match else value


def quoted_where_needed(value: str) -> str:
    """Return ``value`` in quotes where it would be read as several options without them."""
    if not _NEXT_OPTION.search(value) and value[:1] not in ("'", '"'):
        return value
    quote = '"' if "'" in value else "'"
    return f"{quote}{value}{quote}"


def _is_quoted(text: str, position: int) -> bool:
    return any(match.start() <= position < match.end() for match in _QUOTED.finditer(text))
