"""Compare recipes on validation images, never on test ones.

python -m benchmarks.recipe_trials --recipe FILE --images DIR --seeds 0 \
    --methods "cpl,cpl:cpr_weight=0.01"

Trains each method on the synthetic version of a setting as ``run`` does, and scores it on the
centre of clean images of one's own (``--images``: those of RainTrainL were used), every task with
keyed degradations. Printed per run: PSNR per task and on average; the prompt-swap gap, which is
what the prompts that other families' images received cost an image of a task; and the normalised
mutual information of expert and task, with single tasks and with families, mean over levels.
Results are stored in ``--out`` and not computed again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import harness
from harness.config.seeding import generator
from harness.data.images.crops import centre_crop
from harness.data.images.read import read_image
from harness.data.synthetic.degrade import degrade
from harness.evaluation.metrics.psnr import psnr_rgb
from harness.evaluation.probes.definitions import normalised_mutual_information, prompt_swap_gap_db
from harness.execution.networks import parameter_count, trained_network
from harness.execution.process import prepare_process
from harness.method import Prompted
from harness.planning.plan import Plan
from harness.planning.run import Run
from harness.store.files import read_json, write_json

_SIDE_PX = 128


def judge(run: Run, plan: Plan, paths: Sequence[Path]) -> dict[str, Any]:
    """Score one trained run on the images."""
    prepare_process(1)
    method = trained_network(run).eval()
    tasks = plan.setting.tasks
    names = [task.name for task in tasks]
    swaps: list[np.ndarray] = []
    experts: dict[str, list[list[int]]] = {}
    for path in paths:
        degraded, clean = degraded_by_all(plan, path)
        with torch.no_grad():
            if isinstance(method, Prompted):
                labels = tuple(names) if run.method.spec.needs_task_labels else None
                swaps.append(swapped(method, degraded, clean, labels, experts))
            else:
                own = psnrs_db(method.restore(degraded, None), clean)
                swaps.append(np.array([own] * len(tasks)))
    matrix = np.mean(swaps, axis=0).T
    families = [task.family for task in tasks]
    own_db = np.diag(matrix)
    result: dict[str, Any] = {
        "per_task": dict(zip(names, own_db.round(3).tolist(), strict=True)),
        "average_db": round(float(own_db.mean()), 3),
        "parameters": parameter_count(method),
        "train_s": read_json(run.folder.provenance).get("wall_s"),
    }
    if experts:
        result["prompt_swap_gap_db"] = round(prompt_swap_gap_db(matrix, families), 3)
        result["nmi_tasks"] = mean_information(experts, names * len(paths))
        result["nmi_families"] = mean_information(experts, families * len(paths))
    return result


def degraded_by_all(plan: Plan, path: Path) -> tuple[torch.Tensor, np.ndarray]:
    """Return the centre of an image under every task's degradation, and the clean centre."""
    image = centre_crop(read_image(path), 16, _SIDE_PX).astype(np.float32) / 255
    clean = np.ascontiguousarray(image.transpose(2, 0, 1)[None])
    rounding = plan.setting.preprocessing.noise_rounding
    batch = []
    for task in plan.setting.tasks:
        rng = generator("trial", path.stem, task.name)
        batch.append(degrade(clean, task.degradation, [rng], rounding))
    return torch.from_numpy(np.concatenate(batch)), clean


def swapped(
    method: Prompted,
    degraded: torch.Tensor,
    clean: np.ndarray,
    labels: tuple[str, ...] | None,
    experts: dict[str, list[list[int]]],
) -> np.ndarray:
    """Return PSNR in dB by (prompts of a task, images of a task); add the chosen experts."""
    features = method.encode(degraded)
    own = method.decode(features, method.choose(degraded, labels))
    columns = []
    for number in range(len(degraded)):
        forced = {k: r.weights[number].expand_as(r.weights) for k, r in own.routing.items()}
        columns.append(psnrs_db(method.decode(features, forced).restored, clean))
    for level, routing in own.routing.items():
        experts.setdefault(level, []).append(routing.weights.argmax(dim=-1).tolist())
    return np.array(columns)


def mean_information(experts: dict[str, list[list[int]]], labels: Sequence[str]) -> float:
    """Return the normalised mutual information of experts and labels, mean over levels."""
    found = []
    for chosen in experts.values():
        found.append(normalised_mutual_information(np.ravel(chosen).tolist(), labels))
    return round(float(np.mean(found)), 3)


def psnrs_db(restored: torch.Tensor, clean: np.ndarray) -> list[float]:
    """Return PSNR of each image of a batch against one clean image."""
    images = restored.float().clamp(0, 1).numpy().transpose(0, 2, 3, 1)
    return [psnr_rgb(image, clean[0].transpose(1, 2, 0)) for image in images]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--methods", required=True, help="as in run")
    parser.add_argument("--images", type=Path, required=True, help="folder of clean images")
    parser.add_argument("--setting", default="three-task")
    parser.add_argument("--recipe", default="mini")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("results/trials"))
    arguments = parser.parse_args()
    asked = {name: getattr(arguments, name) for name in ("setting", "recipe", "seeds", "out")}
    plan = harness.plan(methods=arguments.methods, **asked)
    trained = [replace(run, score=None) for run in plan.runs if run.method.spec.trained]
    plan = replace(plan, runs=tuple(trained))
    harness.run(plan, jobs=arguments.jobs, device="cpu")
    files = sorted(arguments.images.iterdir())
    paths = [path for path in files if path.suffix in (".png", ".jpg")]
    for run in plan.runs:
        stored = run.folder.path / "trial.json"
        if not stored.exists():
            write_json(stored, judge(run, plan, paths[: arguments.count]))
        print(json.dumps({"run": run.label, **read_json(stored)}), flush=True)


if __name__ == "__main__":
    main()
