"""DFPIR beyond parity: its texts, what they permute, and what checkpoints lack."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from harness.config.errors import UsageError
from harness.config.recipe_files import load_recipe
from harness.method import WeightsFile
from harness.registry import find
from harness.training.pretrained import load_pretrained, read_pretrained
from harness.training.schedule import learning_rate
from methods.dfpir.guided import GuidedBlock, SelectiveAttention
from methods.dfpir.text import draw_features
from tests.networks import TASKS, batch, build_tiny


def test_texts_belong_to_tasks_by_name() -> None:
    features = draw_features(TASKS)
    assert features.shape == (5, 512)
    assert np.array_equal(draw_features(TASKS[::-1]), features[::-1])
    assert np.linalg.norm(features, axis=1) == pytest.approx(np.ones(5), abs=0.15)
    assert np.abs(features @ features.T - np.diag(np.diag(features @ features.T))).max() < 0.2


def test_the_true_task_is_needed_and_decides() -> None:
    spec = find("dfpir").spec
    assert spec.needs_task_labels
    assert spec.role == "reference"
    method, image = build_tiny("dfpir").eval(), torch.rand(2, 3, 24, 24)
    with pytest.raises(ValueError, match="no tasks were given"):
        method.restore(image)
    with torch.no_grad():
        restored = method.restore(image, ("dehaze", "derain"))
        swapped = method.restore(image, ("derain", "dehaze"))
        under = method.restore_under(image, method.text_features[[3, 4]])
        whole_batch = method.restore_under(image, method.text_features[3:4])
    assert torch.equal(restored, under)
    assert not torch.equal(restored, swapped)
    torch.testing.assert_close(whole_batch[0], restored[0])


def test_channels_are_permuted_by_falling_score() -> None:
    block = GuidedBlock(4, heads=1, expansion=2.0, selected_share=0.9)
    texts, x = torch.randn(3, 512), torch.rand(3, 5, 6, 4)
    scores = block.linear_layer3(block.linear_layer1(texts))
    permutation = block.permutation(texts)
    assert (scores.gather(1, permutation).diff(dim=1) <= 0).all()
    assert len({tuple(row) for row in permutation.tolist()}) == 3
    with torch.no_grad():
        widened = block.conv1x1(x.permute(0, 3, 1, 2))
        moved = torch.stack(
            [image[order] for image, order in zip(widened, permutation, strict=True)]
        )
        expected = block.conv_out(moved).permute(0, 2, 3, 1)
        found = block._permuted(x, permutation)
    torch.testing.assert_close(found, expected)


def test_the_layers_that_read_the_text_never_train() -> None:
    method = build_tiny("dfpir").train()
    frozen = {name for name, p in method.named_parameters() if not p.requires_grad}
    assert len(frozen) == 16
    assert all(".linear_layer" in name for name in frozen)
    method.losses(batch(), torch.Generator())["l1"].backward()
    assert all(p.grad is None for p in method.parameters() if not p.requires_grad)


def test_rows_of_attention_select_nine_tenths() -> None:
    attention = SelectiveAttention(48, heads=1, selected_share=0.9)
    weights = attention.weigh(torch.randn(2, 1, 48, 48))
    assert (weights > 0).sum(dim=-1).unique().tolist() == [43]
    torch.testing.assert_close(weights.sum(dim=-1), torch.full((2, 1, 48), 0.2))


def test_texts_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "clip.npy"
    given = np.random.default_rng(0).standard_normal((5, 512)).astype(np.float16)
    np.save(path, given)
    method = build_tiny("dfpir", text_features=str(path))
    assert np.array_equal(method.text_features.numpy(), given.astype(np.float32))
    np.save(path, given[:3])
    with pytest.raises(UsageError, match=r"shape \(3, 512\), and 5 tasks need \(5, 512\)"):
        build_tiny("dfpir", text_features=str(path))
    np.save(path, np.full((5, 512), np.nan))
    with pytest.raises(UsageError, match="not finite"):
        build_tiny("dfpir", text_features=str(path))
    np.save(path, np.ones((5, 512), dtype=int))
    with pytest.raises(UsageError, match="does not hold an array of floats"):
        build_tiny("dfpir", text_features=str(path))
    path.write_text("no numbers")
    with pytest.raises(UsageError, match=r"is not a \.npy file of numbers"):
        build_tiny("dfpir", text_features=str(path))
    with pytest.raises(UsageError, match="cannot be read"):
        build_tiny("dfpir", text_features=str(tmp_path / "absent.npy"))


def test_an_authors_checkpoint_lacks_the_texts(tmp_path: Path) -> None:
    source, target = build_tiny("dfpir", seed=0), build_tiny("dfpir", seed=1)
    bare = {k: v for k, v in source.state_dict().items() if k != "text_features"}
    path = tmp_path / "model.pth"
    torch.save({"epoch": 9, "state_dict": bare, "optimizer": {"state": {}}, "scheduler": {}}, path)
    load_pretrained(target, read_pretrained(WeightsFile(path)), "dfpir")
    assert all(torch.equal(v, bare[k]) for k, v in target.state_dict().items() if k in bare)
    assert torch.equal(target.text_features, source.text_features)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("selected_share", "0", r"selected_share=0.0 must lie in \(0, 1\]"),
        ("selected_share", "0.1", "selects none of the 8 channels of a head"),
    ],
)
def test_what_cannot_be_is_refused(option: str, value: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_tiny("dfpir", **{option: value})


def test_size_is_the_published_one() -> None:
    spec = find("dfpir").spec
    assert spec.parameters == 31_104_761
    # Attention is folded into its projection, which saves the 7 G of Restormer's blocks too.
    assert spec.macs == pytest.approx(165.5e9 - 7e9, rel=0.01)


@pytest.mark.parametrize(
    ("setting", "epoch", "steps"),
    [("three-task", 28486, 14_243_000), ("five-task", 45324, 22_662_000)],
)
def test_the_recipe_is_the_published_one(setting: str, epoch: int, steps: int) -> None:
    recipe = load_recipe("dfpir", setting)
    train = recipe.train
    assert (recipe.name, recipe.size, train.steps) == ("dfpir", "full", steps)
    assert (train.batch, train.patch_px, train.betas) == (5, 128, (0.9, 0.999))
    assert (train.weight_decay, train.grad_clip_norm) == (0.0, None)
    for number, rate in {0: 1e-4, 125: 8.535534e-5, 250: 5e-5, 375: 1.464466e-5}.items():
        for step in (number * epoch, number * epoch + epoch - 1):
            assert learning_rate(train, step) == pytest.approx(rate, rel=1e-4)
