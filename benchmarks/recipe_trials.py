"""Compare recipes on validation photographs, never on test ones.

python -m benchmarks.recipe_trials --recipe FILE --photographs DIR --seeds 0 \
    --methods "cpl,cpl:cpr_weight=0.01"

Trains each method on the setting's twin as ``run`` does, in cells of its own, and scores it on the
centre of clean photographs of one's own (``--photographs``: those of RainTrainL were used), every
task with keyed degradations. Printed per cell: PSNR per task and on average; the control, which is
what the prompts that other families' images received cost an image of a task; and the normalised
mutual information of expert and task, I / H(task), with all tasks apart and by families, mean over
levels. Results are kept in ``--out`` and not computed again.
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

from harness.config.seeding import generator
from harness.data.images.crops import centre_crop
from harness.data.images.read import read_image
from harness.data.synthetic.degrade import degrade
from harness.evaluation.metrics.registry import psnr_rgb
from harness.evaluation.probes.definitions import normalised_mutual_information, prompt_swap_gap_db
from harness.execution.execute import Resources, run_plan, trained_network
from harness.execution.process import prepare_process
from harness.method import Prompted
from harness.planning.plan import Cell, Plan, make_plan, parse_seeds
from harness.store.files import read_json, write_json

_SIDE_PX = 128


def judge(cell: Cell, plan: Plan, paths: Sequence[Path]) -> dict[str, Any]:
    """Score one trained cell on the photographs."""
    prepare_process(1)
    method = trained_network(cell).eval()
    tasks = plan.setting.tasks
    names = [task.name for task in tasks]
    values, experts = [], {}
    for path in paths:
        image = centre_crop(read_image(path), 16, _SIDE_PX).astype(np.float32) / 255
        clean = np.ascontiguousarray(image.transpose(2, 0, 1)[None])
        rounding = plan.setting.preprocessing.noise_rounding
        degraded = torch.from_numpy(
            np.concatenate(
                [
                    degrade(clean, t.degradation, [generator("trial", path.stem, t.name)], rounding)
                    for t in tasks
                ]
            )
        )
        with torch.no_grad():
            if not isinstance(method, Prompted):
                values.append([_psnrs(method.restore(degraded, None), clean)] * len(tasks))
                continue
            features = method.encode(degraded)
            told = tuple(names) if cell.choice.spec.needs_task_labels else None
            own = method.decode(features, method.choose(degraded, told))
            columns = []
            for number in range(len(tasks)):
                forced = {k: r.weights[number].expand_as(r.weights) for k, r in own.routing.items()}
                columns.append(_psnrs(method.decode(features, forced).restored, clean))
            values.append(columns)
            for level, routing in own.routing.items():
                experts.setdefault(level, []).append(routing.weights.argmax(dim=-1).tolist())
    matrix = np.mean(values, axis=0).T
    families = [task.family for task in tasks]
    result = {
        "per_task": dict(zip(names, np.diag(matrix).round(3).tolist(), strict=True)),
        "average_db": round(float(np.diag(matrix).mean()), 3),
        "parameters": sum(p.numel() for p in method.parameters()),
        "train_s": read_json(cell.folder.record).get("wall_s"),
    }
    if experts:
        result["control_db"] = round(prompt_swap_gap_db(matrix, families), 3)
        for name, labels in (("nmi_tasks", names), ("nmi_families", families)):
            each = [
                normalised_mutual_information(np.ravel(chosen).tolist(), labels * len(paths))
                for chosen in experts.values()
            ]
            result[name] = round(float(np.mean(each)), 3)
    return result


def _psnrs(restored: torch.Tensor, clean: np.ndarray) -> list[float]:
    images = restored.float().clamp(0, 1).numpy().transpose(0, 2, 3, 1)
    return [psnr_rgb(image, clean[0].transpose(1, 2, 0)) for image in images]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--methods", required=True, help="as in run; options joined by ;")
    parser.add_argument("--photographs", type=Path, required=True, help="folder of clean images")
    parser.add_argument("--setting", default="three-task")
    parser.add_argument("--recipe", default="mini")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--count", type=int, default=24)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("results/trials"))
    arguments = parser.parse_args()
    methods = [name.replace(";", ",") for name in arguments.methods.split(",")]
    seeds = parse_seeds(arguments.seeds)
    plan = make_plan(methods, arguments.setting, arguments.recipe, seeds, (), arguments.out)
    trained = tuple(replace(cell, score=None) for cell in plan.cells if cell.choice.spec.trained)
    plan = replace(plan, cells=trained)
    for ended in run_plan(plan, Resources(jobs=arguments.jobs, device="cpu", loader_workers=0)):
        if ended.error or ended.interrupted:
            raise SystemExit(f"{ended.label}: {ended.error or 'stopped'}")
    paths = sorted(p for p in arguments.photographs.iterdir() if p.suffix in (".png", ".jpg"))
    for cell in plan.cells:
        kept = cell.folder.path / "trial.json"
        if not kept.exists():
            write_json(kept, judge(cell, plan, paths[: arguments.count]))
        print(json.dumps({"cell": cell.label, **read_json(kept)}), flush=True)


if __name__ == "__main__":
    main()
