"""Losses of a network to which prompts are added: its own stay, whatever chooses the prompts."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.method import Decoded, Insert, MethodSpec
from harness.registry import find
from methods.moceir.routing import Router
from methods.prompting.adapter import PromptAdapter
from methods.prompting.options import PromptOptions
from tests.networks import RESTORERS, TASKS, batch, build_tiny

HOSTS = [spec for spec in RESTORERS if spec.insertion_points]
ADDITIONS = [spec for spec in RESTORERS if spec.adapter and spec.added_at == "insertion_points"]
OF_NETWORKS = ("moceir", "moceir-s")
"""Networks that are trained with more than L1."""

VERSIONS = {
    "cpl": 3,
    "spm": 3,
    "cpr": 3,
    "cpl-guided": 2,
    "spm-guided": 2,
    "explicit": 1,
    "oracle": 1,
}


def losses(network: Any, seed: int = 0) -> dict[str, Tensor]:
    return network.losses(batch(), torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("addition", ADDITIONS, ids=lambda spec: spec.name)
@pytest.mark.parametrize("host", HOSTS, ids=lambda spec: spec.name)
def test_prompts_that_add_nothing_leave_the_losses_of_the_host(
    host: MethodSpec, addition: MethodSpec
) -> None:
    network = build_tiny(f"{host.name}+{addition.name}").train()
    alone = build_tiny(host.name).train()
    alone.load_state_dict(network.host.state_dict())
    with torch.no_grad():
        for inserted in network.insertion_points.values():
            inserted.reduce.weight.zero_()
    found, expected = losses(network), losses(alone)
    own = {"l1", "fft", "load_balancing"} if host.name in OF_NETWORKS else {"l1"}
    assert set(expected) == own
    for name, term in expected.items():
        # A host's router has a prefix, as there is one of prompts.
        torch.testing.assert_close(found[f"host_{name}" if "balancing" in name else name], term)


@pytest.mark.parametrize("addition", ["cpl", "oracle", "cpl-guided"])
@pytest.mark.parametrize("host", OF_NETWORKS)
def test_weights_of_the_hosts_losses_are_in_force(host: str, addition: str) -> None:
    name = f"{host}+{addition}"
    as_published, heavier = (
        losses(build_tiny(name, **changed).train())
        for changed in ({}, {"fft_weight": "0.5", "expert_load_balancing_weight": "0.02"})
    )
    torch.testing.assert_close(heavier["fft"], 5 * as_published["fft"])
    load_balancing = "host_load_balancing"
    torch.testing.assert_close(heavier[load_balancing], 2 * as_published[load_balancing])
    without = build_tiny(name, fft_weight="0", expert_load_balancing_weight="0").train()
    assert set(losses(without)) == set(as_published) - {"fft", load_balancing}


@pytest.mark.parametrize("addition", ["explicit", "oracle", "spm-guided", "cpl-guided"])
def test_the_experts_router_is_trained_where_prompts_are_forced(addition: str) -> None:
    network = build_tiny(f"moceir+{addition}").train()
    losses(network)["host_load_balancing"].backward()
    routers = [module for module in network.modules() if isinstance(module, Router)]
    assert routers
    for router in routers:
        assert any(p.grad is not None and bool(p.grad.any()) for p in router.parameters())


class Host(nn.Module):
    """A network of one's own with an insertion point."""

    def __init__(self) -> None:
        super().__init__()
        self.insertion_channels = {"middle": 8}
        self.first, self.last = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 3, 3, padding=1)

    def encode(self, degraded: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return self.first(degraded)

    def decode_with(self, features: Tensor, insert: Insert) -> Decoded:
        inserted = insert("middle", features)
        return Decoded(self.last(inserted), {}, {"sparsity": inserted.abs().mean()})


class Squared(Host):
    """The same, trained by squares."""

    def reconstruction_losses(self, restored: Tensor, clean: Tensor) -> dict[str, Tensor]:
        return {"mse": (restored - clean).square().mean()}


@pytest.mark.parametrize("forced", [False, True], ids=["router", "true-task"])
@pytest.mark.parametrize(("host", "term"), [(Host, "l1"), (Squared, "mse")])
def test_a_network_of_ones_own_keeps_its_losses(
    host: type[nn.Module], term: str, forced: bool
) -> None:
    options = PromptOptions(prompt_patch_px=16, chooser="true-task" if forced else "router")
    network = PromptAdapter(host(), options, TASKS)
    assert set(losses(network)) == {term, "host_sparsity"}


@pytest.mark.parametrize("addition", ADDITIONS, ids=lambda spec: spec.name)
@pytest.mark.parametrize("host", HOSTS, ids=lambda spec: spec.name)
def test_only_what_is_trained_anew_has_another_version(
    host: MethodSpec, addition: MethodSpec
) -> None:
    version = VERSIONS[addition.name] + (host.name in OF_NETWORKS)
    assert find(f"{host.name}+{addition.name}").spec.version == version
    assert host.version == 1


@pytest.mark.parametrize("addition", ADDITIONS, ids=lambda spec: spec.name)
@pytest.mark.parametrize("host", HOSTS, ids=lambda spec: spec.name)
def test_the_listed_objective_is_the_hosts_and_what_is_added(
    host: MethodSpec, addition: MethodSpec
) -> None:
    objective = find(f"{host.name}+{addition.name}").spec.objective
    assert objective.startswith(host.objective)
    assert objective.endswith(addition.objective.removeprefix("L1"))
