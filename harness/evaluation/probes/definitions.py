"""Definitions of the probes as functions of plain arrays; docs/probes.md explains them.

Tasks of one family (noise at three levels) are not strangers: a prompt of the same family is not a
wrong one, and information is counted with the levels as one task and as three.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float = NDArray[np.float64]

COLLAPSED = 0.9
"""Share of the weight above which one expert is said to serve a task alone."""


def normalised_mutual_information(experts: Sequence[int], tasks: Sequence[str]) -> float:
    """Return I(expert; task) / H(task) of paired decisions.

    In [0, 1]: 0 if the expert says nothing about the task, 1 if the task follows from the expert.
    That several experts share a task costs nothing; 0 by definition if there is one task only.
    """
    task = np.unique(np.asarray(tasks), return_inverse=True)[1]
    expert = np.unique(np.asarray(experts), return_inverse=True)[1]
    joint = np.zeros((task.max() + 1, expert.max() + 1))
    np.add.at(joint, (task, expert), 1 / len(task))
    uncertainty = _entropy(joint.sum(axis=1))
    if uncertainty == 0:
        return 0.0
    mutual = uncertainty + _entropy(joint.sum(axis=0)) - _entropy(joint.ravel())
    return float(np.clip(mutual / uncertainty, 0, 1))


def chance_normalised_mutual_information(
    experts: Sequence[int], tasks: Sequence[str], rng: np.random.Generator, shuffles: int = 200
) -> float:
    """Return the mean of :func:`normalised_mutual_information` over shuffled tasks.

    Few images make any choice look informative; this is how much.
    """
    shuffled = (rng.permutation(np.asarray(tasks)).tolist() for _ in range(shuffles))
    return float(np.mean([normalised_mutual_information(experts, labels) for labels in shuffled]))


def relative_entropy(weights: ArrayLike) -> float:
    """Return the entropy of shares (experts,) over its maximum: 0 one expert, 1 all alike."""
    shares = np.asarray(weights, dtype=float)
    if len(shares) < 2:
        return 0.0
    return float(_entropy(shares / shares.sum()) / np.log(len(shares)))


def cosine_similarity(vectors: ArrayLike) -> Float:
    """Return the cosines (T, T) between the rows of (T, D), in [-1, 1]; 0 to a row of zeros."""
    rows = np.asarray(vectors, dtype=float)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    units = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    cosines: Float = np.clip(units @ units.T, -1, 1)
    return cosines


def linear_cka(first: ArrayLike, second: ArrayLike) -> float:
    """Return linear centred kernel alignment of (N, D) and (N, E), in [0, 1].

    Kornblith et al., ICML 2019 (arXiv 1905.00414), equation 5 with linear kernels. A prompt (C, H,
    W) enters with its pixels as examples and its channels as features: 1 means that the two are
    the same up to rotation and scale of the channels and a shift. Of maps that do not vary from
    pixel to pixel it is not defined: NaN.
    """
    both = (np.asarray(a, dtype=float) for a in (first, second))
    x, y = (a - a.mean(axis=0) for a in both)
    scale = np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)
    if scale < 1e-18:
        return float("nan")
    return float(np.clip(np.linalg.norm(x.T @ y) ** 2 / scale, 0, 1))


def diagonal_advantage_db(psnr_db: ArrayLike, families: Sequence[str]) -> list[float]:
    """Return per row the diagonal minus the mean of other families' entries, in dB.

    ``psnr_db`` (T, T) is PSNR of the row's images under the column's prompts. NaN for a row
    without another family.
    """
    matrix = np.asarray(psnr_db, dtype=float)
    advantages = []
    for row, family in enumerate(families):
        others = [c for c, other in enumerate(families) if other != family]
        advantages.append(
            float(matrix[row, row] - matrix[row, others].mean()) if others else float("nan")
        )
    return advantages


def prompt_swap_gap_db(psnr_db: ArrayLike, families: Sequence[str]) -> float:
    """Return the mean of :func:`diagonal_advantage_db`; 0 if no family has another."""
    found = [value for value in diagonal_advantage_db(psnr_db, families) if value == value]
    return float(np.mean(found)) if found else 0.0


def collapsed(usage: dict[str, dict[str, list[float]]]) -> bool:
    """Tell whether at every level one expert alone serves all tasks.

    ``usage`` is level -> task -> share of the weight of each expert.
    """
    for tasks in usage.values():
        shares = np.array(list(tasks.values()))
        if len(set(shares.argmax(axis=1))) > 1 or shares.max(axis=1).min() < COLLAPSED:
            return False
    return True


def _entropy(shares: Float) -> float:
    kept = shares[shares > 0]
    return float(-(kept * np.log(kept)).sum())
