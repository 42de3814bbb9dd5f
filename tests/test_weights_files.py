"""Files of weights as people have them: entries, extra names, damage, values, and starts."""

from __future__ import annotations

import json
import pathlib
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from typer.testing import CliRunner

from harness.cli import app
from harness.config.errors import HarnessError, UsageError
from harness.evaluation.restore import restore_image
from harness.execution.execute import Control, RunOutcome, execute
from harness.execution.process import Worker
from harness.method import WeightsFile
from harness.planning.plan import Plan
from harness.planning.request import split_methods
from harness.registry import find
from harness.store.weights import read_metadata, stated_method
from harness.training.pretrained import Pretrained, load_pretrained, read_pretrained, read_weights
from methods.baselines.spandrel_checkpoint.network import load_spandrel
from tests.networks import build_tiny
from tests.plans import plan_of

State = dict[str, Tensor]


@pytest.fixture(scope="module")
def weights() -> State:
    return {key: value.clone() for key, value in build_tiny("nafnet", 3).state_dict().items()}


def saved(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def loaded(file: WeightsFile) -> State:
    network = build_tiny("nafnet", seed=0)
    load_pretrained(network, read_pretrained(file), "nafnet")
    return dict(network.state_dict())


def assert_same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)


def call(*words: str) -> str:
    result = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


def error_of(*words: str) -> str:
    error = CliRunner().invoke(app, list(words)).exception
    assert isinstance(error, HarnessError), error
    return str(error)


# Which entry


def test_every_reader_takes_the_same_entry_and_says_which(tmp_path: Path, weights: State) -> None:
    averaged = {key: value + 1 for key, value in weights.items()}
    path = saved(tmp_path / "two.pth", {"params_ema": averaged, "params": weights})
    assert_same(loaded(WeightsFile(path)), weights)
    read: list[Pretrained] = []
    network = load_spandrel(WeightsFile(path), lambda file: read_weights(file, read.append))
    assert_same(network.net.state_dict(), weights)
    assert "entry 'params' (it also holds 'params_ema'; --entry chooses)" in read[0].describe()
    named = load_spandrel(WeightsFile(path, "params_ema"), read_weights)
    assert_same(named.net.state_dict(), averaged)


def test_the_part_of_a_file_is_part_of_what_a_run_is(tmp_path: Path, weights: State) -> None:
    path = saved(tmp_path / "two.pth", {"params": weights, "params_ema": weights})

    def weights_id(method: str, **parts: Any) -> str:
        asked = {"file": path, "method": method, **parts}
        return plan_of([], tmp_path, checkpoint=asked).runs[-1].weights_id

    for method in ("nafnet", "spandrel"):
        parts: list[dict[str, Any]] = [{}, {"entry": "params_ema"}, {"prefix": "net"}]
        parts.append({"ignore": ("x",)})
        assert len({weights_id(method, **part) for part in parts}) == len(parts)


def test_evaluate_shows_the_entry_with_both_readers(tmp_path: Path, weights: State) -> None:
    path = saved(tmp_path / "two.pth", {"params": weights, "params_ema": weights})
    common = ("--recipe", "smoke", "--out", str(tmp_path / "out"))
    for flags in (("--method", "nafnet", "--checkpoint", str(path)), ("--spandrel", str(path))):
        printed = call("evaluate", *flags, *common)
        assert "entry 'params' (it also holds 'params_ema'" in printed
        assert "weights of two.pth, entry params, evaluated again" in printed
        assert "entry params," in call("evaluate", *flags, *common), "when nothing is read again"


# Extra names


def people_have(weights: State) -> dict[str, Any]:
    with_prefix = {f"generator.{key}": value for key, value in weights.items()}
    loss = {"loss_fn.vgg.0.weight": torch.ones(3), "loss_fn.vgg.0.bias": torch.ones(3)}
    wrapped = {f"_forward_module.module.{key}": value for key, value in weights.items()}
    return {
        "counters": {**weights, "total_ops": torch.zeros(1), "output.total_params": torch.ones(1)},
        "averaged model": {"n_averaged": torch.tensor(3), **wrapped},
        "generator": {"state_dict": with_prefix, "epoch": 3},
        "deepspeed": {"module": weights, "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}}},
        "nested": {"model": {"state_dict": weights, "step": 3}, "args": {"lr": 1e-4}},
        "of two networks": {"netG": weights, "epoch": 1},
        "with a loss": {"state_dict": {**with_prefix, **loss}},
    }


@pytest.mark.parametrize("form", [form for form in people_have({}) if form != "with a loss"])
def test_files_as_people_have_them_are_read(form: str, tmp_path: Path, weights: State) -> None:
    path = saved(tmp_path / "net.pth", people_have(weights)[form])
    assert_same(loaded(WeightsFile(path)), weights)


@pytest.mark.parametrize("choice", [{"prefix": "generator"}, {"ignore": ("loss_fn",)}])
@pytest.mark.parametrize("dot", ["", ".", ".*"])
def test_other_networks_in_a_file_are_left_out_and_listed(
    choice: dict[str, Any], dot: str, tmp_path: Path, weights: State
) -> None:
    path = saved(tmp_path / "net.pth", people_have(weights)["with a loss"])
    with pytest.raises(HarnessError, match=r"2 unexpected .*--prefix and --ignore"):
        loaded(WeightsFile(path))
    if "ignore" in choice:
        choice = {"ignore": (choice["ignore"][0] + dot,)}
    file = WeightsFile(path, **choice)
    assert_same(loaded(file), weights)
    words = read_pretrained(file).describe()
    assert "ignored 2: loss_fn.vgg.0.weight, loss_fn.vgg.0.bias" in words
    assert_same(load_spandrel(file, read_weights).net.state_dict(), weights)


def test_many_ignored_names_are_grouped_and_counted(tmp_path: Path, weights: State) -> None:
    loss = {f"vgg.{number}.weight": torch.ones(1) for number in range(30)}
    path = saved(tmp_path / "net.pth", {**weights, **loss, "epoch": 3})
    words = read_pretrained(WeightsFile(path, ignore=("vgg",))).describe()
    assert "ignored 31: vgg.* (30), epoch" in words


def test_what_matches_nothing_is_refused(tmp_path: Path, weights: State) -> None:
    path = saved(tmp_path / "net.pth", {"model": {"state_dict": weights}})
    with pytest.raises(UsageError, match="--ignore lossfn matches no name"):
        read_pretrained(WeightsFile(path, ignore=("lossfn",)))
    with pytest.raises(UsageError, match="its names begin with intro"):
        read_pretrained(WeightsFile(path, prefix="generator."))
    with pytest.raises(UsageError, match=r"did you mean 'model.state_dict'"):
        read_pretrained(WeightsFile(path, "model.statedict"))
    assert_same(loaded(WeightsFile(path, "model.state_dict")), weights)
    assert_same(loaded(WeightsFile(path, "model")), weights)
    two = saved(tmp_path / "two.pth", {"first": weights, "second": weights})
    with pytest.raises(HarnessError, match=r"it has: first, second; .*--entry"):
        read_pretrained(WeightsFile(two))


def test_plain_values_of_other_versions_and_systems_are_read(
    tmp_path: Path, weights: State
) -> None:
    content = {
        "state_dict": weights,
        "best": np.float64(31.2),
        "losses": np.arange(3.0),
        "folder": pathlib.PurePosixPath("/data"),
    }
    path = saved(tmp_path / "net.pth", content)
    old = tmp_path / "numpy1.pth"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(old, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name.endswith("data.pkl"):
                assert b"numpy._core" in data
                data = data.replace(b"numpy._core", b"numpy.core")
                data = data.replace(b"PurePosixPath", b"WindowsPath")
            target.writestr(name, data)
    for file in (path, old):
        assert_same(loaded(WeightsFile(file)), weights)


# Damage


def cut(path: Path, share: float = 0.5) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def flipped(path: Path) -> Path:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    return path


def scripted(path: Path, weights: State) -> Path:
    torch.jit.script(nn.Conv2d(3, 3, 1)).save(str(path))
    return path


def safe(path: Path, weights: State) -> Path:
    save_file(weights, path)
    return path


def text(path: Path, content: str) -> Path:
    path.write_text(content)
    return path


def legacy(path: Path, weights: State) -> Path:
    torch.save(weights, path, _use_new_zipfile_serialization=False)
    return path


LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
DAMAGE: dict[str, Callable[[Path, State], Path]] = {
    "does not exist; check the path": lambda path, state: path,
    "is a folder": lambda path, state: path.parent,
    "is empty": lambda path, state: text(path, ""),
    "pointer of Git LFS": lambda path, state: text(path, LFS),
    "is a web page": lambda path, state: text(path, "\n<!DOCTYPE html><html></html>"),
    "is truncated: it begins": lambda path, state: cut(saved(path, state)),
    r"is truncated \(": lambda path, state: cut(legacy(path, state)),
    "is truncated: .* bytes are there": lambda path, state: cut(safe(path, state)),
    "is truncated: 600 of": lambda path, state: cut(safe(path, state), 0.003),
    "the checksum of its part .* differs": lambda path, state: flipped(saved(path, state)),
    "is a TorchScript archive": scripted,
    "it is damaged or no file of PyTorch's": lambda path, state: text(path, "nothing"),
}


@pytest.mark.parametrize("reason", DAMAGE)
def test_damage_is_named_by_every_reader(reason: str, tmp_path: Path, weights: State) -> None:
    path = DAMAGE[reason](tmp_path / "net.pth", weights)
    expected = reason.replace("600 of", r"\d+ of")
    with pytest.raises(HarnessError, match=expected):
        read_pretrained(WeightsFile(path))
    with pytest.raises(HarnessError, match=expected):
        load_spandrel(WeightsFile(path), read_weights)


def test_formats_are_told_apart_by_content(tmp_path: Path, weights: State) -> None:
    assert_same(loaded(WeightsFile(safe(tmp_path / "net.pth", weights))), weights)
    assert_same(loaded(WeightsFile(legacy(tmp_path / "net.ckpt", weights))), weights)


def test_a_missing_file_is_refused_in_the_plan(tmp_path: Path) -> None:
    path = tmp_path / "absent.pth"
    for words in (
        ("evaluate", "--method", "nafnet", "--checkpoint", str(path)),
        ("convert", "--checkpoint", str(path), "--to", str(tmp_path / "x.safetensors")),
    ):
        assert "absent.pth" in error_of(*words)
        assert "check the path" in error_of(*words)
    assert "does not exist; check the path" in error_of("evaluate", "--spandrel", str(path))
    cut_off = cut(safe(tmp_path / "run.safetensors", {"weight": torch.ones(100)}))
    assert "is truncated" in error_of("evaluate", "--checkpoint", str(cut_off))


# Values


def not_a_number(value: Tensor) -> Tensor:
    changed = value.clone()
    changed.view(-1)[0] = float("nan")
    return changed


VALUES: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "nan": (not_a_number, r"has 1 of \d+ values that are not finite"),
    "infinite": (lambda value: value / 0, r"has \d+ of \d+ values that are not finite"),
    "beyond float32": (lambda value: value.double() * 1e300, r"has \d+ of \d+ values"),
    "int64": (lambda value: value.long(), "is int64"),
    "bool": (lambda value: value > 0, "is bool"),
    "complex": (lambda value: value.to(torch.complex64), "is complex64"),
    "sparse": (lambda value: value.to_sparse(), "is sparse"),
    "quantised": (
        lambda value: torch.quantize_per_tensor(value, 0.1, 0, torch.qint8),
        "is quantised",
    ),
    "meta": (lambda value: value.to("meta"), "is a meta tensor"),
}


@pytest.mark.filterwarnings("ignore:Validating sparse", "ignore:.*quant", "ignore:Casting complex")
@pytest.mark.parametrize("kind", VALUES)
def test_values_that_no_network_can_have_are_refused_by_name(
    kind: str, tmp_path: Path, weights: State
) -> None:
    change, reason = VALUES[kind]
    name = "intro.weight"
    path = saved(tmp_path / "net.pth", {**weights, name: change(weights[name])})
    with pytest.raises(HarnessError, match=f"{name} {reason}"):
        loaded(WeightsFile(path))
    with pytest.raises(Exception, match=rf"{name} ({reason}|is \w+, and the network has floats)"):
        load_spandrel(WeightsFile(path), read_weights)
    target = tmp_path / "x.safetensors"
    flags = ("--method", "nafnet", "--size", "tiny", "--checkpoint", str(path))
    assert name in error_of("convert", *flags, "--to", str(target))
    assert not target.exists()


def test_half_precision_and_its_counters_are_read(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
    half = {key: value.half() for key, value in network.state_dict().items()}
    path = saved(tmp_path / "net.pth", half)
    load_pretrained(network, read_pretrained(WeightsFile(path)), "net")  # type: ignore[arg-type]
    half["1.num_batches_tracked"] = torch.tensor(0.5)
    saved(path, half)
    with pytest.raises(HarnessError, match="num_batches_tracked is float32 and the network has"):
        load_pretrained(network, read_pretrained(WeightsFile(path)), "net")  # type: ignore[arg-type]


class Returns:
    """A method that restores to whatever a function makes of the input."""

    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        self.function = function

    def restore(self, degraded: Tensor, tasks: tuple[str, ...] | None = None) -> Any:
        return self.function(degraded)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x[..., ::2, ::2], r"the shape \(1, 3, 4, 4\) for an input of \(1, 3, 8, 8\)"),
        (lambda x: x[0], r"the shape \(3, 8, 8\)"),
        (lambda x: (x,), "restore returned tuple"),
        (lambda x: x.numpy(), "restore returned ndarray"),
        (lambda x: (x * 255).long(), "restore returned torch.int64"),
        (lambda x: None, "restore returned NoneType"),
    ],
)
def test_a_restoration_of_another_shape_or_kind_is_refused(
    function: Callable[[Tensor], Any], message: str
) -> None:
    image = np.zeros((8, 8, 3), np.float32)
    with pytest.raises(HarnessError, match=message):
        restore_image(Returns(function), image, torch.device("cpu"))  # type: ignore[arg-type]


# Conversion


def test_convert_reads_what_a_file_of_this_project_states(tmp_path: Path, weights: State) -> None:
    path = saved(tmp_path / "net.pth", {"params": weights, "params_ema": weights})
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    flags = ("--checkpoint", str(path), "--to", str(first))
    assert "does not say what it holds; name it with --method" in error_of("convert", *flags)
    printed = call("convert", *flags, "--method", "nafnet", "--size", "tiny")
    assert "entry 'params' (it also holds 'params_ema'" in printed
    assert "tensors of nafnet" in call("convert", "--checkpoint", str(first), "--to", str(second))
    assert_same(load_file(second), weights)
    assert json.loads(read_metadata(second)["options"])["width"] == 8


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"options": "{"}, "options that cannot be read"),
        ({"options": "[" * 100_000}, "options that cannot be read"),
        ({"options": "[]"}, "of another kind"),
        ({"options": '{"depth": 3}'}, "that nafnet does not have now: option depth"),
        ({"options": '{"width": "wide"}'}, "option width"),
        ({"options": "{}", "tasks": "3"}, "of another kind"),
        ({"options": "{}", "method": "nafnte"}, "did you mean 'nafnet'"),
    ],
)
def test_metadata_that_state_nonsense_are_refused(
    metadata: dict[str, str], message: str, tmp_path: Path, weights: State
) -> None:
    path = tmp_path / "net.safetensors"
    save_file(weights, path, metadata={"method": "nafnet", **metadata})
    target = str(tmp_path / "x.safetensors")
    assert message in error_of("convert", "--checkpoint", str(path), "--to", target)
    assert message in error_of("evaluate", "--checkpoint", str(path), "--dry-run")
    assert stated_method(tmp_path / "x.pth") is None


# Paths in options


AWKWARD = [
    ("spandrel:checkpoint=/data/a;b.pth", "/data/a,b.pth", "a,b.pth"),
    ("spandrel:checkpoint='/data/a,b;c:d=1/x.pth'", "/data/a,b;c:d=1/x.pth", "x.pth"),
    ('spandrel:checkpoint="/data/it\'s, here.pth"', "/data/it's, here.pth", "it's, here.pth"),
    ("spandrel:checkpoint=/data/10:30/x.pth", "/data/10:30/x.pth", "x.pth"),
    (r"spandrel:checkpoint=C:\nets\x.pth", r"C:\nets\x.pth", "x.pth"),
    ("spandrel:checkpoint=C:/nets/x.pth", "C:/nets/x.pth", "x.pth"),
]


@pytest.mark.parametrize(("words", "path", "name"), AWKWARD)
def test_paths_may_hold_the_signs_that_separate_options(words: str, path: str, name: str) -> None:
    first, reference, last = split_methods(f"cpl,{words}:architecture=DnCNN,cpl:top_k=2")
    assert (first, last) == ("cpl", "cpl:top_k=2")
    choice = find(reference)
    assert choice.overrides == {"checkpoint": path, "architecture": "DnCNN"}
    assert choice.label == f"Checkpoint:architecture=DnCNN:checkpoint={name}"
    assert find(choice.id).overrides == choice.overrides, "the id can be read again"


def test_values_with_commas_are_lists_where_the_option_is_one(tmp_path: Path) -> None:
    (reference,) = split_methods("restormer:blocks=1;1;1;2:dim=8")
    run = plan_of([reference], tmp_path).runs[-1]
    assert run.train.options["blocks"] == [1, 1, 1, 2]
    assert run.method.id == "restormer:blocks=1,1,1,2:dim=8"
    assert find("restormer:dim=8:blocks=1;1;1;2").id == run.method.id, "Python takes both signs"
    assert plan_of(["swinir:depths=2"], tmp_path).runs[-1].train.options["depths"] == [2]
    with pytest.raises(UsageError, match="is not option=value"):
        find("cpl:top_k")
    with pytest.raises(UsageError, match="sets top_k twice"):
        find("cpl:top_k=1:top_k=2")
    with pytest.raises(UsageError, match="a comma inside an option's value is written ';'"):
        plan_of(split_methods("spandrel:checkpoint=/a,b/c.pth"), tmp_path)


def test_a_checkpoint_with_awkward_names_runs(tmp_path: Path, weights: State) -> None:
    folder = tmp_path / "a,b;c:d=1"
    folder.mkdir()
    path = saved(folder / "x.pth", weights)
    printed = call(
        *("run", "--recipe", "smoke", "--out", str(tmp_path / "out")),
        *("--methods", f"spandrel:checkpoint='{path}'"),
    )
    assert "Checkpoint:checkpoint=x.pth" in printed


# Starts from weights


RECIPE = """
base: smoke
train: {steps: 6, validate_every_steps: 3, batch: 2}
runtime: {checkpoint_every_steps: 2}
"""


def short_plan(folder: Path, method: str = "nafnet", **fields: Any) -> Plan:
    folder.mkdir(parents=True, exist_ok=True)
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE)
    return plan_of([method], folder, recipe=str(recipe), **fields)


def computed(plan: Plan, stop: Callable[[], bool] = lambda: False) -> RunOutcome:
    return execute(plan.runs[-1], plan, Worker("cpu", 1), Control(stop=stop, live=False))


def stop_after(steps: int) -> Callable[[], bool]:
    calls = iter(range(10**6))
    return lambda: next(calls) >= steps


def test_training_starts_from_weights_and_resumes_bit_exactly(
    tmp_path: Path, weights: State, capsys: pytest.CaptureFixture[str]
) -> None:
    path = saved(tmp_path / "start.pth", {"params": weights, "params_ema": weights})
    whole = short_plan(tmp_path / "whole", init_from=str(path))
    assert computed(whole).error == ""
    shown = "".join(capsys.readouterr())
    assert "starts from weights: read" in shown
    assert "entry 'params' (it also holds 'params_ema'" in shown
    folder = whole.runs[-1].folder
    provenance = json.loads(folder.provenance.read_text())
    assert provenance["initial_weights"]["source"] == "start.pth"

    halved = short_plan(tmp_path / "halved", init_from=str(path))
    assert computed(halved, stop_after(3)).interrupted
    assert halved.runs[-1].folder.checkpoint.exists()
    assert computed(halved).error == ""
    assert_same(load_file(halved.runs[-1].folder.weights), load_file(folder.weights))

    again = short_plan(tmp_path / "whole", init_from=whole.runs[-1].id)
    assert again.runs[-1].initial == folder.weights, "a run of the output folder by its id"
    by_folder = short_plan(tmp_path / "whole", init_from=str(folder.path))
    assert by_folder.runs[-1].weights_id == again.runs[-1].weights_id

    scratch = short_plan(tmp_path / "scratch")
    assert computed(scratch).error == ""
    other = load_file(scratch.runs[-1].folder.weights)
    assert not torch.equal(other["ending.weight"], load_file(folder.weights)["ending.weight"])


def test_the_start_is_part_of_what_a_run_is(tmp_path: Path, weights: State) -> None:
    first, second = saved(tmp_path / "a.pth", weights), tmp_path / "b.pth"
    second.write_bytes(first.read_bytes())
    other = saved(tmp_path / "c.pth", {"params": weights})
    ids = {}
    for path in (None, first, second, other):
        fields = {} if path is None else {"init_from": str(path)}
        ids[path] = short_plan(tmp_path / "out", **fields).runs[-1].weights_id
    assert ids[first] == ids[second], "the content counts, not the place"
    assert len({ids[None], ids[first], ids[other]}) == 3
    reference = short_plan(tmp_path / "out", init_from=str(first)).runs[0]
    assert reference.initial is None, "what is not trained has no start"


def test_a_start_that_cannot_be_is_refused(tmp_path: Path, weights: State) -> None:
    path = saved(tmp_path / "net.pth", weights)
    outcome = computed(short_plan(tmp_path / "out", "promptir", init_from=str(path)))
    assert "does not fit promptir" in outcome.error
    nan = {**weights, "ending.weight": weights["ending.weight"] / 0}
    bad = saved(tmp_path / "nan.pth", nan)
    outcome = computed(short_plan(tmp_path / "out", init_from=str(bad)))
    assert "ending.weight has" in outcome.error
    assert not list(tmp_path.glob("out/*/weights.safetensors"))
    with pytest.raises(UsageError, match=r"--init-from nafnet-s7 is neither a file nor a run"):
        short_plan(tmp_path / "out", init_from="nafnet-s7")
    asked = {"file": path, "method": "nafnet"}
    with pytest.raises(UsageError, match="--init-from starts trainings"):
        short_plan(tmp_path / "out", init_from=str(path), checkpoint=asked)
