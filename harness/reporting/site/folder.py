"""The folder of a site: written file by file, updated by a second run, and never left.

``files.json`` lists what a site consists of. A folder with other content is refused, and files
that an earlier site had and this one has not are removed at the end.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from harness.config.errors import HarnessError, UsageError
from harness.config.user_folders import check_no_file
from harness.store.files import (
    check_writable,
    make_folder,
    read_json_object,
    temporary_path,
    write_bytes,
    write_json,
)

LISTING = "files.json"
ASSETS = ("site.css", "site.js")
_OWN_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class SiteFolder:
    """A folder that holds one site and nothing else.

    Attributes:
        path: the folder.
        kind: ``report`` or ``leaderboard``; one never replaces the other.
        names: files that were written, relative to the folder, in order.
    """

    path: Path
    kind: str
    names: dict[str, None] = field(default_factory=dict)

    def check(self) -> None:
        """Refuse a folder that cannot be written, or that holds something else.

        Raises:
            UsageError: the folder holds files that are no site of this kind.
            HarnessError: it cannot be written.
        """
        check_no_file(self.path, "--to")
        if self.path.is_dir() and any(self.path.iterdir()) and self._earlier() is None:
            raise UsageError(
                f"--to {self.path} holds files that are no {self.kind}, which are not replaced; "
                "name another folder"
            )
        make_folder(self.path)
        check_writable(self.path, "--to")

    def write(self, name: str, text: str) -> Path:
        """Write a text file atomically."""
        path = self._place(name)
        write_bytes(path, text.encode())
        return path

    def write_assets(self) -> None:
        """Write the style sheet and the script."""
        for name in ASSETS:
            self.write(f"assets/{name}", (_OWN_FOLDER / name).read_text(encoding="utf-8"))

    def copy(self, source: Path, name: str) -> None:
        """Put a file below the site: a hard link where the disk can, else a copy."""
        path = self._place(name)
        if _is_same(source, path):
            return
        make_folder(path.parent)
        temporary = temporary_path(path)
        try:
            os.link(source, temporary)
        except OSError:
            write_bytes(path, source.read_bytes())
            return
        temporary.replace(path)
        # Replacing a file by another link to it leaves both names.
        with contextlib.suppress(OSError):
            temporary.unlink()

    def make(self, source: Path, name: str, convert: Callable[[Path], bytes]) -> None:
        """Write what ``convert`` makes of a file, unless that is there and newer."""
        path = self._place(name)
        if path.exists() and path.stat().st_mtime_ns >= source.stat().st_mtime_ns:
            return
        write_bytes(path, convert(source))

    def finish(self) -> None:
        """Write the list of files, and remove those of an earlier site that this one lacks."""
        earlier = self._earlier() or []
        write_json(self.path / LISTING, {"kind": self.kind, "files": list(self.names)})
        for name in earlier:
            if name not in self.names and _is_inside(self.path, name):
                with contextlib.suppress(OSError):
                    (self.path / name).unlink()
                _remove_empty(self.path, (self.path / name).parent)

    def start(self) -> None:
        """Write the list of files before anything else, so that a stopped site is known as one."""
        earlier = self._earlier() or []
        write_json(self.path / LISTING, {"kind": self.kind, "files": earlier})

    def _earlier(self) -> list[str] | None:
        """Return the files of the site that is there, None if there is none of this kind."""
        listing = self.path / LISTING
        if not listing.is_file():
            return None
        content = read_json_object(listing)
        files = content.get("files")
        if content.get("kind") != self.kind or not isinstance(files, list):
            return None
        return [name for name in files if isinstance(name, str)]

    def _place(self, name: str) -> Path:
        if not _is_inside(self.path, name):
            raise HarnessError(f"{self.path / name} would lie outside the site; remove links there")
        self.names[name] = None
        return self.path / name


def data_script(name: str, content: Any) -> str:
    """Return a script that hands ``content`` to the page: a page from disk may not fetch JSON.

    Text never ends the script or begins a tag, whatever it holds.
    """
    text = json.dumps(content, ensure_ascii=True, separators=(",", ":"))
    return f'site.receive("{name}",{text.replace("<", chr(92) + "u003c")});\n'


def _is_inside(folder: Path, name: str) -> bool:
    parts = PurePosixPath(name).parts
    if not parts or PurePosixPath(name).is_absolute() or ".." in parts:
        return False
    return (folder / name).parent.resolve().is_relative_to(folder.resolve())


def _is_same(source: Path, path: Path) -> bool:
    if not path.exists():
        return False
    if path.samefile(source):
        return True
    one, other = source.stat(), path.stat()
    return one.st_size == other.st_size and source.read_bytes() == path.read_bytes()


def _remove_empty(root: Path, folder: Path) -> None:
    while folder != root and folder.is_relative_to(root):
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent
