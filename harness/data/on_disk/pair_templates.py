"""Pairing by a template with named fields, for names that no rule of the table knows.

``{name}x{scale}_{model}`` reads ``0001x4_SwinIR.png`` as ``0001`` with a scale and a model, and its
clean file is ``0001``. A second template says what the clean file is called, from the same fields:
``{scene}_{frame}_out={scene}_{frame}_gt``.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from harness.config.errors import UsageError
from harness.data.on_disk.names import SUFFIXES, compared
from harness.data.on_disk.pairing import PairingRule

_FIELD = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_WHOLE_NAME = "{name}"


def template_rule(template: str, flag: str = "--pair-template") -> PairingRule:
    """Return the rule of a template for restored files, and after ``=`` one for clean files.

    A field stands for one sign or more, and takes as many as it can. A suffix is left out of
    both. Without a second template the clean file is called ``{name}``.

    Raises:
        UsageError: no field, one in the second template alone, or no ``{name}`` without a second.
    """
    restored, equals, clean = template.partition("=")
    restored = _without_suffix(restored.strip())
    clean = _without_suffix(clean.strip()) if equals else _WHOLE_NAME
    known = _FIELD.findall(restored)
    if not known:
        raise UsageError(
            f"{flag} '{template}' has no field; write one in braces, as in {{name}}x4_Model"
        )
    used = _FIELD.findall(clean)
    unknown = [name for name in used if name not in known]
    if unknown or not used:
        missing = unknown[0] if unknown else known[0]
        raise UsageError(
            f"{flag} '{template}': clean files are called '{clean}', and {{{missing}}} must stand "
            "in both; write RESTORED=CLEAN, as in {scene}_out={scene}_gt"
        )
    pattern = _pattern(restored)

    def clean_stem(stem: str) -> str | None:
        match = pattern.fullmatch(stem)
        if match is None:
            return None
        return _FIELD.sub(lambda field: match[field[1]], clean)

    return PairingRule(f"template {template}", f"{restored} and {clean}", clean_stem)


def _without_suffix(template: str) -> str:
    suffix = PurePosixPath(template).suffix
    known = suffix.lower() in SUFFIXES
    return compared(template.removesuffix(suffix) if known else template)


def _pattern(template: str) -> re.Pattern[str]:
    """Return the expression of a template; a field that comes again must match the same."""
    parts: list[str] = []
    seen: set[str] = set()
    position = 0
    for field in _FIELD.finditer(template):
        parts.append(re.escape(template[position : field.start()]))
        name = field[1]
        parts.append(f"(?P={name})" if name in seen else f"(?P<{name}>.+)")
        seen.add(name)
        position = field.end()
    parts.append(re.escape(template[position:]))
    return re.compile("".join(parts))
