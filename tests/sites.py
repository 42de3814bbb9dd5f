"""A plan whose results, images and probes are made up, for sites that show them."""

from __future__ import annotations

import functools
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

from harness.planning.plan import Plan, make_plan
from harness.planning.request import RunRequest
from harness.planning.run import Run
from harness.store.image_files import image_paths
from harness.store.results import Result, append
from tests.made_results import result_of

HOSTILE = '"><img src=x onerror=window.hacked=1>'
SCRIPT = "</script><script>window.hacked=1</script>"

PLUGIN = f"""
from harness.method import MethodSpec

SPEC = MethodSpec(
    name="hostile",
    label={HOSTILE!r},
    summary="a name that must stay text",
    prompting="none",
    objective="L1",
    source={SCRIPT!r},
    build="nowhere:build",
)
"""


def own_folder(root: Path, hostile: bool) -> Path:
    """Write a setting of two columns and its data set; return the folder for ``include``."""
    label = SCRIPT if hostile else "σ=25"
    title = HOSTILE if hostile else "Two levels of noise"
    tasks, columns, sources = [], [], []
    for sigma in (25, 50):
        name = f"denoise{sigma}"
        noise = {"kind": "noise", "sigma_255": [sigma, sigma]}
        tasks.append({"name": name, "family": "denoise", "degradation": noise})
        text = label if sigma == 25 else "σ=50"
        columns.append({"name": name, "task": name, "group": "Noise", "label": text})
        sources.append({"column": name, "set": "own-images"})
    setting = {
        "name": "own-noise",
        "title": title,
        "tasks": tasks,
        "columns": columns,
        "test_sources": sources,
        "training_sources": [{"family": "denoise", "set": "own-training"}],
        "preprocessing": "three-task",
        "protocol": "three-task",
    }
    include = root / "own"
    for kind, name, content in (
        ("settings", "own-noise", setting),
        ("sets", "own-images", _data_set("own-images", "Own_Images", "test")),
        ("sets", "own-training", _data_set("own-training", "Own_Training", "train")),
    ):
        path = include / kind / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    return include


def _data_set(name: str, folder: str, split: str) -> dict[str, object]:
    return {
        "name": name,
        "label": name,
        "title": name,
        "homepage": "not published",
        "licence": "our own",
        "split": split,
        "about": "made up",
        "folders": [folder],
        "expected": {},
        "layouts": [{"name": "flat", "clean": ".", "pairing": "clean-only"}],
    }


def picture(seed: int, size: tuple[int, int], noise: float = 0.0) -> np.ndarray:
    """Return a smooth (H, W, 3) uint8 image of width and height ``size``, with some noise."""
    rng = np.random.default_rng(seed)
    across, down = np.meshgrid(np.linspace(0, 1, size[0]), np.linspace(0, 1, size[1]))
    waves = []
    for frequency in rng.uniform(2, 9, 3):
        waves.append(0.5 + 0.5 * np.sin(frequency * across + 7 * down))
    pixels = 255 * np.stack(waves, axis=-1)
    if noise:
        pixels = pixels + noise * rng.standard_normal(pixels.shape)
    return np.clip(pixels, 0, 255).astype(np.uint8)


def made_plan(
    root: Path,
    methods: Sequence[str] = ("cpl", "promptir"),
    images: int = 6,
    size: tuple[int, int] = (160, 112),
    hostile: bool = False,
    distinct: int = 1000,
) -> Plan:
    """Return a plan of which results, images, probes and curves are stored, all made up.

    Images repeat after ``distinct`` of them, which saves time where there are thousands.
    """
    names = [f"image {number:03d}" for number in range(images)]
    if hostile:
        names[0] = HOSTILE
        (root / "hostile.py").write_text(PLUGIN, encoding="utf-8")
    for folder, count in (("Own_Images", images), ("Own_Training", 10)):
        (root / "data" / folder).mkdir(parents=True)
        for number in range(count):
            name = names[number] if folder == "Own_Images" else f"training {number}"
            pixels = picture(number if folder == "Own_Images" else 1000 + number, size)
            Image.fromarray(pixels).save(root / "data" / folder / f"{name}.png")
    request = RunRequest.model_validate(
        {
            "methods": (*methods, "hostile") if hostile else tuple(methods),
            "setting": "own-noise",
            "recipe": "mini",
            "data": {"root": root / "data"},
            "include": (own_folder(root, hostile),),
            "plugins": (root / "hostile.py",) if hostile else (),
            "out": root / "runs",
        }
    )
    plan = make_plan(request)
    for place, run in enumerate(plan.runs):
        store_run(plan, run, place, size, distinct)
    return plan


@functools.cache
def png(seed: int, size: tuple[int, int], noise: float) -> bytes:
    """Return :func:`picture` as the bytes of a PNG file."""
    content = io.BytesIO()
    Image.fromarray(picture(seed, size, noise)).save(content, "PNG")
    return content.getvalue()


def store_run(plan: Plan, run: Run, place: int, size: tuple[int, int], distinct: int) -> None:
    """Store made up results, images, probes and validations of a run."""
    assert run.score is not None
    run.folder.path.mkdir(parents=True, exist_ok=True)
    run.folder.write_spec(run.train)
    results = []
    for column, names in plan.test.images_by_column().items():
        for number, image in enumerate(names):
            psnr_db = 20 + 2 * place + 3 * math.sin(1.7 * number + place) + 4 * ("25" in column)
            results += _results(plan, run, column, image, psnr_db)
            paths = image_paths(run.folder, run.score, column, image)
            kinds = ((paths.restored, 20 - 2 * place), (paths.degraded, 30), (paths.clean, 0))
            for path, noise in kinds:
                if not path.exists():
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(png(number % distinct, size, noise))
    append(run.folder.results, results)
    if run.method.spec.trained:
        _store_training(run, [column.name for column in plan.columns], place)


def _results(plan: Plan, run: Run, column: str, image: str, psnr_db: float) -> list[Result]:
    found = []
    for metric, value in (("psnr_rgb", psnr_db), ("ssim_rgb_uniform7", psnr_db / 40)):
        found.append(result_of(plan, run, (column, image, metric), value, "own-images"))
    return found


def _store_training(run: Run, tasks: Sequence[str], place: int) -> None:
    lines = []
    for step in (50, 100, 150, 200):
        per_task = dict.fromkeys(tasks, 20.0 + place + step / 100)
        line = {"step": step, "score": 20.0 + step / 100, "per_task": per_task}
        lines.append(json.dumps({**line, "losses": {"l1": 5.0 / step}}))
    run.folder.validation.write_text("\n".join(lines) + "\n")
    provenance = {
        "parameters": 1_234_567,
        "steps": 200,
        "wall_s": 90.0,
        "git_commit": "0123456789abcdef",
        "versions": {"harness": "0.2.0", "torch": SCRIPT},
        "device": "cpu",
    }
    run.folder.provenance.write_text(json.dumps(provenance))
    matrix = [[30.0 - 4 * (row != column) for column in range(2)] for row in range(2)]
    load = {"level1": {task: [0.75, 0.25] for task in tasks}}
    prompts = {
        "tasks": list(tasks),
        "expert_load": load,
        "psnr_db": matrix,
        "prompt_swap_gap_db": 4.0,
        "collapsed": False,
    }
    summary = {"higher_is_better": {"psnr_rgb": True}, "prompts": prompts}
    run.folder.prompt_summary.write_text(json.dumps(summary))
