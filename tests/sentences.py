"""What tests of bad input share: refusals in words, and files for examples."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from harness.config.errors import HarnessError

FEW = settings(max_examples=40, deadline=None)
_FOLDER = tempfile.TemporaryDirectory()


def refused(call: Callable[[], Any], *named: str) -> None:
    """Check that a call refuses in words that name what is named."""
    with pytest.raises(HarnessError) as found:
        call()
    for name in named:
        assert name in str(found.value)


def or_sentence(call: Callable[[], Any]) -> Any:
    """Return what a call returns, None if it refuses in words."""
    try:
        return call()
    except HarnessError:
        return None


def scratch(name: str) -> Path:
    """Return a path that does not exist yet, for examples that share one test's folder."""
    path = Path(_FOLDER.name) / name
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    return path
