"""Draw the figures of docs/evidence.md from the stored rows; nothing is trained or scored.

Its curves of validation are not among them: archives hold no course of a training, so they are made
with `figure curves` where the trainings are.

python -m benchmarks.evidence_figures --train RainTrainL/norain --test CBSD68 --data-root DIR
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

import harness
from harness.api import ablation_tables, import_runs, load_studies, methods_of
from harness.planning.plan import Plan
from harness.planning.request import RunRequest

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "results" / "reference"
RECIPES = ("curve-600", "curve", "curve-6000")
COLOURS = 64
PROMPTIR, WIDENED = "promptir:prompt_init=channel-normal", "restormer:dim=22:ffn_expansion=3.0"
CURVES = (PROMPTIR, WIDENED, "cpl", "cpl-guided")
LABELLED = ("explicit:prompt_init=channel-normal", "oracle:prompt_init=channel-normal")
RAIN100L_COLUMNS = ("denoise15", "denoise25", "denoise50", "derain")


@dataclass(frozen=True)
class Figure:
    """A figure of an archive.

    Attributes:
        kind: of the figure.
        request: file of the request below ``results/reference``.
        methods: shown; empty takes those of the request.
        seeds: shown; empty takes those of the request.
        recipes: whose rows are read; the figure is asked for with the last.
    """

    kind: str
    request: str
    methods: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    recipes: tuple[str, ...] = ()


FIGURES = {
    "steps-synthetic": Figure(
        "steps", "clean-images/request.yaml", CURVES + LABELLED, recipes=RECIPES
    ),
    "steps-rain100l": Figure(
        "steps", "rain100l/parts.yaml", CURVES + LABELLED, (0, 1, 2), recipes=RECIPES
    ),
    "differences-synthetic": Figure("differences", "clean-images/request.yaml"),
    "differences-rain100l": Figure("differences", "rain100l/request.yaml"),
    "differences-log-loss": Figure("differences", "clean-images/log-loss.yaml"),
    "differences-ood": Figure("differences", "clean-images/ood.yaml"),
    "swap": Figure("swap", "clean-images/request.yaml", ("cpl", "cpl-guided"), (0,)),
    "routing": Figure("routing", "clean-images/request.yaml", ("cpl", "cpl-guided"), (0,)),
}

ABLATION, PLUG_INS = "ablation", "differences-plug-ins"
"""Figures that are joined of several."""


def stored_plan(request: str, data: dict[str, Any], out: Path, **changes: Any) -> tuple[Plan, int]:
    """Return the plan of a request beside an archive, and how many of its runs the archive holds.

    Args:
        request: file below ``results/reference``.
        data: fields of ``data``, over those of the request; with ``root``, Rain100L's columns.
        out: output folder, which gets what the archive holds.
        changes: other fields of the request, over those of the file.
    """
    path = REFERENCE / request
    asked = yaml.safe_load(path.read_text(encoding="utf-8")) | changes
    asked["recipe"] = str(ROOT / asked["recipe"])
    if asked["setting"].endswith(".yaml"):
        asked["setting"] = str(ROOT / asked["setting"])
    asked["data"] = {**asked.get("data", {}), **data}
    asked["plugins"] = [ROOT / plugin for plugin in asked.get("plugins", ())]
    labels = asked["labels"].items()
    asked["labels"] = {name: label for name, label in labels if name in asked["methods"]}
    if "root" in data:
        asked["columns"] = RAIN100L_COLUMNS
    plan = harness.plan(**asked, out=out)
    return plan, import_runs(plan, path.parent)


def plan_of(figure: Figure, recipe: str | None, data: dict[str, Any], out: Path) -> Plan:
    """Return the plan of a figure's request, with what the archive holds of it."""
    changes: dict[str, Any] = {}
    if recipe is not None:
        changes["recipe"] = f"examples/recipes/{recipe}.yaml"
    if figure.methods:
        changes["methods"] = figure.methods
    if figure.seeds:
        changes["seeds"] = figure.seeds
    plan, found = stored_plan(figure.request, data, out, **changes)
    # A figure of steps shows the seeds that each length has.
    if found < len(plan.runs) and not figure.recipes:
        raise SystemExit(
            f"the archive holds {found} of the {len(plan.runs)} runs of {figure.request}"
        )
    return plan


def draw(figure: Figure, data: dict[str, Any]) -> Image.Image:
    """Return a figure of an archive."""
    with tempfile.TemporaryDirectory() as folder:
        for recipe in figure.recipes or (None,):
            plan = plan_of(figure, recipe, data, Path(folder))
        return png_of(harness.figure(plan, figure.kind))


def draw_ablation(base: str, label: str, archive: str, asked: RunRequest) -> Image.Image:
    """Return the figures of both studies of a method side by side.

    Args:
        base: the method.
        label: of the method, before the titles.
        archive: folder below ``results/reference``.
        asked: recipe, data and output folder.
    """
    studies = load_studies(["topk", "negatives"], asked, base)
    plan = harness.plan(asked, methods=methods_of(studies))
    import_runs(plan, REFERENCE / archive)
    images = []
    for study in studies:
        study = replace(study, title=f"{label}: {study.title}")
        for table in ablation_tables(study, plan, {}):
            images.append(png_of(table.write(asked.out)))
    return joined(images, are_beside=True)


def draw_ablations(data: dict[str, Any]) -> Image.Image:
    """Return the studies of CPL above those of CPL-guided."""
    images = []
    with tempfile.TemporaryDirectory() as folder:
        recipe = str(ROOT / "examples/recipes/curve-600.yaml")
        of_cpl = RunRequest.model_validate({"recipe": recipe, "out": folder, "data": data})
        images.append(draw_ablation("cpl", "CPL", "clean-images", of_cpl))
    with tempfile.TemporaryDirectory() as folder:
        of_guided = RunRequest(recipe="ablation", out=Path(folder))
        label = "CPL-guided (this project)"
        images.append(draw_ablation("cpl-guided", label, "ablation", of_guided))
    return joined(images, are_beside=False)


def draw_plugged(data: dict[str, Any]) -> Image.Image:
    """Return what CPL and CPL-guided give each network, one figure below the other."""
    request = "clean-images/plug-ins.yaml"
    methods = yaml.safe_load((REFERENCE / request).read_text(encoding="utf-8"))["methods"]
    images = []
    # The request names each network alone, then with either.
    for network in zip(methods[::3], methods[1::3], methods[2::3], strict=True):
        images.append(draw(Figure("differences", request, network), data))
    return joined(images, are_beside=False)


def png_of(paths: Sequence[Path]) -> Image.Image:
    (png,) = (path for path in paths if path.suffix == ".png")
    with Image.open(png) as image:
        return image.convert("RGB")


def joined(images: Sequence[Image.Image], are_beside: bool) -> Image.Image:
    widths, heights = zip(*(image.size for image in images), strict=True)
    size_px = (sum(widths), max(heights)) if are_beside else (max(widths), sum(heights))
    found = Image.new("RGB", size_px, "white")
    place = 0
    for image in images:
        found.paste(image, (place, 0) if are_beside else (0, place))
        place += image.width if are_beside else image.height
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=Path, required=True, help="RainTrainL's clean images")
    parser.add_argument("--test", type=Path, required=True, help="CBSD68")
    parser.add_argument("--data-root", type=Path, required=True, help="of Rain100L and both")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "evidence")
    names = sorted([*FIGURES, ABLATION, PLUG_INS])
    parser.add_argument("--only", nargs="*", choices=names, default=names)
    asked = parser.parse_args(arguments)
    clean = {"clean_images": {"train": str(asked.train), "test": str(asked.test)}}
    asked.out.mkdir(parents=True, exist_ok=True)
    for name in asked.only:
        if name == ABLATION:
            image = draw_ablations(clean)
        elif name == PLUG_INS:
            image = draw_plugged(clean)
        else:
            is_rain100l = FIGURES[name].request.startswith("rain100l")
            image = draw(FIGURES[name], {"root": str(asked.data_root)} if is_rain100l else clean)
        path = asked.out / f"{name}.png"
        # Few colours: a repository holds it.
        image.quantize(COLOURS).save(path, optimize=True)
        print(path)


if __name__ == "__main__":
    main()
