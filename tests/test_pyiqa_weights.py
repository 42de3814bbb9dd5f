"""Weights of pyiqa's metrics: found, missing, damaged, never downloaded; FID of whole columns."""

from __future__ import annotations

import csv
import dataclasses
import socket
import zipfile
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import scipy.linalg
import torch
from PIL import Image
from typer.testing import CliRunner

from harness.cli import app
from harness.config.errors import HarnessError, UsageError
from harness.config.hashing import spec_hash
from harness.evaluation.evaluate import Scoring, Subject, evaluate
from harness.evaluation.folder_scores import ScoringRequest
from harness.evaluation.metrics import (
    SetMetric,
    is_of_set,
    metric_facts,
    metric_ids,
    resolve_metrics,
    resolve_set_metrics,
)
from harness.evaluation.metrics import fid as fid_module
from harness.evaluation.metrics.fid import frechet_distance, inception_features, resized
from harness.evaluation.metrics.pyiqa_metrics import pyiqa_facts, pyiqa_metric
from harness.evaluation.metrics.pyiqa_weights import WEIGHTS, hub_folder
from harness.evaluation.score_folders import score_folders
from harness.execution.status import is_complete
from harness.reporting.plan_summary import summary_of
from harness.store.results import WHOLE_COLUMN, append, read
from tests.plans import plan_of

ASKED = ("lpips", "dists", "niqe", "musiq", "fid")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub folder in which torch, pyiqa and this project look, without a network."""
    from pyiqa.utils import download_util

    def no_network(*arguments: object, **options: object) -> None:
        raise AssertionError("something asked the network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(download_util, "DEFAULT_CACHE_DIR", str(tmp_path / "torch/hub/pyiqa"))
    monkeypatch.setattr(socket.socket, "connect", no_network)
    return tmp_path / "torch/hub"


# --- where weights are ---------------------------------------------------------------------


def test_the_folder_is_torchs(hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hub_folder() == hub == Path(torch.hub.get_dir())
    monkeypatch.delenv("TORCH_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert hub_folder() == Path("/somewhere/torch/hub") == Path(torch.hub.get_dir())
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert hub_folder() == Path(torch.hub.get_dir())


def test_files_and_addresses_are_those_of_the_libraries() -> None:
    from pyiqa.archs import dists_arch, inception, lpips_arch, musiq_arch, niqe_arch
    from torchvision.models import AlexNet_Weights, VGG16_Weights

    theirs = {
        "lpips": lpips_arch.default_model_urls["0.1_alex"],
        "lpips-vgg": lpips_arch.default_model_urls["0.1_vgg"],
        "dists": dists_arch.default_model_urls["url"],
        "niqe": niqe_arch.default_model_urls["url"],
        "musiq": musiq_arch.default_model_urls["koniq10k"],
        "fid": inception.FID_WEIGHTS_URL,
    }
    assert {name: files[0].url for name, files in WEIGHTS.items()} == theirs
    alexnet, vgg16 = AlexNet_Weights.IMAGENET1K_V1.url, VGG16_Weights.IMAGENET1K_V1.url
    assert [WEIGHTS[name][1].url for name in ("lpips", "lpips-vgg", "dists")] == [
        alexnet, vgg16, vgg16,
    ]  # fmt: skip


@pytest.mark.parametrize("name", ASKED)
def test_what_is_missing_is_named_with_the_way_to_it(name: str, hub: Path) -> None:
    with pytest.raises(HarnessError) as caught:
        (resolve_set_metrics if is_of_set(*metric_ids([name])) else resolve_metrics)([name])
    sentence = str(caught.value)
    assert "\n" not in sentence
    for file in WEIGHTS[name]:
        assert f"{file.name} in {hub / file.folder}" in sentence
        assert f"-o {hub / file.folder / file.name} {file.url}" in sentence
    assert "leave it out of --metrics" in sentence


def test_a_run_is_refused_before_anything_is_computed(hub: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["run", "--recipe", "smoke", "--methods", "promptir", "--out", str(out)]
    result = CliRunner().invoke(app, [*words, "--metrics", ",".join(ASKED)])
    assert isinstance(result.exception, HarnessError)
    sentence = str(result.exception)
    assert sentence.startswith("metrics 'lpips', 'dists', 'niqe', 'musiq', 'fid' need weights")
    for name in ASKED:
        assert all(file.url in sentence for file in WEIGHTS[name])
    assert sentence.count("vgg16-397923af.pth in") == 1
    assert not list(out.glob("*/weights.safetensors"))


def test_the_first_file_of_any_other_metric_is_named_too(hub: Path) -> None:
    """Of a metric whose files this project does not list."""
    with pytest.raises(HarnessError, match=r"brisque.* in .*pyiqa; fetch them with 'curl .*https:"):
        pyiqa_metric("brisque")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("niqe", b"", "it is empty"),
        ("niqe", b"<!doctype html>", "it is a web page or a pointer"),
        ("niqe", b"MATLAB 5.0 MAT-file cut off", "damaged"),
        ("musiq", b"version https://git-lfs.github.com/spec/v1", "it is a web page or a pointer"),
        ("musiq", b"\x80\x02 cut off", "damaged"),
        ("fid", b"other bytes", "its SHA-256 does not begin with 6726825d"),
    ],
)
def test_a_damaged_file_is_named(hub: Path, name: str, content: bytes, reason: str) -> None:
    (file,) = WEIGHTS[name]
    file.path.parent.mkdir(parents=True)
    file.path.write_bytes(content)
    with pytest.raises(HarnessError, match="fetch them again with 'curl") as caught:
        (fid_module.fid if name == "fid" else lambda: pyiqa_metric(name))()
    assert str(file.path) in str(caught.value)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bytes_that_rotted_inside_a_file_are_seen(hub: Path) -> None:
    (file,) = WEIGHTS["musiq"]
    file.path.parent.mkdir(parents=True)
    torch.save({"a": torch.arange(4096.0)}, file.path)
    whole = bytearray(file.path.read_bytes())
    whole[len(whole) // 2] ^= 255
    file.path.write_bytes(whole)
    assert zipfile.is_zipfile(file.path)
    with pytest.raises(HarnessError, match=r"musiq_koniq.* are damaged .*checksum"):
        pyiqa_metric("musiq")


def test_weights_of_other_networks_are_refused(hub: Path) -> None:
    (file,) = WEIGHTS["musiq"]
    file.path.parent.mkdir(parents=True)
    torch.save({"a": torch.zeros(1)}, file.path)
    with pytest.raises(HarnessError, match=r"metric 'musiq' needs weights"):
        pyiqa_metric("musiq")


# --- metrics with weights that are there -----------------------------------------------------


def pristine(hub: Path) -> None:
    """Write a model of pristine images, as NIQE reads one: mean and covariance of 36 features."""
    (file,) = WEIGHTS["niqe"]
    file.path.parent.mkdir(parents=True)
    rng = np.random.default_rng(0)
    root = rng.standard_normal((36, 36))
    model = {"mu_prisparam": rng.random((1, 36)), "cov_prisparam": root @ root.T}
    scipy.io.savemat(file.path, model)


def test_niqe_is_of_luma_601_and_needs_no_clean_image(hub: Path) -> None:
    pristine(hub)
    (niqe,) = resolve_metrics(["niqe"])
    assert niqe.id == "pyiqa:niqe-y601-border0"
    assert not niqe.higher_is_better
    rng = np.random.default_rng(1)
    image = rng.random((200, 210, 3)).astype(np.float32)
    value = niqe.measure(image, image)
    assert np.isfinite(value)
    assert niqe.measure(image, 1 - image) == value
    # Blocks of 96 pixels from the top left: what is beyond two of them does not count.
    assert niqe.measure(image[:192, :192], image) == pytest.approx(value, rel=1e-6)

    import pyiqa

    planes = torch.from_numpy(image.transpose(2, 0, 1)[None].copy())
    stated = pyiqa.create_metric("niqe", device="cpu", color_space="ycbcr")
    default = pyiqa.create_metric("niqe", device="cpu")
    assert value == pytest.approx(float(stated(planes)), rel=1e-6)
    assert value != pytest.approx(float(default(planes)), rel=1e-6), "YIQ was used"


def test_names_prefixes_and_ids_are_one_metric() -> None:
    stated = "pyiqa:niqe-y601-border0"
    assert metric_ids(["niqe", "pyiqa:niqe", stated]) == (stated,)
    assert metric_facts(stated) == pyiqa_facts("niqe", higher_is_better=False)
    assert (metric_facts(stated).label, metric_facts("fid").of_set) == ("NIQE", True)
    assert metric_ids(["fid", "lpips"]) == ("pyiqa:fid-clean", "pyiqa:lpips")
    with pytest.raises(UsageError, match=r"'sfid' is one of a set of images.*use fid"):
        metric_ids(["sfid"])


def test_lpips_and_dists_are_made_of_the_files_that_are_there(
    hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their linear weights are small; ImageNet's networks stand in at random, not loaded."""
    from torchvision import models

    alexnet, vgg16 = models.alexnet(), models.vgg16()
    for network in (alexnet, vgg16):
        network.classifier = torch.nn.Identity()
    monkeypatch.setattr(models, "alexnet", lambda weights: alexnet)
    monkeypatch.setattr(models, "vgg16", lambda weights: vgg16)
    monkeypatch.setattr("harness.evaluation.metrics.pyiqa_weights._HASHED", _never())
    widths = (64, 192, 384, 256, 256)
    linear = {f"lin{n}.model.1.weight": torch.ones(1, w, 1, 1) for n, w in enumerate(widths)}
    shares = {name: torch.full((1, 1475, 1, 1), 0.1) for name in ("alpha", "beta")}
    for name, weights in (("lpips", linear), ("dists", shares)):
        for file in WEIGHTS[name]:
            file.path.parent.mkdir(parents=True, exist_ok=True)
            torch.save(weights, file.path)
    rng = np.random.default_rng(0)
    image = rng.random((64, 64, 3)).astype(np.float32)
    noisy = np.clip(image + 0.1 * rng.standard_normal(image.shape), 0, 1).astype(np.float32)
    for metric in resolve_metrics(["lpips", "dists"]):
        assert not metric.higher_is_better
        assert metric.measure(image, image) == pytest.approx(0, abs=1e-3)
        assert metric.measure(noisy, image) > 1e-3


def _never() -> object:
    import re

    return re.compile(r"(?!)")


# --- FID ---------------------------------------------------------------------------------------


def colours(image: np.ndarray) -> np.ndarray:
    """A stand-in for Inception: means and spreads of the channels."""
    return np.concatenate([image.mean(axis=(0, 1)), image.std(axis=(0, 1))])


def stand_in() -> SetMetric:
    facts = pyiqa_facts("fid", higher_is_better=False)
    return SetMetric(**vars(facts), features=colours, distance=frechet_distance)


@pytest.fixture
def fid_of_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fid_module, "fid", stand_in)
    monkeypatch.delitem(WEIGHTS, "fid")  # type: ignore[arg-type]


@pytest.mark.parametrize(("count", "others", "width"), [(4, 6, 9), (30, 5, 9), (40, 50, 9)])
def test_the_distance_is_the_formula(count: int, others: int, width: int) -> None:
    rng = np.random.default_rng(count)
    a, b = rng.standard_normal((count, width)), 0.5 + 2 * rng.standard_normal((others, width))
    s, t = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(s @ t + 1e-13 * np.eye(width))
    difference = a.mean(axis=0) - b.mean(axis=0)
    expected = difference @ difference + np.trace(s + t - 2 * np.real(root))
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-4)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert np.isnan(frechet_distance(np.where(a > 1, np.nan, a), b)) or a.max() <= 1


def test_the_distance_is_that_of_pyiqa() -> None:
    from pyiqa.archs.fid_arch import frechet_distance as theirs

    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((60, 8)), 1 + rng.standard_normal((70, 8))
    moments = [m for x in (a, b) for m in (x.mean(axis=0), np.cov(x, rowvar=False))]
    assert frechet_distance(a, b) == pytest.approx(float(theirs(*moments)), rel=1e-6)


def test_images_are_resized_as_pyiqa_does(tmp_path: Path) -> None:
    from pyiqa.archs.fid_arch import ResizeDataset

    levels = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    Image.fromarray(levels).save(tmp_path / "1.png")
    theirs = ResizeDataset([tmp_path / "1.png"], "clean")[0].numpy()
    np.testing.assert_allclose(resized(levels / np.float32(255)), theirs, atol=1e-3)

    def network(batch: torch.Tensor, *flags: bool) -> list[torch.Tensor]:
        assert flags == (False, False)
        assert -1 <= batch.min() <= batch.max() <= 1
        return [batch.mean(dim=(2, 3))[..., None, None]]

    features = inception_features(network, levels / np.float32(255))
    np.testing.assert_allclose(features, (theirs.mean(axis=(1, 2)) - 128) / 128, atol=1e-5)
    assert np.isnan(inception_features(network, np.full((8, 8, 3), np.nan))).all()


RECIPE = """
base: smoke
train: {steps: 2, warmup_steps: 1, decay_steps: 2, validate_every_steps: 2}
auxiliary: {steps: 2}
test: {images: 3, draws: 1, centre_px: 64}
"""


@pytest.mark.usefixtures("fid_of_colours")
def test_a_run_stores_one_value_a_column_and_shows_it(tmp_path: Path) -> None:
    (tmp_path / "three.yaml").write_text(RECIPE)
    out = tmp_path / "out"
    words = ("run", "--recipe", str(tmp_path / "three.yaml"), "--methods", "promptir")
    common = [*words, "--metrics", "fid", "--out", str(out)]
    result = CliRunner().invoke(app, common, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "FID compares all images of a column at once" in " ".join(result.output.split())
    plan = plan_of(["promptir"], out, recipe=str(tmp_path / "three.yaml"), metrics=("fid",))
    assert is_complete(plan)
    for run in plan.runs:
        found = [r for r in read([run.folder.results]) if r.metric == "pyiqa:fid-clean"]
        assert [(r.column, r.image) for r in found] == [
            (column.name, WHOLE_COLUMN) for column in plan.columns
        ]
    entry = summary_of(plan).entry("degraded-input", "denoise50", "pyiqa:fid-clean")
    assert entry is not None
    assert (entry.scored, entry.expected) == (3, 3)
    pairs = plan.source.pairs(plan.test)
    made = [pairs.make(c, i) for c, i in pairs.names() if c == "denoise50"]
    features = [np.stack([colours(x) for x in images]) for images in (
        [pair.degraded for pair in made], [pair.clean for pair in made]
    )]  # fmt: skip
    assert entry.value == pytest.approx(frechet_distance(*features), rel=1e-4)
    (path,) = out.glob("tables/*.csv")
    with path.open() as file:
        lines = [line for line in csv.DictReader(file) if line["metric"] == "pyiqa:fid-clean"]
    assert {line["column"] for line in lines} == {*(c.name for c in plan.columns), "average"}
    before = {run.id: run.folder.results.read_bytes() for run in plan.runs}
    assert CliRunner().invoke(app, common, catch_exceptions=False).exit_code == 0
    assert {run.id: run.folder.results.read_bytes() for run in plan.runs} == before


@pytest.mark.usefixtures("fid_of_colours")
def test_a_column_that_was_cut_off_is_restored_again_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "three.yaml").write_text(RECIPE)
    plan = plan_of(["degraded-input"], tmp_path, recipe=str(tmp_path / "three.yaml"))
    run = plan.runs[0]
    assert run.score is not None

    class Counted(torch.nn.Module):
        restored = 0

        def restore(self, degraded: torch.Tensor, tasks: object = None) -> torch.Tensor:
            self.restored += 1
            return degraded

    def subject(method: Counted) -> Subject:
        return Subject(method, "degraded-input", 0, False, torch.device("cpu"))

    metrics = resolve_metrics(["psnr_rgb"])
    file = tmp_path / "results.jsonl"

    def scoring() -> Scoring:
        stored = read([file]) if file.exists() else []
        done = {(r.column, r.image, r.metric) for r in stored}
        return Scoring(run.score, metrics, done, set_metrics=[stand_in()])

    first = Counted()
    pairs = plan.source.pairs(plan.test)
    stops = iter([False] * 4 + [True] * 99)
    for results in evaluate(subject(first), pairs, scoring(), stop=lambda: next(stops)):
        append(file, results)
    assert first.restored == 4, "one column of three images, and one of the next"
    stored = read([file])
    assert [r.column for r in stored if r.image == WHOLE_COLUMN] == [plan.columns[0].name]
    second = Counted()
    for results in evaluate(subject(second), pairs, scoring()):
        append(file, results)
    assert second.restored == 3 * (len(plan.columns) - 1)
    stored = read([file])
    keys = [(r.column, r.image, r.metric) for r in stored]
    assert len(keys) == len(set(keys)) == 4 * len(plan.columns)
    assert {r.score for r in stored} == {spec_hash(run.score)}
    third = Counted()
    assert not list(evaluate(subject(third), pairs, scoring()))
    assert third.restored == 0


@pytest.mark.usefixtures("fid_of_colours")
def test_a_column_of_one_image_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(RECIPE.replace("images: 3", "images: 1"))
    words = ["run", "--recipe", str(tmp_path / "one.yaml"), "--methods", "promptir"]
    words += ["--metrics", "fid", "--columns", "denoise15", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, words)
    assert "FID needs at least 2 images, and column denoise15 has 1" in str(result.exception)
    assert not list((tmp_path / "out").glob("*/weights.safetensors"))


def folders(tmp_path: Path, count: int) -> tuple[Path, Path]:
    rng = np.random.default_rng(0)
    for number in range(count):
        clean = rng.integers(0, 200, (40, 52, 3), dtype=np.uint8)
        for folder, image in (("gt", clean), ("out", clean + np.uint8(20 + number))):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(image).save(tmp_path / folder / f"{number}.png")
    return tmp_path / "out", tmp_path / "gt"


@pytest.mark.usefixtures("fid_of_colours")
def test_folders_have_one_value(tmp_path: Path) -> None:
    restored, clean = folders(tmp_path, 4)
    protocols = ("onerestore", "mioir")
    request = ScoringRequest(restored, clean, protocols, ("fid",))
    scores = score_folders(request)
    assert set(scores.sets) == {
        ("rgb-uint8-uniform7", "pyiqa:fid-clean"),
        ("rgb-uint8-border4", "pyiqa:fid-clean"),
    }
    assert scores.mean("rgb-uint8-uniform7", "pyiqa:fid-clean") > 0
    rows = [row for row in scores.rows() if row[3] == "pyiqa:fid-clean"]
    assert [row[:2] for row in rows] == [("*", "*")] * 2
    assert "reads too high where they are few" in scores.to_text()
    frame = scores.to_dataframe()
    assert set(frame[frame.metric == "psnr_rgb"].restored) == {"0.png", "1.png", "2.png", "3.png"}
    same = dataclasses.replace(request, restored=clean)
    assert score_folders(same).mean("rgb-uint8-border4", "pyiqa:fid-clean") == pytest.approx(0)
    (tmp_path / "one").mkdir()
    one = folders(tmp_path / "one", 1)
    with pytest.raises(HarnessError, match="FID needs at least 2 images"):
        score_folders(ScoringRequest(*one, protocols, ("fid",)))


def test_the_score_command_refuses_what_is_missing(hub: Path, tmp_path: Path) -> None:
    restored, clean = folders(tmp_path, 2)
    words = ["score", "--restored", str(restored), "--clean", str(clean), "--metrics", "fid,lpips"]
    result = CliRunner().invoke(app, words)
    assert "metrics 'fid', 'lpips' need weights" in str(result.exception)
