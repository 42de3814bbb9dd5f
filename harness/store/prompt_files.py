"""What is stored of the prompts of a run: the summary beside tables, and the analysis by score."""

from __future__ import annotations

from typing import Any

from harness.store.files import read_json, write_json
from harness.store.run_folder import RunFolder


def stored_summary(folder: RunFolder) -> dict[str, Any]:
    """Return what ``prompt_summary.json`` holds, {} where there is none."""
    if not folder.prompt_summary.exists():
        return {}
    found: dict[str, Any] = read_json(folder.prompt_summary)
    return found


def stored_analysis(folder: RunFolder, score_id: str | None) -> dict[str, Any] | None:
    """Return the prompt analysis of a score, {} for a method without prompts, None if absent."""
    if score_id is None or not folder.prompt_analysis.exists():
        return None
    found: dict[str, Any] | None = read_json(folder.prompt_analysis).get(score_id)
    return found


def store_analysis(folder: RunFolder, score_id: str, analysis: dict[str, Any]) -> None:
    """Add the prompt analysis of a score to those that are stored."""
    path = folder.prompt_analysis
    others = read_json(path) if path.exists() else {}
    write_json(path, {**others, score_id: analysis})
