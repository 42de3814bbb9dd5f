"""Odd names and texts that reach files, tables and pages."""

from __future__ import annotations

import csv
import random
import re
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

from benchmarks.bad_bytes.case import Case, Change, nothing
from benchmarks.bad_bytes.payloads import CONTROL, INJECTIONS, PATHS
from benchmarks.bad_bytes.whole import RUN

_COMMANDS = (
    ("table", *RUN),
    ("table", *RUN, "--style", "ieee"),
    ("compare", *RUN),
    ("report", *RUN, "--to", "new", "--images", "none"),
)


def draw(chance: random.Random, whole: Path) -> Case:
    """Draw a text and where it is given."""
    text = chance.choice((*INJECTIONS, *INJECTIONS, *CONTROL, *PATHS))
    typed = text.replace("\0", "").encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    words = chance.choice(_COMMANDS)
    where = chance.choice(
        ("label", "label", "column", "name", "out", "file", "input", "to", "yaml")
    )
    inspect = partial(_fault_in_files, text=typed)
    set_up: Change = nothing
    if where in ("label", "column"):
        name = chance.choice(
            ("nafnet", "explicit") if where == "label" else ("derain", "denoise15")
        )
        words = (*words, f"--label={name}={typed}")
    elif where == "name":
        words = (*words, f"--name={typed}")
    elif where == "yaml":
        import json

        words = (*words, "--config", "labels.yaml")
        set_up = partial(_labels_file, content=json.dumps({"labels": {"nafnet": text}}))
    elif where == "out":
        words = (
            "run",
            "--methods",
            "degraded-input",
            "--recipe",
            "quick.yaml",
            "--dry-run",
            f"--out=new/{typed}",
        )
    elif where == "to":
        words = ("plan", *RUN, f"--to=new/{typed}.json")
    else:
        return _with_file(chance, typed, where)
    return Case(f"{where}: {text!r}", words, "any", (), set_up, nothing, inspect)


def _labels_file(work: Path, content: str) -> None:
    (work / "labels.yaml").write_text(content)


def _with_file(chance: random.Random, name: str, where: str) -> Case:
    """Let a file or folder have the name."""
    plain = name.replace("/", "_")[:60] or "x"
    if where == "input":
        words: tuple[str, ...] = (
            *("restore", "--run", "nafnet seed 0", "--out", "out", "--output", "new"),
            *("--input", "restored", "--threads", "1"),
        )
    else:
        words = ("score", "--restored", "restored", "--clean", "clean", "--csv", "new/scores.csv")
    harm = partial(_rename, name=f"{plain}.png", both=where == "file")
    return Case(
        f"{where} called {plain!r}",
        words,
        "any",
        (),
        nothing,
        harm,
        partial(_fault_in_files, text=plain),
    )


def _rename(work: Path, name: str, both: bool) -> None:
    for folder in ("restored", "clean") if both else ("restored",):
        (work / folder / "image2.png").rename(work / folder / name)


class _Tags(HTMLParser):
    """Collects elements and attributes that a page has."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name.startswith("on") or (value or "").lower().startswith("javascript:"):
                self.found.append(f"{tag} {name}={value}")
        if tag in ("iframe", "object", "embed") or (tag == "img" and dict(attrs).get("src") == "x"):
            self.found.append(tag)


def _fault_in_files(work: Path, printed: str, text: str) -> str:
    """Return what a written table or page holds that does what its text says."""
    for folder in (work / "out", work / "new"):
        for path in sorted(folder.rglob("*")):
            fault = _fault_in(path, text) if path.is_file() else ""
            if fault:
                return f"{path.name}: {fault}"
    return ""


def _fault_in(path: Path, text: str) -> str:
    if path.suffix == ".csv":
        return _fault_in_csv(path)
    if path.suffix == ".tex":
        source = path.read_text()
        found = re.search(r"\\(input|write18|immediate)|(?<!\\)%(?! )", _without_comments(source))
        return f"LaTeX runs {found[0]}" if found else ""
    if path.suffix == ".html":
        page = path.read_text()
        tags = _Tags()
        tags.feed(page)
        if "<script>document.title='MARK'" in page:
            return "a script of the text"
        return f"a page has {tags.found[0]}" if tags.found else ""
    if path.suffix == ".md" and re.search(
        r"(?<!\\)<(script|img|svg)|(?<!\\)\]\(javascript", path.read_text()
    ):
        return "Markdown holds the text's markup"
    return ""


def _without_comments(source: str) -> str:
    return "\n".join(line for line in source.splitlines() if not line.startswith("%"))


def _fault_in_csv(path: Path) -> str:
    with path.open(newline="") as file:
        for line in csv.reader(file):
            for field in line:
                if re.match(r"[=@\t\r]|[+-](?![\d.]|inf|nan)", field):
                    return f"a spreadsheet computes {field!r}"
    return ""
