"""The published networks, to the number: keys, shapes, parameters, outputs."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch

from methods.options import PromptIROptions, RestormerOptions
from methods.promptir import PromptIR
from methods.restormer import Restormer
from tests.networks import TASKS, seed_weights, seeded_input

FIGURES = Path(__file__).parent / "parity"
NETWORKS = {
    "promptir": lambda: PromptIR(PromptIROptions(unused_convolutions=True), TASKS),
    "cplir_top1": lambda: PromptIR(PromptIROptions(top_k=1), TASKS),
    "cplir_top2": lambda: PromptIR(PromptIROptions(top_k=2), TASKS),
    "mioir_restormer": lambda: Restormer(RestormerOptions()),
}


def test_every_figure_has_a_network() -> None:
    assert {path.stem for path in FIGURES.glob("*.json")} == set(NETWORKS)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_network_equals_the_published_one(name: str) -> None:
    figures = json.loads((FIGURES / f"{name}.json").read_text())
    network = NETWORKS[name]()
    shapes = sorted((key, list(value.shape)) for key, value in network.state_dict().items())
    text = json.dumps(shapes, separators=(",", ":"))
    assert len(shapes) == figures["tensors"]
    assert hashlib.sha256(text.encode()).hexdigest() == figures["state_dict_sha256"]
    assert sum(p.numel() for p in network.parameters()) == figures["parameters"]

    seed_weights(network, figures["seed"])
    with torch.no_grad():
        output = network.eval().restore(seeded_input(figures["input_shape"], figures["seed"]))
    expected = figures["output"]
    stride = expected["stride"]
    samples = output[0, :, ::stride, ::stride]
    published = torch.tensor(expected["samples"])
    assert samples.shape == published.shape
    assert (samples - published).norm() / published.norm() < 1e-4
    assert float(output.mean()) == pytest.approx(expected["mean"], rel=1e-4)
    assert float(output.std()) == pytest.approx(expected["std"], rel=1e-4)
