"""Definitions of the probes as functions of plain arrays; docs/probes.md explains them.

Tasks of one family (noise at three levels) are nearly one task: a prompt of the same family is no
negative, and mutual information is computed with the levels as one task and as three.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float = NDArray[np.float64]

COLLAPSED_LOAD = 0.9
"""Expert load above which one expert counts as serving a task alone."""

NO_EXPERT = -1
"""Stands for the most weighted expert where weights are not finite."""


def normalised_mutual_information(experts: Sequence[int], tasks: Sequence[str]) -> float:
    """Return I(expert; task) / H(task) of paired decisions.

    In [0, 1]: 0 if the expert is independent of the task, 1 if the task follows from the expert.
    That several experts share a task costs nothing; 0 by definition if there is one task only.
    NaN if an expert is :data:`NO_EXPERT`.
    """
    if NO_EXPERT in experts:
        return float("nan")
    task = np.unique(np.asarray(tasks), return_inverse=True)[1]
    expert = np.unique(np.asarray(experts), return_inverse=True)[1]
    joint = np.zeros((task.max() + 1, expert.max() + 1))
    np.add.at(joint, (task, expert), 1 / len(task))
    if len(joint) == 1:  # rounding can leave an entropy of one task that is not exactly 0
        return 0.0
    uncertainty = _entropy(joint.sum(axis=1))
    mutual = uncertainty + _entropy(joint.sum(axis=0)) - _entropy(joint.ravel())
    return float(np.clip(mutual / uncertainty, 0, 1))


def chance_normalised_mutual_information(
    experts: Sequence[int], tasks: Sequence[str], rng: np.random.Generator, shuffles: int = 200
) -> float:
    """Return the mean of :func:`normalised_mutual_information` over shuffled tasks.

    With few images any routing seems to depend on the task; this is the value by chance.
    """
    values = []
    for _ in range(shuffles):
        shuffled = rng.permutation(np.asarray(tasks)).tolist()
        values.append(normalised_mutual_information(experts, shuffled))
    return float(np.mean(values))


def relative_entropy(weights: ArrayLike) -> float:
    """Return the entropy of shares (experts,) over its maximum: 0 one expert, 1 all alike.

    NaN where a share is not finite.
    """
    shares = np.asarray(weights, dtype=float)
    if not np.isfinite(shares).all():
        return float("nan")
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
    x, y = _centred(first), _centred(second)
    scale = np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)
    if scale < 1e-18:
        return float("nan")
    return float(np.clip(np.linalg.norm(x.T @ y) ** 2 / scale, 0, 1))


def prompt_swap_gaps_db(psnr_db: ArrayLike, families: Sequence[str]) -> list[float]:
    """Return the prompt-swap gap of each task: the diagonal minus the mean of its negatives, dB.

    ``psnr_db`` (T, T) is PSNR of the row's images under the column's prompts; negatives are
    prompts of other families. NaN for a row without another family.
    """
    matrix = np.asarray(psnr_db, dtype=float)
    gaps = []
    for row, family in enumerate(families):
        negatives = [column for column, other in enumerate(families) if other != family]
        if negatives:
            gaps.append(float(matrix[row, row] - matrix[row, negatives].mean()))
        else:
            gaps.append(float("nan"))
    return gaps


def prompt_swap_gap_db(psnr_db: ArrayLike, families: Sequence[str]) -> float:
    """Return the mean of :func:`prompt_swap_gaps_db`; 0 if no family has another.

    NaN if a gap is not finite: the mean of the others would be that of other tasks.
    """
    if len(set(families)) < 2:
        return 0.0
    gaps = prompt_swap_gaps_db(psnr_db, families)
    return float(np.mean(gaps)) if np.isfinite(gaps).all() else float("nan")


def collapsed(expert_load: Mapping[str, Mapping[str, Sequence[float]]]) -> bool:
    """Return whether at every level one expert alone serves all tasks.

    ``expert_load`` is level -> task -> share of the weight of each expert. Of shares that are not
    finite nothing is known, so it is not said of them.
    """
    for tasks in expert_load.values():
        shares = np.array(list(tasks.values()), dtype=float)
        if not np.isfinite(shares).all():
            return False
        if len(set(shares.argmax(axis=1))) > 1 or shares.max(axis=1).min() < COLLAPSED_LOAD:
            return False
    return True


def _centred(values: ArrayLike) -> Float:
    rows = np.asarray(values, dtype=float)
    centred: Float = rows - rows.mean(axis=0)
    return centred


def _entropy(shares: Float) -> float:
    positive = shares[shares > 0]
    return float(-(positive * np.log(positive)).sum())
