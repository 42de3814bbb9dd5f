"""What the prompts of one run do: expert load, prompt swaps and similarities."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.reporting.figures.heat import HeatMap, draw_heat
from harness.reporting.figures.style import new_figure, paper_style, save, wrapped


def draw_prompts(label: str, analysis: Mapping[str, Any], stem: Path) -> list[Path]:
    """Draw expert load per level, prompt swaps and both similarities; return the files."""
    import numpy as np

    columns, levels = analysis["columns"], list(analysis["routing"])
    side_in = 1.2 + 0.34 * len(columns)
    with paper_style():
        width_in = max(3.3, side_in * len(levels))
        figure = new_figure(width_in, 4 * side_in + 0.3)
        axes = figure.subplots(4, len(levels), squeeze=False)
        for place in axes[1, 1:]:
            place.set_axis_off()
        for place, level in zip(axes[0], levels, strict=True):
            load = analysis["routing"][level]["expert_load"]
            values = np.array([load[column] for column in columns], dtype=float)
            experts = list(map(str, range(values.shape[1])))
            heat = HeatMap(f"expert load, {level}", (0, 1), ".2f")
            draw_heat(place, values, (columns, experts), heat)
        psnr_db = np.array(analysis["prompt_swap"]["psnr_db"], dtype=float)
        lost_db = psnr_db - np.diag(psnr_db)[:, None]
        low = float(lost_db.min(initial=-1.0, where=np.isfinite(lost_db)))
        high = float(lost_db.max(initial=0.0, where=np.isfinite(lost_db)))
        heat = HeatMap("prompt swap: dB minus own", (low, high), "z.1f")
        draw_heat(axes[1, 0], lost_db, (columns, columns), heat)
        for row, name, shown, limits in (
            (2, "cosine", "cosine", (-1.0, 1.0)),
            (3, "cka", "CKA", (0.0, 1.0)),
        ):
            for place, level in zip(axes[row], levels, strict=True):
                values = np.array(analysis["redundancy"][level][name], dtype=float)
                heat = HeatMap(f"{shown} of prompts, {level}", limits, ".2f")
                draw_heat(place, values, (columns, columns), heat)
        figure.suptitle(wrapped(label, 0.95 * width_in))
        return save(figure, stem)
