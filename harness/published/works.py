"""Works to cite: who published a method, a data set or a metric, as far as this project knows.

``works.csv`` holds them. Fields that no source here states are empty, and are left out of the
BibTeX entry; a title is the name under which the field knows the work where no other is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.config.errors import HarnessError
from harness.published.csv_lines import csv_lines
from harness.published.reading import published_folder

_FIELDS = (
    *(
        "key",
        "type",
        "names",
        "author",
        "title",
        "venue",
        "volume",
        "number",
        "year",
        "arxiv",
        "url",
    ),
)
_TYPES = ("article", "inproceedings", "misc")
_VENUE_FIELDS = {"article": "journal", "inproceedings": "booktitle"}


@dataclass(frozen=True)
class Work:
    """One published work.

    Attributes:
        key: of its BibTeX entry.
        type: of its BibTeX entry.
        names: what of this project follows it, as ``method:cpl``, ``set:cbsd68``, ``metric:ssim``.
        author: as BibTeX writes several, or empty.
        title: its title or its name.
        venue: journal or conference, or empty.
        volume: of a journal, or empty.
        number: of the issue, or empty.
        year: four digits, or empty.
        arxiv: identifier of arXiv, or empty.
        url: where it is found, or empty.
    """

    key: str
    type: str
    names: tuple[str, ...]
    author: str
    title: str
    venue: str
    volume: str
    number: str
    year: str
    arxiv: str
    url: str

    @property
    def bibtex(self) -> str:
        """The entry for a bibliography; unknown fields are left out."""
        fields = {
            "author": self.author,
            "title": f"{{{self.title}}}",
            _VENUE_FIELDS.get(self.type, "howpublished"): self.venue,
            "volume": self.volume,
            "number": self.number,
            "year": self.year,
            "eprint": self.arxiv,
            "archiveprefix": "arXiv" if self.arxiv else "",
            "url": self.url,
        }
        known = [f"  {name} = {{{value}}}" for name, value in fields.items() if value]
        return f"@{self.type}{{{self.key},\n" + ",\n".join(known) + "\n}"


def load_works(folder: Path | None = None) -> list[Work]:
    """Read all works, in the order of the file.

    Raises:
        HarnessError: a field or a key that does not belong there; names file and line.
    """
    path = (folder or published_folder()) / "works.csv"
    works: list[Work] = []
    for where, line in csv_lines(path, _FIELDS):
        works.append(_work(line, where, works))
    return works


def _work(line: dict[str, str], where: str, earlier: list[Work]) -> Work:
    if line["type"] not in _TYPES:
        raise HarnessError(f"{where}: type '{line['type']}' is none of {', '.join(_TYPES)}")
    if not line["key"].isidentifier() or any(work.key == line["key"] for work in earlier):
        raise HarnessError(f"{where}: '{line['key']}' is no key, or one that is given twice")
    if any(sign in line[name] for name in _FIELDS for sign in "{}\\"):
        raise HarnessError(f"{where}: a field holds a brace or a backslash")
    if not line["title"]:
        raise HarnessError(f"{where}: a work needs a title")
    if line["year"] and not (line["year"].isdigit() and len(line["year"]) == 4):
        raise HarnessError(f"{where}: '{line['year']}' is no year")
    return Work(**{**line, "names": tuple(filter(None, line["names"].split("|")))})  # type: ignore[arg-type]
