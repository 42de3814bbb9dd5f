"""Whether what came of a case is right."""

from __future__ import annotations

import re

from benchmarks.bad_bytes.case import Case
from benchmarks.bad_bytes.sandbox import LONGEST_S, MARK, MOST_BYTES, Box, Ended

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f]")
_LONGEST_SENTENCE = 2000
_TIMES = re.compile(r"\b\d+(\.\d+)? ?(s|d|days|MiB)\b|-[0-9a-f]{8}(?=\.\w+)")
_NOTE = re.compile(r"\bwarning: |\bnote: |\bmarked damaged\b", re.IGNORECASE)


def fault_of(case: Case, ended: Ended, box: Box) -> str:
    """Return what is wrong with how a case ended, nothing if it is right."""
    found = _harm_done(ended, box) or _bad_words(ended)
    if not found and ended.code == 0 and case.inspect is not None:
        found = case.inspect(box.work, ended.stdout)
    return found or _bad_ending(case, ended, box)


def _harm_done(ended: Ended, box: Box) -> str:
    if (box.root / MARK).exists():
        return "CODE WAS RUN"
    if ended.strayed:
        return f"touched {', '.join(ended.strayed[:3])}"
    if ended.used_s > LONGEST_S:
        return f"took {ended.used_s:.0f} s"
    if ended.peak_bytes > MOST_BYTES:
        return f"took {ended.peak_bytes / 2**30:.1f} GiB"
    if ended.code < 0:
        return f"hung, or died of signal {-ended.code}"
    return ""


def _bad_words(ended: Ended) -> str:
    text = ended.stdout + ended.stderr
    if "Traceback" in text:
        return f"traceback: {ended.stderr.strip()[-300:]!r}"
    if "harness: unexpected" in text:
        return f"not foreseen: {ended.stderr.strip()[-400:]!r}"
    control = _CONTROL.search(text)
    if control is not None:
        return f"prints the control character {control[0]!r}"
    return ""


def _bad_ending(case: Case, ended: Ended, box: Box) -> str:
    if ended.code == 0:
        return _wrong_result(case, ended, box)
    if ended.code not in (1, 2):
        return f"exit code {ended.code}"
    if case.expected == "same":
        return f"refused: {ended.stderr.strip()[-300:]!r}"
    return _poor_sentence(case, ended)


def _wrong_result(case: Case, ended: Ended, box: Box) -> str:
    if case.expected == "refused":
        return f"accepted: {ended.stdout.strip()[-200:]!r} {ended.stderr.strip()[-200:]!r}"
    if case.expected == "any" or _NOTE.search(ended.stderr):
        return ""
    found, right = (_TIMES.sub("", text).split() for text in (ended.stdout, box.right(case)))
    if found == right:
        return ""
    different = [word for word in found if word not in right]
    return f"another result with exit code 0: {' '.join(different)[:300]!r}"


def _poor_sentence(case: Case, ended: Ended) -> str:
    said = ended.stderr.strip() or ended.stdout.strip()
    if not said:
        return f"exit code {ended.code} without a word"
    if len(said) > _LONGEST_SENTENCE:
        return f"a sentence of {len(said)} characters: {said[:100]!r}"
    if case.named and not any(name in said for name in case.named):
        return f"names none of {', '.join(case.named)}: {said[-300:]!r}"
    return ""
