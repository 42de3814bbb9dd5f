"""The published networks, to the number: keys, shapes, parameters, outputs."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch

from methods.moceir.card import MoCEIROptions
from methods.moceir.network import MoCEIR
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
    "moceir": lambda: MoCEIR(MoCEIROptions()),
    "moceir_s": lambda: MoCEIR(MoCEIROptions(dim=32)),
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


@pytest.mark.parametrize("with_complexity", [False, True])
def test_balance_of_experts_equals_the_published_one(with_complexity: bool) -> None:
    figures = json.loads((FIGURES / "moceir_s.json").read_text())
    options = MoCEIROptions(dim=32, with_complexity=with_complexity, balance_weight=1.0)
    network = MoCEIR(options).train()
    seed_weights(network, figures["seed"])
    with torch.no_grad():
        features = network.encode(seeded_input([4, 3, 64, 64], figures["seed"]))
        balance = network.decode_with(features, lambda level, x: x).auxiliary["balance"]
    expected = figures["balance_loss"][f"with_complexity_{str(with_complexity).lower()}"]
    assert float(balance) == pytest.approx(expected, rel=1e-4)
