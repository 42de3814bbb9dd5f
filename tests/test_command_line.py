"""The command lines that sentences name: what a person copies asks for the same."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from harness.api import RunRequest
from harness.config.errors import UsageError
from harness.planning.command_line import command_line
from tests.conftest import Run

REQUESTS: list[dict[str, Any]] = [
    {},
    {"methods": ("promptir:prompt_init=channel-normal", "cpl:top_k=2"), "seeds": (0, 3, 4)},
    {"methods": ("spandrel:checkpoint='/data/a, b.pth'",), "setting": "five-task", "limit": 2},
    {"methods": ("own:widths=1,2,3", "cpl"), "recipe": "smoke", "out": Path("a folder/'x'")},
    {"metrics": ("lpips", "niqe"), "columns": ("derain", "dehaze"), "init_from": "cpl-s0"},
    {"include": (Path("one"), Path("t w o")), "plugins": (Path("own.py"),)},
    {"labels": {"cpl": "CPL (ours) $x$", "derain": "Rain; 100"}},
    {"data": {"root": Path("/data sets"), "train_sets": {"derain": "raintrainl"}}},
    {"data": {"on_disk": True}},
    {"data": {"clean_images": {"train": "~/a b", "test": "foolbox"}}},
    {
        "evaluation": {
            "protocol": ("three-task", "y-matlab"),
            "crop_multiple": 8,
            "noise_rounding": "round",
            "noise_stream": "published",
            "test_set": "ood-noise",
            "tile_large_images": True,
        }
    },
]


def requests_of(subcommand: str, monkeypatch: pytest.MonkeyPatch) -> list[RunRequest]:
    """Return a list that receives what a subcommand asks for; it goes no further."""
    asked: list[RunRequest] = []

    def record(request: RunRequest) -> None:
        asked.append(request)
        raise UsageError("enough")

    monkeypatch.setattr(f"harness.cli.{subcommand}.plan_of", record)
    return asked


@pytest.mark.parametrize("values", REQUESTS)
def test_a_command_asks_for_the_same(
    values: dict[str, Any], harness_command: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = requests_of("figure", monkeypatch)
    request = RunRequest.model_validate(values)
    words = shlex.split(command_line("figure", request, ["grid", "--rows", "2"]))
    assert words[:5] == ["python", "-m", "harness", "figure", "grid"]
    printed = harness_command(*words[3:])
    assert "enough" in printed.stderr
    assert asked == [request]


def test_what_no_flag_says_is_left_out() -> None:
    request = RunRequest(name="mine", keep_images="all", decimals={"psnr": 1})
    assert command_line("run", request) == "python -m harness run --methods cpl,promptir"


def test_a_file_may_be_asked_for_some_of_its_methods(
    tmp_path: Path, harness_command: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = requests_of("compare", monkeypatch)
    file = tmp_path / "request.yaml"
    file.write_text(
        "methods: [cpl:top_k=2:cpr_weight=0.5, promptir, restormer]\n"
        "labels: {cpl:top_k=2:cpr_weight=0.5: Ours, promptir: Dense, restormer: R, misspelt: X}\n"
        "training: {restormer: {lr: 0.002}, promptir: {lr: 0.001}}\n"
    )
    harness_command("compare", "cpl:cpr_weight=0.5:top_k=2", "promptir", "--config", str(file))
    harness_command("compare", "--config", str(file))
    some, whole = asked
    assert list(some.labels.values()) == ["Ours", "Dense", "X"]
    assert list(some.training) == ["promptir"]
    assert (len(whole.labels), len(whole.training)) == (4, 2)
