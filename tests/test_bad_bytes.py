"""Nothing wrong gets in: bad files, flags and names are a sentence or a right result."""

from __future__ import annotations

import contextlib
import random
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmarks.bad_bytes import KINDS
from benchmarks.bad_bytes.judge import fault_of
from benchmarks.bad_bytes.payloads import CONTROL, YAML_TAGS
from benchmarks.bad_bytes.sandbox import Box
from benchmarks.bad_bytes.whole import make_whole, warm
from harness.config.errors import printable
from harness.config.parsing import read_yaml
from harness.config.quoting import not_computed, quoted_file_name, split_outside_quotes, unquoted
from harness.config.recipes import Optimisation
from harness.data.on_disk.pair_templates import template_rule
from harness.data.synthetic.degradations.noise import Noise
from harness.planning.image_choice import check_choice
from harness.planning.request import RunRequest, parse_seeds, split_methods
from harness.registry import find, resolve_options
from harness.reporting.figures.crops import parse_crop
from harness.reporting.paper_selection import parse_years
from harness.store.files import file_name
from tests.conftest import Run
from tests.sentences import FEW, or_sentence, refused, scratch

# --- the generator -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Box:
    folder = tmp_path_factory.mktemp("bad")
    warm()
    return Box(folder / "box", make_whole(folder))


@pytest.mark.parametrize("kind", KINDS)
def test_a_few_cases_of_each_kind(kind: str, box: Box) -> None:
    for number in range(3):
        case = KINDS[kind](random.Random(f"suite {kind} {number}"), box.whole)
        assert fault_of(case, box.run(case), box) == "", (number, case)


def test_a_payload_that_ran_would_be_seen(box: Box) -> None:
    case = KINDS["options"](random.Random(0), box.whole)
    ended = box.run(case)
    (box.root / "MARK").touch()
    assert fault_of(case, ended, box) == "CODE WAS RUN"


# --- YAML --------------------------------------------------------------------------------

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + level)}: &{chr(98 + level)} [{', '.join([f'*{chr(97 + level)}'] * 10)}]\n"
    for level in range(12)
)
BAD_YAML = {
    "values, aliases counted": LAUGHS,
    "holds itself": "a: &a [*a]\n",
    "occurs twice": "a: 1\na: 2\n",
    "base of sixty": "a: 1:30\n",
    "belongs in no text": 'a: "\\e[31m"\n',
    "is no number, or too long a one": "a: " + "9" * 5000 + "\n",
    "more than 1 MiB": "# x\n" * 300_000,
    "must hold a mapping": "- a\n",
    "is not valid YAML": "a: [\n",
    "nests too deeply": "a: " + "[" * 20_000 + "]" * 20_000,
    "leading zeros": "a: 010\n",
}


@pytest.mark.parametrize("reason", BAD_YAML)
def test_bad_yaml_is_a_sentence(reason: str, tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(BAD_YAML[reason])
    refused(lambda: read_yaml(path), str(path), reason)


@pytest.mark.parametrize("tag", YAML_TAGS)
def test_no_tag_of_yaml_builds_an_object(tag: str, tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(f"a: {tag}\n")
    refused(lambda: read_yaml(path), "could not determine a constructor")


@pytest.mark.parametrize("data", [b"a: \x00", b"\xff\xfea", "a: 1".encode("utf-16"), b"\xff"])
def test_yaml_that_is_no_text_is_a_sentence(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_bytes(data)
    refused(lambda: read_yaml(path), str(path))


def test_an_endless_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.symlink_to("/dev/zero")
    refused(lambda: read_yaml(path), "more than 1 MiB")


WORDS = st.text(st.characters(codec="ascii", exclude_categories=["C"]), max_size=8)
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.text(st.characters(codec="ascii", exclude_categories=["C"]), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3)
    ),
    max_leaves=8,
)


@FEW
@given(st.dictionaries(st.sampled_from("abcd"), PLAIN))
def test_what_yaml_says_is_what_is_read(content: dict[str, Any]) -> None:
    path = scratch("own.yaml")
    path.write_text(yaml.safe_dump(content))
    assert read_yaml(path) == content


@FEW
@given(st.binary(max_size=60) | st.text("a:&*<[]{}!-\n \"'|>%@?,1.", max_size=40).map(str.encode))
@example(b"a: !!timestamp x")
@example(b"? [a]\n: 1")
@example(b"a: 2024-13-45")
@example(b"=: 1")
def test_any_bytes_are_yaml_or_a_sentence(data: bytes) -> None:
    path = scratch("any.yaml")
    path.write_bytes(data)
    or_sentence(lambda: read_yaml(path))


@pytest.mark.parametrize("value", [True, False])
@pytest.mark.parametrize("field", ["steps", "lr", "batch", "weight_decay"])
def test_yes_and_no_are_no_numbers(field: str, value: bool) -> None:
    from harness.config.recipe_files import load_recipe

    values = load_recipe("smoke").train.model_dump()
    with pytest.raises(ValueError, match="are no numbers"):
        Optimisation.model_validate({**values, field: value})


def test_numbers_in_lists_and_mappings_are_numbers_too() -> None:
    for wrong in ({"decimals": {"psnr": True}}, {"seeds": [0, True]}, {"limit": True}):
        with pytest.raises(ValueError, match="number"):
            RunRequest.model_validate(wrong)
    assert RunRequest.model_validate({"probes": True}).probes


@pytest.mark.parametrize("text", [*CONTROL, "\u2028", "\u202e"])
def test_a_label_is_one_printable_line(text: str) -> None:
    with pytest.raises(ValueError, match="is no label"):
        RunRequest.model_validate({"labels": {"cpl": text}})


# --- flags -------------------------------------------------------------------------------

TYPED = st.text("0123456789,-: ;=\"'nafetwidh.cpl_", max_size=24) | st.text(max_size=12)


@settings(max_examples=150, deadline=None)
@given(TYPED)
@example("0-99999999999999999999")
@example("²")
@example("9" * 5000)
def test_seeds_are_numbers_or_a_sentence(text: str) -> None:
    seeds = or_sentence(lambda: parse_seeds(text))
    if seeds is not None:
        assert len(set(seeds)) == len(seeds) > 0
        assert all(0 <= seed < 2**63 for seed in seeds)


@settings(max_examples=150, deadline=None)
@given(TYPED)
@example("nafnet:width=1e999")
@example("nafnet:width=" + "9" * 5000)
def test_methods_are_methods_or_a_sentence(text: str) -> None:
    def resolve() -> None:
        for name in split_methods(text):
            resolve_options(find(name), "tiny", ("a", "b"), micro_batch=2)

    or_sentence(resolve)


@settings(max_examples=100, deadline=None)
@given(TYPED)
@example("nan,0,1,1")
@example("worst:" + "9" * 5000)
@example("9" * 5000 + "-")
def test_small_parsers_refuse_in_words(text: str) -> None:
    for parser in (parse_crop, parse_years, template_rule):
        or_sentence(lambda parser=parser: parser(text))  # type: ignore[misc]
    with contextlib.suppress(ValueError):
        assert check_choice(text) == text


@settings(max_examples=100, deadline=None)
@given(st.text("sigma_0123456789.,-[]naif", max_size=12))
def test_ranges_of_noise_are_ordered_and_finite(text: str) -> None:
    try:
        found = Noise.model_validate({"kind": "noise", "sigma_255": yaml.safe_load(text)})
    except (ValueError, yaml.YAMLError):
        return
    low, high = found.sigma_255
    assert 0 <= low <= high <= 1000


@pytest.mark.parametrize("value", ["nan", "inf", "-1"])
def test_an_age_that_is_no_number_prunes_nothing(
    value: str, tmp_path: Path, harness_command: Run
) -> None:
    folder = tmp_path / "cpl-s0-0123456789abcdef"
    folder.mkdir()
    (folder / "spec.json").write_text("{}")
    found = harness_command(
        "runs", "prune", "--out", str(tmp_path), f"--older-than={value}", "--yes"
    )
    assert found.returncode == 2
    assert folder.exists()


# --- names -------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(st.text())
@example("..")
@example("a/../../b")
@example("\0")
def test_a_name_stays_in_its_folder(text: str) -> None:
    for name in (file_name(text), quoted_file_name(text)):
        assert name not in ("", ".", "..")
        assert "/" not in name
        assert "\0" not in name
        assert len(name.encode()) <= 160
        assert not name.startswith(".")


@FEW
@given(st.text(), st.text())
def test_different_names_are_different_files(one: str, other: str) -> None:
    assert (quoted_file_name(one) == quoted_file_name(other)) == (one == other)


@FEW
@given(st.text(st.characters(exclude_characters="\"'")))
def test_a_quoted_value_comes_back(value: str) -> None:
    assert unquoted(f"'{value}'") == value or "\n" in value

    assert (
        split_outside_quotes(f"a:b='{value}'", re.compile(",")) == [f"a:b='{value}'"]
        or "\n" in value
    )


@FEW
@given(st.text(max_size=3000))
@example("\x1b[31m")
@example("x" * 10**5)
def test_sentences_hold_no_command_of_a_terminal(text: str) -> None:
    shown = printable(text)
    assert not any(character < " " and character not in "\n\t" for character in shown)
    assert "\x9b" not in shown
    assert len(shown) < 10_000
    shown.encode()


@pytest.mark.parametrize("text", ["=1+1", "@SUM(A1)", "+cmd", "-cmd|x", "\t=1", "\r=1"])
def test_a_text_is_no_formula_in_csv(text: str) -> None:
    assert not_computed(text) == f"'{text}"


@pytest.mark.parametrize("value", [-1.5, "-1.5", "+3", "-", "nan", "-inf", "a=b", "image-1.png", 3])
def test_other_fields_of_csv_stay(value: Any) -> None:
    assert not_computed(value) == value
