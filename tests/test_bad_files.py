"""Damaged rows, weights, images and caches are read right or refused, and never end a command."""

from __future__ import annotations

import json
import math
import os
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from benchmarks.bad_bytes.payloads import Runs
from benchmarks.bad_bytes.row_cases import sealed
from harness.config.errors import HarnessError
from harness.config.hashing import file_sha256
from harness.data.images.cache import DecodedImages
from harness.data.images.read import image_size, read_image
from harness.data.on_disk.hashing import content_sha256, look_again
from harness.data.on_disk.manifests import read_manifest
from harness.published.csv_lines import csv_lines
from harness.store.archive import RESULTS_FILE, read_archive
from harness.store.files import read_json, write_text
from harness.store.result_lines import read_files
from harness.store.results import Result, append, read
from harness.store.stored_results import results_in
from harness.training.weight_files import read_weight_file
from tests.conftest import Run
from tests.sentences import FEW, or_sentence, refused, scratch

RESULT = Result(
    *("w" * 16, "s" * 16, "cpl:top_k=2", 3, "three-task", "synthetic", "derain", "a-0"),
    *("psnr_rgb", "crop16-uint8", "rgb-float-uniform7", 31.25),
)


# --- rows, by line and by column ---------------------------------------------------------


def lines_of(count: int) -> bytes:
    path = scratch("rows.jsonl")
    append(path, [RESULT] * count)
    return path.read_bytes()


def both_readers(data: bytes) -> tuple[Any, Any]:
    path = scratch("read.jsonl")
    path.write_bytes(data)
    found: list[Any] = []
    for reader in (read, lambda paths: list(read_files(paths)[0].results)):
        try:
            found.append([repr(result) for result in reader([path])])
        except HarnessError:
            found.append("refused")
    return found[0], found[1]


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 3), st.integers(0, 2000), st.binary(max_size=4), st.integers(0, 4))
def test_damaged_rows_are_read_alike_by_line_and_by_column(
    count: int, place: int, put: bytes, gone: int
) -> None:
    data = lines_of(count)
    at = place % (len(data) + 1)
    by_line, by_column = both_readers(data[:at] + put + data[at + gone :])
    assert by_line == by_column
    if by_line != "refused":
        assert set(by_line) <= {repr(RESULT)}, "a damaged row never becomes another one"


FIELDS = st.sampled_from(
    ["value", "seed", "metric", "column", "image", "origin", "protocol", "method"]
)
VALUES = st.sampled_from(
    [None, True, 0, -1, 2**70, 1e308, -5.0, 1e30, math.nan, math.inf, "", "x", "\ud800", "a\u2028b",
     "\x00", [], {}, "12", 1.5]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(FIELDS, VALUES, st.booleans())
def test_other_fields_are_read_alike_by_line_and_by_column(
    field: str, value: Any, has_checksum: bool
) -> None:
    content = json.loads(lines_of(1))
    content[field] = value
    if has_checksum:
        content = sealed(content)
    else:
        del content["crc32"]
    by_line, by_column = both_readers(json.dumps(content, sort_keys=True).encode() + b"\n")
    assert by_line == by_column


def test_a_key_that_stands_twice_is_damage() -> None:
    line = lines_of(1).rstrip()
    for more in (b', "value": 99.0}', b', "crc32": "00000000"}'):
        assert both_readers(line[:-1] + more + b"\n") == ("refused", "refused")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_rows_that_are_no_file_are_a_sentence(make: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    make(path)
    refused(lambda: results_in([path]), str(path), "no file")
    refused(lambda: read_json(path), str(path), "no file")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2000), st.binary(max_size=4))
def test_damaged_archives_are_read_or_refused(place: int, put: bytes) -> None:
    from harness.store.results import RESULT_FIELDS

    folder = scratch("archive/x").parent
    row = ",".join(str(getattr(RESULT, field)) for field in RESULT_FIELDS)
    data = f"{','.join(RESULT_FIELDS)}\n{row}\n{row}\n".encode()
    at = place % len(data)
    (folder / RESULTS_FILE).write_bytes(data[:at] + put + data[at:])
    or_sentence(lambda: read_archive(folder))


@pytest.mark.parametrize("value", ["1_0", "٣", " 31", "0x1p3", "1,5", "", "+3", "Infinity"])
def test_a_value_of_an_archive_is_written_as_a_number(value: str) -> None:
    from harness.store.results import RESULT_FIELDS

    folder = scratch("archive/x").parent
    fields = [str(getattr(RESULT, field)) for field in RESULT_FIELDS]
    fields[RESULT_FIELDS.index("value")] = f'"{value}"'
    (folder / RESULTS_FILE).write_text(f"{','.join(RESULT_FIELDS)}\n{','.join(fields)}\n")
    refused(lambda: read_archive(folder), "results.csv, line 2")


@FEW
@given(st.binary(max_size=80))
@example(b'a,b\n"x')
@example(b"a,b\n1\n")
@example(b"a,b\n1,\0\n")
def test_published_lines_and_manifests_are_strict(data: bytes) -> None:
    path = scratch("lines.csv")
    path.write_bytes(data)
    or_sentence(lambda: list(csv_lines(path, ("a", "b"))))
    or_sentence(lambda: read_manifest(path))


# --- weights -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def weight_bytes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("weights")
    state = {"a.weight": torch.arange(12.0).reshape(3, 4), "a.bias": torch.ones(3)}
    save_file(state, folder / "net.safetensors")
    torch.save(state, folder / "net.pth")
    torch.save(state, folder / "old.pth", _use_new_zipfile_serialization=False)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("name", ["net.safetensors", "net.pth", "old.pth"])
@settings(max_examples=40, deadline=None)
@given(place=st.integers(0, 10**6), put=st.binary(max_size=8), gone=st.integers(0, 8))
def test_damaged_weights_are_read_or_refused(
    name: str, weight_bytes: dict[str, bytes], place: int, put: bytes, gone: int
) -> None:
    data = weight_bytes[name]
    at = place % len(data)
    path = scratch(name)
    path.write_bytes(data[:at] + put + data[at + gone :])
    or_sentence(lambda: read_weight_file(path))


def test_weights_with_payloads_run_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = tmp_path / "MARK"
    monkeypatch.setenv("BAD_BYTES_MARK", str(mark))
    for how in ("system", "exec", "eval"):
        path = tmp_path / f"{how}.pth"
        torch.save({"state_dict": {"a": torch.ones(1)}, "more": Runs(how)}, path)
        refused(lambda path=path: read_weight_file(path), "could run code")  # type: ignore[misc]
    assert not mark.exists()


def test_packed_parts_are_refused_before_they_are_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as parts:
        parts.writestr("archive/data.pkl", b"\x80\x02}.")
        parts.writestr("archive/data/0", bytes(2**25))
    refused(lambda: read_weight_file(path), "torch.save leaves none")


def test_a_tensor_larger_than_its_file_is_refused(tmp_path: Path) -> None:
    from harness.method import WeightsFile
    from harness.training.pretrained import read_pretrained

    path = tmp_path / "net.pth"
    torch.save({"a": torch.zeros(1).expand(2**20, 2**20), "b": torch.ones(4)[::2]}, path)
    refused(lambda: read_pretrained(WeightsFile(path)), "a repeats few numbers")


# --- images ------------------------------------------------------------------------------


def _png() -> bytes:
    path = scratch("whole.png")
    pixels = np.random.default_rng(0).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path.read_bytes()


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**4), st.binary(max_size=6), st.integers(0, 6))
def test_damaged_images_are_read_or_refused(place: int, put: bytes, gone: int) -> None:
    data = _png()
    at = place % len(data)
    path = scratch("any.png")
    path.write_bytes(data[:at] + put + data[at + gone :])
    image = or_sentence(lambda: read_image(path))
    or_sentence(lambda: image_size(path))
    if image is not None:
        assert image.dtype == np.uint8
        assert image.shape[2] == 3


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_an_image_that_never_ends_is_not_read(make: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    make(path)
    refused(lambda: read_image(path), str(path), "pipe or a device")
    refused(lambda: file_sha256(path), str(path), "pipe or a device")


# --- caches, homes and folders -----------------------------------------------------------

NOWHERE = "/proc/none"
"""Where not even root can make a folder."""


@pytest.mark.parametrize("home", [None, NOWHERE])
@pytest.mark.parametrize("cache", [None, NOWHERE])
def test_without_a_home_or_cache_a_run_has_the_same_result(
    home: str | None,
    cache: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    harness_command: Run,
) -> None:
    for name, value in (("HOME", home), ("XDG_CACHE_HOME", cache), ("HARNESS_IMAGE_CACHE", cache)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    (tmp_path / "clean").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "clean" / "a.png")
    words = ("run", "--methods", "degraded-input", "--recipe", "smoke", "--threads", "1")
    found = harness_command(
        *words, "--clean-images", f"test={tmp_path / 'clean'}", "--out", str(tmp_path / "out")
    )
    assert found.returncode == 0, found.stderr
    values = [result.value for result in results_in((tmp_path / "out").glob("*/results.jsonl"))[0]]
    assert _RIGHT.setdefault("values", values) == values


_RIGHT: dict[str, list[float]] = {}


@pytest.mark.parametrize(
    "words",
    [
        ("run", "--methods", "degraded-input", "--recipe", "smoke", "--out", NOWHERE),
        ("plan", "--methods", "degraded-input", "--recipe", "smoke", "--to", f"{NOWHERE}/p.json"),
        ("leaderboard", "--to", NOWHERE),
        ("ablate", "--study", "topk", "--recipe", "smoke", "--out", NOWHERE),
        ("score", "--restored", "images", "--clean", "images", "--csv", f"{NOWHERE}/x.csv"),
        ("restore", "--checkpoint", "none.pth", "--input", "images", "--output", NOWHERE),
    ],
    ids=lambda words: words[0],
)
def test_a_folder_that_cannot_be_written_is_named(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harness_command: Run
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("images").mkdir()
    Image.new("RGB", (32, 32), (9, 99, 199)).save("images/a.png")
    found = harness_command(*words)
    assert found.returncode in (1, 2)
    assert NOWHERE in found.stderr or "none.pth" in found.stderr
    assert "unexpected" not in found.stderr
    assert "Traceback" not in found.stderr


def test_a_cache_of_others_is_made_anew_and_other_files_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.data.on_disk.found_set import PairFiles

    folder = tmp_path / "shared" / "images"
    folder.mkdir(parents=True)
    monkeypatch.setenv("HARNESS_IMAGE_CACHE", str(folder))
    (folder / "thesis.tex").write_text("years of work")
    (folder.parent / "digests.jsonl").write_bytes(
        b'["x", 3]\n[[], "a"]\n\xff\xfe\n{}\n[' + b"[" * 9999
    )
    path = tmp_path / "a.png"
    Image.new("RGB", (16, 16), (1, 2, 3)).save(path)
    pairs = [PairFiles("a", path, path)]
    assert len(content_sha256(pairs)) == 64
    before = DecodedImages(folder).read(path)
    for stored in folder.glob("*.npy"):
        np.save(stored, np.zeros((2, 2)))
    assert np.array_equal(DecodedImages(folder).read(path), before)
    look_again()
    assert not list(folder.glob("*.npy"))
    assert (folder / "thesis.tex").read_text() == "years of work"


def test_a_device_is_written_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_text(pipe, "values\n")
    assert os.read(reader, 99) == b"values\n"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
