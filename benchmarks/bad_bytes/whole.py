"""The whole inputs that cases make bad: runs, an archive, weights, images and YAML files."""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
import shutil
from pathlib import Path

from benchmarks.bad_bytes.case import Case
from benchmarks.bad_bytes.sandbox import Box

RECIPE = """
base: smoke
train: {steps: 2, warmup_steps: 1, decay_steps: 2, validate_every_steps: 2}
auxiliary: {steps: 2}
test: {images: 1, draws: 1, centre_px: 64}
"""
METHODS = "degraded-input,nafnet,explicit"
RUN = ("--methods", METHODS, "--recipe", "quick.yaml", "--out", "out")
NAFNET = ("--method", "nafnet")

_DATA_SET = """
name: own
label: Own
title: Own images
homepage: not published
licence: my own
split: test
about: Two folders with the same names.
folders: [own]
expected: {pairs: 4, clean: 4}
layouts:
  - {name: two-folders, degraded: rainy, clean: clean, pairing: same-name}
"""
_STUDY = """
title: A small study
base: promptir
axes:
  size:
    label: sizes
    values:
      - {label: own, options: {}}
      - {label: other, method: restormer}
"""
_REQUEST = """
methods: [degraded-input, nafnet]
setting: three-task
recipe: quick.yaml
seeds: [0]
labels: {nafnet: NAFNet of mine}
out: out
"""


_MODULES = (
    *("torch", "torchvision", "pandas", "cv2", "scipy.stats", "safetensors.torch", "spandrel"),
    *("PIL.Image", "PIL.PngImagePlugin", "PIL.JpegImagePlugin", "PIL.TiffImagePlugin"),
    *("skimage.metrics", "matplotlib.figure", "pyarrow.parquet", "tabulate", "jinja2", "joblib"),
)


def warm() -> None:
    """Import once what commands need, so that forks need not."""
    import torch

    import harness
    import methods
    from harness.method import OptionError

    torch.set_num_threads(1)
    for package in (harness, methods):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                with contextlib.suppress(ImportError, OptionError):  # optional packages
                    importlib.import_module(module.name)
    for name in _MODULES:
        importlib.import_module(name)


def make_whole(folder: Path) -> Path:
    """Make the whole inputs below ``folder`` and return where they lie."""
    whole, box = folder / "whole", folder / "box"
    whole.mkdir(parents=True)
    box.mkdir()
    _write_yaml(whole)
    _write_images(whole)
    made = Box(box, whole)
    commands = (
        ("run", *RUN, "--threads", "1", "--export", "new/archive"),
        ("plan", *RUN, "--to", "new/plan.json"),
    )
    for words in commands:
        ended = made.run(Case("making whole inputs", words))
        if ended.code != 0:
            raise SystemExit(f"{' '.join(words)} fails: {ended.stderr}")
        for name in ("out", "new"):
            if (made.work / name).exists():
                shutil.copytree(made.work / name, whole / name, dirs_exist_ok=True)
    (whole / "new" / "archive").rename(whole / "archive")
    (whole / "new" / "plan.json").rename(whole / "plan.json")
    (whole / "new").rmdir()
    shutil.rmtree(whole / "out" / "tables", ignore_errors=True)
    _write_weights(whole)
    return whole


def _write_yaml(whole: Path) -> None:
    from harness.config.folders import datasets_folder, shipped_files
    from harness.config.package import PACKAGE_FOLDER

    texts = {"quick.yaml": RECIPE, "own.yaml": _DATA_SET, "study.yaml": _STUDY}
    for name, text in {**texts, "request.yaml": _REQUEST}.items():
        (whole / name).write_text(text.lstrip())
    (whole / "shipped").mkdir()
    assert datasets_folder().is_dir()
    sources = {kind: shipped_files(kind) for kind in ("settings", "protocols", "sets")}
    sources["out_of_distribution"] = shipped_files("out_of_distribution")
    sources["studies"] = {path.stem: path for path in (PACKAGE_FOLDER / "studies").glob("*.yaml")}
    sources["recipes"] = {path.stem: path for path in (PACKAGE_FOLDER / "recipes").glob("*.yaml")}
    for kind, files in sources.items():
        (whole / "shipped" / kind).mkdir()
        for name, path in files.items():
            shutil.copy(path, whole / "shipped" / kind / f"{name}.yaml")


def _write_images(whole: Path) -> None:
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for folder in ("restored", "clean", "data/own/rainy", "data/own/clean"):
        (whole / folder).mkdir(parents=True)
    for number in range(4):
        coarse = rng.integers(0, 256, (9, 8, 3), dtype=np.uint8)
        clean = np.asarray(Image.fromarray(coarse).resize((64, 72), Image.Resampling.BICUBIC))
        noise = rng.integers(-20, 21, clean.shape)
        degraded = np.clip(clean.astype(int) + noise, 0, 255).astype(np.uint8)
        for folder, pixels in (("restored", degraded), ("clean", clean)):
            Image.fromarray(pixels).save(whole / folder / f"image{number}.png")
        for folder, pixels in (("rainy", degraded), ("clean", clean)):
            Image.fromarray(pixels).save(whole / "data" / "own" / folder / f"image{number}.png")


def _write_weights(whole: Path) -> None:
    import torch
    from safetensors.torch import load_file

    (run,) = (whole / "out").glob("nafnet-*")
    shutil.copy(run / "weights.safetensors", whole / "nafnet.safetensors")
    torch.save(load_file(whole / "nafnet.safetensors"), whole / "nafnet.pth")


def run_folder(work: Path, method: str) -> Path:
    """Return the folder of a method's run."""
    (found,) = (work / "out").glob(f"{method}-s*")
    return found
