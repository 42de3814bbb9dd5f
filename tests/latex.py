"""LaTeX for tests: whether it is there, and documents that it must set without a flaw."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def installed(file: str) -> bool:
    """Return whether LaTeX finds a file, as ``IEEEtran.cls``."""
    if shutil.which("kpsewhich") is None:
        return False
    return not subprocess.run(["kpsewhich", file], capture_output=True).returncode


def compiled(document: str, folder: Path) -> str:
    """Return what pdflatex prints for a document; fails if it is none, or has too wide lines."""
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed (Debian: texlive-latex-recommended)")
    (folder / "t.tex").write_text(document, encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout, "a table is wider than its column or the page"
    return done.stdout
