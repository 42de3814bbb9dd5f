"""AirNet beyond its parity: stages, the state of the contrast, and queues of other lengths."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from harness.config.errors import UsageError
from harness.training.gathered_state import settle
from tests.networks import batch, build_tiny


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_the_first_stage_trains_the_encoder_alone() -> None:
    method = build_tiny("airnet").train()
    losses = method.losses(replace(batch(), stage="encoder"), rng())
    assert set(losses) == {"contrast"}
    losses["contrast"].backward()
    reached = {n.split(".")[0] for n, p in method.named_parameters() if p.grad is not None}
    assert reached == {"E"}
    assert set(method.losses(replace(batch(), stage="joint"), rng())) == {"l1", "contrast"}


def test_the_queue_is_filled_in_training_alone() -> None:
    method = build_tiny("airnet", momentum="0.9").train()
    contrast = method.contrast
    before = {k: v.clone() for k, v in contrast.state_dict().items()}
    method.losses(batch(), rng())
    assert int(contrast.queue_ptr) == 0, "the queue changes at the end of a step"
    settle(method)
    after = contrast.state_dict()
    assert int(after["queue_ptr"]) == len(batch().tasks)
    changed = (after["queue"] != before["queue"]).any(dim=0)
    assert changed.tolist() == [True] * 5 + [False] * (contrast.queue.shape[1] - 5)
    torch.testing.assert_close(contrast.queue[:, :5].norm(dim=0), torch.ones(5))
    again = {k: v.clone() for k, v in contrast.state_dict().items()}
    with torch.no_grad():
        method.eval().restore(torch.rand(2, 3, 24, 24))
    assert all(torch.equal(v, again[k]) for k, v in contrast.state_dict().items())


def test_a_resumed_training_is_bit_identical() -> None:
    whole, cut = (build_tiny("airnet", seed=s).train() for s in (0, 1))
    whole.losses(batch(seed=1), rng())
    settle(whole)
    cut.load_state_dict(whole.state_dict())
    first, second = (m.losses(batch(seed=2), rng()) for m in (whole, cut))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_queue_of_another_length_is_understood() -> None:
    short = build_tiny("airnet", seed=0, queue_length="32")
    long = build_tiny("airnet", seed=1, queue_length="96")
    own = long.contrast.queue.clone()
    long.load_state_dict(long.adapt_state(short.state_dict()))
    assert torch.equal(long.contrast.queue, own)
    image = torch.rand(1, 3, 17, 24)
    with torch.no_grad():
        assert torch.equal(long.eval().restore(image), short.eval().restore(image))


def test_what_it_cannot_do_is_refused() -> None:
    method = build_tiny("airnet").train()
    with pytest.raises(ValueError, match="no second view"):
        method.losses(replace(batch(), second_view=None), rng())
    with pytest.raises(ValueError, match="no 'third'"):
        method.losses(replace(batch(), stage="third"), rng())
    with pytest.raises(UsageError, match="queue_length=3 cannot hold"):
        build_tiny("airnet", queue_length="3")
