"""Folders that are written, files that are read, and variables of the environment."""

from __future__ import annotations

import difflib
import os
import shutil
from pathlib import Path

from harness.api.diagnosis.finding import Finding, State, gib
from harness.config.errors import HarnessError
from harness.config.folders import files_by_name, own_folders
from harness.data.images.cache import default_folder
from harness.data.on_disk.locate import configuration_file
from harness.registry import catalogue

VARIABLES = {
    "HARNESS_DATA_ROOT": "folder of data sets",
    "HARNESS_INCLUDE": "folders of one's own YAML",
    "HARNESS_PLUGINS": "one's own Python files",
    "HARNESS_IMAGE_CACHE": "folder of decoded images",
    "HARNESS_KERNELS": "off: no compiled kernels",
    "HARNESS_NEGATIVES_GIB": "memory of negatives",
    "HARNESS_VGG16_WEIGHTS": "weights of a perceptual loss",
}
"""The harness's own variables, and what each names."""

OTHERS = (
    *("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"),
    *("TORCH_HOME", "HF_HOME", "CXX", "WANDB_MODE", "WANDB_PROJECT"),
)
"""Variables of others that change what the harness does."""

_LEAST_FREE_BYTES = 2**30


def output_folder(out: Path) -> list[Finding]:
    """Return whether runs can be written to ``out``, and the free space there."""
    there = out.absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    section, other = "folders", "choose another folder with --out"
    try:
        free = shutil.disk_usage(there).free
    except OSError as error:
        return [Finding(section, "output", f"{out}: {error.strerror}", "broken", other)]
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        value = f"{out} cannot be written ({there})"
        return [Finding(section, "output", value, "broken", other)]
    value = f"{out}, {gib(free)} free" + ("" if there == out.absolute() else ", not made yet")
    if free < _LEAST_FREE_BYTES:
        advice = f"free space there, or {other}"
        return [Finding(section, "output", value, "broken", advice)]
    return [Finding(section, "output", value)]


def cache() -> list[Finding]:
    """Return where decoded images are kept."""
    folder = default_folder()
    if folder is None:
        advice = "name a folder with HARNESS_IMAGE_CACHE; without it images are decoded each time"
        return [Finding("folders", "image cache", "no home folder", "absent", advice)]
    return [Finding("folders", "image cache", str(folder) + _there(folder))]


def configuration() -> list[Finding]:
    """Return the user's file, the harness's variables, and what they name."""
    section = "configuration"
    file = configuration_file()
    if file is None:
        advice = "set XDG_CONFIG_HOME, or name data with HARNESS_DATA_ROOT"
        found = [Finding(section, "file", "no home folder", "absent", advice)]
    else:
        found = [Finding(section, "file", str(file) + _there(file))]
    try:
        for kind in ("settings", "sets", "protocols"):
            files_by_name(kind)
    except HarnessError as error:
        found.append(Finding(section, "files of one's own", str(error), "broken", "mend the file"))
    for folder in own_folders():
        if not folder.is_dir():
            advice = "correct HARNESS_INCLUDE"
            found.append(Finding(section, str(folder), "is no folder", "broken", advice))
    return found + _variables() + _plugins()


def _variables() -> list[Finding]:
    section = "configuration"
    found: list[Finding] = []
    for name in (*VARIABLES, *OTHERS):
        if os.environ.get(name):
            found.append(Finding(section, name, os.environ[name]))
    for name in sorted(os.environ):
        if name.startswith("HARNESS_") and name not in VARIABLES:
            near = difflib.get_close_matches(name, VARIABLES, n=1, cutoff=0.5)
            advice = f"did you mean {near[0]}?" if near else "unset it"
            found.append(Finding(section, name, "no variable of the harness", "absent", advice))
    unset = [name for name in VARIABLES if not os.environ.get(name)]
    if unset:
        found.append(Finding(section, "not set", ", ".join(unset)))
    return found


def _plugins() -> list[Finding]:
    """Return how many methods are known, and which plug-ins cannot be used."""
    section = "methods"
    try:
        known = catalogue()
    except HarnessError as error:
        return [Finding(section, "catalogue", str(error), "broken", "rename what hides them")]
    found = [Finding(section, "known", f"{len(known.specs)}")]
    for name, reason in known.broken.items():
        advice = "mend the plug-in, or leave it out"
        found.append(Finding(section, name, reason, "broken", advice))
    return found


def _there(path: Path) -> str:
    return "" if path.exists() else ", not there"


def programs() -> list[Finding]:
    """Return the programs that some outputs need."""
    section = "programs"
    latex = "only to typeset tables: install TeX Live, or use Markdown and CSV"
    browser = "only to look at pages in tests and pictures of them: install chromium"
    found: list[Finding] = []
    for name, words, advice in (
        ("LaTeX", ("pdflatex", "lualatex", "xelatex", "tectonic"), latex),
        ("Chromium", ("chromium", "chromium-browser", "google-chrome", "chrome"), browser),
        ("git", ("git",), "only to store the commit that runs were computed with"),
    ):
        path = next(filter(None, map(shutil.which, words)), None)
        state: State = "absent" if path is None else "ok"
        found.append(Finding(section, name, path or "none", state, advice if path is None else ""))
    return found
