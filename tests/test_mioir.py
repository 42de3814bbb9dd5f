"""MiOIR's prompts beyond parity: maps, who chooses them, and what checkpoints lack."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from harness.config.errors import UsageError
from methods.mioir.maps import draw_maps
from tests.networks import TASKS, batch, build_tiny


def test_maps_belong_to_tasks_by_name() -> None:
    maps = draw_maps(TASKS)
    assert maps.shape == (5, 128, 128)
    assert np.array_equal(draw_maps(TASKS[::-1]), maps[::-1])
    assert 0.49 < maps.mean() < 0.51
    assert len({m.tobytes() for m in maps}) == 5


def test_the_true_task_chooses_in_training_and_the_classifier_at_test() -> None:
    method = build_tiny("mioir-ep").train()
    losses = method.losses(batch(), torch.Generator())
    restored = method.restore_under(batch().degraded, method.prompt_maps)
    torch.testing.assert_close(losses["l1"], (restored - batch().clean).abs().mean())
    image = torch.rand(3, 3, 24, 24)
    with torch.no_grad():
        chosen = method.eval().classifier.classify(image).argmax(-1)
        expected = method.restore_under(image, method.prompt_maps[chosen])
        assert torch.equal(method.restore(image), expected)
        others = method.restore_under(image, method.prompt_maps[(chosen + 1) % 5])
    assert not torch.equal(expected, others)
    assert not any(p.requires_grad for p in method.classifier.parameters())


def test_maps_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "maps.npy"
    given = np.random.default_rng(0).random((5, 128, 128))
    np.save(path, given)
    method = build_tiny("mioir-ep", prompt_maps=str(path))
    assert np.array_equal(method.prompt_maps[:, 0].numpy(), given.astype(np.float32))
    np.save(path, given[:3])
    with pytest.raises(UsageError, match=r"shape \(3, 128, 128\), and 5 tasks need"):
        build_tiny("mioir-ep", prompt_maps=str(path))
    np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(UsageError, match=r"is not a \.npy file of numbers"):
        build_tiny("mioir-ep", prompt_maps=str(path))
    with pytest.raises(UsageError, match="cannot be read"):
        build_tiny("mioir-ep", prompt_maps=str(tmp_path / "absent.npy"))


def test_checkpoints_without_maps_and_classifier_are_understood() -> None:
    source, target = build_tiny("mioir-ep", seed=0), build_tiny("mioir-ep", seed=1)
    bare = {
        key: value
        for key, value in source.state_dict().items()
        if not key.startswith(("prompt_maps", "classifier."))
    }
    own = {k: v.clone() for k, v in target.classifier.state_dict().items()}
    target.load_state_dict(target.adapt_state(bare))
    assert torch.equal(target.output.weight, source.output.weight)
    assert all(torch.equal(v, own[k]) for k, v in target.classifier.state_dict().items())


def test_the_adaptive_prompt_is_the_image_itself() -> None:
    method = build_tiny("mioir-ap").eval()
    image = torch.rand(1, 3, 24, 32)
    with torch.no_grad():
        features = method.encode(image)
        same = method.decode_under(features, features.image)
        other = method.decode_under(features, 1 - features.image)
        assert torch.equal(method.restore(image), same)
    assert not torch.equal(same, other)


def test_double_softmax_bounds_the_classifiers_loss_from_below() -> None:
    doubled = build_tiny("mioir-classifier")
    single = build_tiny("mioir-classifier", double_softmax="false")
    least = float(np.log(1 + 4 / np.e))
    with torch.no_grad():
        for method in (doubled, single):
            method.lastOut.weight.zero_()
            method.lastOut.bias.copy_(torch.tensor([99.0, 0, 0, 0, 0]))
    only = batch()
    of_first = type(only)(only.degraded[:1], only.clean[:1], only.tasks[:1], 0, 1)
    assert float(doubled.losses(of_first, torch.Generator())["cross_entropy"]) == pytest.approx(
        least, rel=1e-5
    )
    assert float(single.losses(of_first, torch.Generator())["cross_entropy"]) < 1e-5
