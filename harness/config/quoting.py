"""Names that hold signs with another meaning: in lists on a command line, and in names of files.

On a command line a value that follows ``=`` may be put in quotes:
``spandrel:checkpoint='/data/a,b:c=1.pth'``. In the name of a file, signs are percent-encoded.
In a CSV file, a text that a spreadsheet would compute gets an apostrophe.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any
from urllib.parse import quote

_QUOTED = re.compile(r"""=\s*(?P<quote>["'])(?P<value>.*?)(?P=quote)(?=\s*(?:[:,]|$))""")
_NEXT_OPTION = re.compile(r":(?=\s*\w+\s*=)")
_NAME = re.compile(
    r"""(?P<name>[^:=]+(?::\s*\w+\s*=(?:"[^"]*"|'[^']*'|[^=]*?)(?=:\s*\w+\s*=|=))*)=(?P<text>.*)""",
    re.DOTALL,
)
"""A name, which may be a method with options, then ``=`` and any text."""
_FORMULA = re.compile(r"[=@\t\r]|[+-](?![\d.]|inf|nan|$)")
_PLAIN_IN_FILES = "#+=@,()"
_LONGEST_FILE_NAME = 120
"""Bytes of a quoted name; file systems allow 255, and a suffix or a temporary name is longer."""


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


def split_named(text: str) -> tuple[str, str] | None:
    """Split ``name=text``, where the name may have options: ``cpl:top_k=2=CPL, k = 2``.

    Returns:
        Both parts; None if the text has another form.
    """
    match = _NAME.fullmatch(text)
    return (match["name"].strip(), match["text"]) if match else None


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


def not_computed(value: Any) -> Any:
    """Return a field of a CSV file so that no spreadsheet takes a text for a formula.

    A text that begins as one, such as the name of a file, gets an apostrophe before it; numbers and
    everything else stay as they are.
    """
    is_formula = isinstance(value, str) and _FORMULA.match(value) is not None
    return f"'{value}" if is_formula else value


def quoted_file_name(name: str) -> str:
    """Return a name as that of a file or folder; different names stay different.

    Whatever is no letter, digit or harmless sign is percent-encoded, a dot at either end too, so
    that no name leads out of its folder. A long name is cut and ends in its hash.
    """
    quoted = quote(name, safe=_PLAIN_IN_FILES, errors="surrogatepass")
    if quoted.startswith("."):
        quoted = f"%2E{quoted[1:]}"
    if quoted.endswith("."):
        quoted = f"{quoted[:-1]}%2E"
    if not quoted or len(quoted) > _LONGEST_FILE_NAME:
        digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:16]
        quoted = f"{quoted[: _LONGEST_FILE_NAME - 18]}%-{digest}"
    return quoted


def _is_quoted(text: str, position: int) -> bool:
    return any(match.start() <= position < match.end() for match in _QUOTED.finditer(text))
