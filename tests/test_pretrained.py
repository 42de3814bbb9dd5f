"""Pretrained checkpoints: formats, names, refusals, evaluate and convert."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from typer.testing import CliRunner

from harness.cli import app
from harness.config.errors import HarnessError, UsageError
from harness.method import WeightsFile
from harness.registry import find
from harness.store.weights import read_metadata
from harness.training.pretrained import Pretrained, load_pretrained
from harness.training.pretrained import read_pretrained as read
from tests.networks import build_tiny

WRAPPINGS: dict[str, Any] = {
    "plain": lambda s: s,
    "lightning": lambda s: {
        "state_dict": {f"net.{k}": v for k, v in s.items()},
        "epoch": 3,
        "hyper_parameters": argparse.Namespace(lr=2e-4),
        "best": np.float64(31.2),
    },
    "basicsr": lambda s: {"params": s, "params_ema": {k: 0 * v for k, v in s.items()}},
    "parallel": lambda s: {f"module.{k}": v for k, v in s.items()},
    "both": lambda s: {"params": {f"module.net.{k}": v for k, v in s.items()}},
}


def read_pretrained(path: Path, entry: str | None = None) -> Pretrained:
    return read(WeightsFile(path, entry))


def state_of(name: str = "promptir", seed: int = 3, **options: str) -> Mapping[str, Tensor]:
    return {k: v.clone() for k, v in build_tiny(name, seed, **options).state_dict().items()}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_every_wrapping_is_read(wrapping: str, tmp_path: Path) -> None:
    state = state_of()
    path = tmp_path / "weights.pth"
    torch.save(WRAPPINGS[wrapping](dict(state)), path)
    network = build_tiny("promptir", seed=0)
    load_pretrained(network, read_pretrained(path), "promptir")
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())


def test_an_entry_can_be_named(tmp_path: Path) -> None:
    path, state = tmp_path / "weights.pth", state_of()
    torch.save(WRAPPINGS["basicsr"](dict(state)), path)
    averaged = read_pretrained(path, "params_ema")
    assert averaged.entry == "params_ema"
    assert not any(bool(value.any()) for value in averaged.state.values())
    with pytest.raises(UsageError, match=r"no entry 'params_em'; did you mean 'params_ema'"):
        read_pretrained(path, "params_em")


def test_safetensors_are_read(tmp_path: Path) -> None:
    path, state = tmp_path / "weights.safetensors", state_of()
    save_file(dict(state), path, metadata={"note": "x"})
    pretrained = read_pretrained(path)
    assert pretrained.metadata == {"note": "x"}
    assert pretrained.state.keys() == state.keys()


class Malicious:
    def __reduce__(self) -> Any:
        return (os.system, ("exit 7",))


def test_what_would_have_to_be_unpickled_is_refused_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"state_dict": dict(state_of()), "callback": Malicious()}, path)
    with pytest.raises(HarnessError, match=r"holds an object of .*system.* refused"):
        read_pretrained(path)
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(HarnessError, match="is truncated"):
        read_pretrained(path)
    torch.save([1, 2], path)
    with pytest.raises(HarnessError, match="no dictionary of weights"):
        read_pretrained(path)
    torch.save({"epoch": 3}, path)
    with pytest.raises(HarnessError, match="it has: epoch"):
        read_pretrained(path)
    with pytest.raises(HarnessError, match=r"absent\.pth does not exist"):
        read_pretrained(tmp_path / "absent.pth")


def test_differences_are_counted_and_listed_with_the_nearest_name(tmp_path: Path) -> None:
    path, state = tmp_path / "weights.pth", dict(state_of())
    state["prompt1.promt_param"] = state.pop("prompt1.prompt_param")
    state["output.weight"] = torch.zeros(3, 5, 3, 3)
    torch.save(state, path)
    with pytest.raises(HarnessError) as caught:
        load_pretrained(build_tiny("promptir"), read_pretrained(path), "promptir")
    text = str(caught.value)
    assert "1 missing (prompt1.prompt_param [nearest: prompt1.promt_param])" in text
    assert "1 unexpected (prompt1.promt_param [nearest: prompt1.prompt_param])" in text
    assert "1 of another shape (output.weight is (3, 5, 3, 3) in the file" in text
    with pytest.raises(HarnessError, match=r"\d+ missing .* and \d+ more"):
        load_pretrained(build_tiny("promptir"), pretrained_of(tmp_path, "restormer"), "promptir")


def pretrained_of(folder: Path, name: str) -> Any:
    torch.save(dict(state_of(name)), folder / "other.pth")
    return read_pretrained(folder / "other.pth")


@pytest.mark.parametrize("here", [True, False])
def test_unused_convolutions_are_understood_in_both_directions(here: bool, tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(dict(state_of(unused_convolutions=str(not here).lower())), path)
    network = build_tiny("promptir", seed=0, unused_convolutions=str(here).lower())
    own = state_of(seed=0, unused_convolutions=str(here).lower())
    load_pretrained(network, read_pretrained(path), "promptir")
    unused = [key for key in own if key.startswith(("chnl_reduce", "reduce_noise_channel_"))]
    assert bool(unused) == here
    assert all(torch.equal(network.state_dict()[key], own[key]) for key in unused)
    loaded = torch.load(path, weights_only=True)
    common = [key for key in own if key not in unused]
    assert all(torch.equal(network.state_dict()[key], loaded[key]) for key in common)


def call(*words: str) -> str:
    result = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_evaluate_scores_a_checkpoint_and_convert_adds_its_metadata(tmp_path: Path) -> None:
    """A file laid out like CPL's release: BasicSR's entry, without the unused convolutions."""
    path, out = tmp_path / "CPLIR_Weatherbench.pth", tmp_path / "out"
    published = {name: str(value).lower() for name, value in find("cpl").spec.published.items()}
    state = state_of("cpl", **published)
    assert not any("prompting" in key for key in state), "as the authors' file has it"
    torch.save({"params": dict(state)}, path)
    common = ("--setting", "weatherbench", "--recipe", "smoke", "--out", str(out))
    printed = call("evaluate", "--method", "cpl", "--checkpoint", str(path), *common)
    assert "weights of CPLIR_Weatherbench.pth" in " ".join(printed.split())
    specs = [json.loads(p.read_text()) for p in out.glob("cpl*/spec.json")]
    assert [spec["options"]["renormalise"] for spec in specs] == [False]
    results = [json.loads(line) for p in out.glob("cpl*/results.jsonl") for line in p.open()]
    assert {result["origin"] for result in results} == {"re-evaluated"}

    safe = tmp_path / "cpl.safetensors"
    call(
        *("convert", "--method", "cpl", "--checkpoint", str(path), "--to", str(safe)),
        *("--size", "tiny", "--setting", "weatherbench"),
    )
    known = read_metadata(safe)
    assert known["method"] == "cpl"
    assert json.loads(known["options"])["renormalise"] is False
    assert len(known["checkpoint_sha256"]) == 64
    call("evaluate", "--checkpoint", str(safe), *common[:-1], str(tmp_path / "again"))
    again = [
        json.loads(line) for p in tmp_path.glob("again/cpl*/results.jsonl") for line in p.open()
    ]
    assert [one["value"] for one in again] == [one["value"] for one in results]


def test_evaluate_asks_for_what_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    torch.save(dict(state_of()), path)
    runner = CliRunner()

    def error(*words: str) -> str:
        return str(runner.invoke(app, ["evaluate", *words]).exception)

    assert "give one file" in error()
    assert "name it with --method" in error("--checkpoint", str(path))
    text = error("--checkpoint", str(path), "--method", "explicit", "--recipe", "smoke")
    assert "--required task-classifier=FILE" in text
    maps = ("--prompt-maps", str(tmp_path / "maps.npy"))
    assert "name it" in error("--checkpoint", str(path), *maps)
    wrong = error("--checkpoint", str(path), "--method", "promptir", *maps)
    assert "promptir has no option 'prompt_maps'" in wrong


def test_fixed_maps_have_a_flag(tmp_path: Path) -> None:
    path, maps = tmp_path / "weights.pth", tmp_path / "maps.npy"
    torch.save(dict(state_of()), path)
    words = (
        *("evaluate", "--method", "mioir-ep", "--prompt-maps", str(maps), "--dry-run"),
        *("--checkpoint", str(path), "--required", f"mioir-classifier={path}"),
        *("--recipe", "smoke", "--out", str(tmp_path)),
    )
    absent = CliRunner().invoke(app, list(words)).exception
    assert str(maps) in str(absent)
    np.save(maps, np.random.default_rng(0).random((5, 128, 128), dtype=np.float32))
    assert f"mioir-ep:prompt_maps={maps}" in call(*words)
