"""Show how much protocols differ on the same images: python benchmarks/protocols.py

Four photographs with noise of 25 grey levels, and the same restored by a Gaussian
and a little sharpening, as floats.
One decimal more than tables show. Prints the table of docs/protocols.md, in Markdown.
"""

from __future__ import annotations

import cv2
import numpy as np
from tabulate import tabulate

from harness.config.files import load_protocol, load_setting, protocol_names
from harness.config.seeding import generator
from harness.data.synthetic.photographs import load
from harness.evaluation.metrics import metric_facts
from harness.evaluation.protocols import score_under

SIGMA_255 = 25
SHARPENING = 0.5


def main() -> None:
    named = {name: load_protocol(name).protocol for name in protocol_names()}
    rules = {p.id: p for p in named.values()}
    photographs = load_setting("three-task").synthetic.test
    noisy, smooth = [], []
    for name in photographs:
        levels = load(name).astype(np.float64)
        noise = SIGMA_255 * generator("protocols", name).standard_normal(levels.shape)
        degraded = np.clip(levels + noise, 0, 255).astype(np.uint8) / np.float32(255)
        clean = (levels / 255).astype(np.float32)
        noisy.append(score_under(degraded, clean, rules.values()))
        # Smoothed, then sharpened a little: floats, some of them outside [0, 1] as a network's are.
        near, wide = (cv2.GaussianBlur(degraded, (0, 0), radius) for radius in (1, 2))
        smooth.append(score_under(near + SHARPENING * (near - wide), clean, rules.values()))
    lines = []
    for rule in rules.values():
        names = ", ".join(name for name, p in named.items() if p.id == rule.id)
        line = [names, f"`{rule.id}`"]
        for scores in (noisy, smooth):
            for kind in ("psnr", "ssim"):
                found = [m for m in rule.metrics if m.startswith(kind)]
                values = [s[rule.id][m] for s in scores for m in found]
                line.append(
                    f"{np.mean(values):.{metric_facts(found[0]).decimals + (kind == 'psnr')}f}"
                    if found
                    else "not taken"
                )
        lines.append(line)
    heads = ["protocol", "rule", "noisy, dB", "noisy, SSIM", "restored, dB", "restored, SSIM"]
    print(f"Means over {', '.join(photographs)}.\n")
    print(tabulate(lines, headers=heads, tablefmt="github", disable_numparse=True))


if __name__ == "__main__":
    main()
