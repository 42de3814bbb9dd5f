"""The files of weights that pyiqa's metrics read: where they lie, their origin, their state.

Nothing is downloaded here. pyiqa and torchvision would fetch a file the moment a metric is made,
which hangs or fails in many ways without a network; so what is missing is named before anything is
computed, with the command that fetches it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shlex
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

from harness.config.errors import HarnessError, reason_of

_PYIQA = "https://huggingface.co/chaofengc/IQA-PyTorch-Weights/resolve/main/"
"""Where pyiqa.archs.arch_util.get_url_from_name points to."""

_TORCHVISION = "https://download.pytorch.org/models/"

_HASHED = re.compile(r"-([0-9a-f]{8})\.pth")
"""How torch.hub names a file: by the first digits of its SHA-256."""

_NO_WEIGHTS = (b"<", b"version https://git-lfs")
"""How a web page and a pointer of Git LFS begin."""


@dataclass(frozen=True)
class WeightFile:
    """One file that a metric reads.

    Attributes:
        name: of the file.
        folder: below torch's hub folder: ``pyiqa``, or torchvision's ``checkpoints``.
    """

    name: str
    folder: Literal["pyiqa", "checkpoints"] = "pyiqa"

    @property
    def url(self) -> str:
        """The address that it is published at."""
        return (_PYIQA if self.folder == "pyiqa" else _TORCHVISION) + self.name

    @property
    def path(self) -> Path:
        """Where pyiqa looks for it on this machine."""
        return hub_folder() / self.folder / self.name


_ALEXNET = WeightFile("alexnet-owt-7be5be79.pth", "checkpoints")
_VGG16 = WeightFile("vgg16-397923af.pth", "checkpoints")
_INCEPTION = WeightFile("pt_inception-2015-12-05-6726825d.pth")

WEIGHTS: Mapping[str, tuple[WeightFile, ...]] = {
    "lpips": (WeightFile("LPIPS_v0.1_alex-df73285e.pth"), _ALEXNET),
    "lpips-vgg": (WeightFile("LPIPS_v0.1_vgg-a78928a0.pth"), _VGG16),
    "dists": (WeightFile("DISTS_weights-f5e65c96.pth"), _VGG16),
    "niqe": (WeightFile("niqe_modelparameters.mat"),),
    "musiq": (WeightFile("musiq_koniq_ckpt-e95806b9.pth"),),
    "fid": (_INCEPTION,),
}
"""The files of the metrics that are asked for most, by pyiqa's name (version 0.1)."""


def hub_folder() -> Path:
    """Return torch's hub folder, as torch.hub.get_dir finds it, without importing torch."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"))
    home = Path(os.environ.get("TORCH_HOME", cache / "torch"))
    with contextlib.suppress(RuntimeError):  # no home folder is known
        home = home.expanduser()
    return home / "hub"


def check_weights(names: Iterable[str]) -> None:
    """Refuse metrics whose files are known and not there, or are no weights.

    Raises:
        HarnessError: names every such file, its folder and the command that fetches it.
    """
    metrics: dict[str, None] = {}
    missing: dict[WeightFile, None] = {}
    for name in names:
        for file in WEIGHTS.get(name, ()):
            if not file.path.is_file():
                metrics[name] = missing[file] = None
    if missing:
        found = [(file.url, file.path) for file in missing]
        raise HarnessError(missing_sentence(list(metrics), found))
    for name in names:
        for file in WEIGHTS.get(name, ()):
            reason = _damage(file)
            if reason:
                raise HarnessError(_damaged_sentence(name, file, reason))


def refuse_unreadable(name: str) -> None:
    """Name the first file of a metric that cannot be read; nothing where all of them can.

    Raises:
        HarnessError: names the file, what is wrong, and the command that fetches it again.
    """
    for file in WEIGHTS.get(name, ()):
        try:
            _read(file.path)
        except Exception as error:  # readers fail in many ways
            raise HarnessError(_damaged_sentence(name, file, reason_of(error))) from error


def missing_sentence(metrics: Sequence[str], files: Sequence[tuple[str, Path]]) -> str:
    """Return the sentence about files, by address and path, that are not there."""
    quoted = ", ".join(f"'{name}'" for name in metrics)
    verb = "metrics {} need" if len(metrics) > 1 else "metric {} needs"
    names = " and ".join(f"{path.name} in {path.parent}" for _, path in files)
    return (
        f"{verb.format(quoted)} weights that are not on this machine, {names}; fetch them with "
        f"'{_command(files)}' (TORCH_HOME names another folder), or leave it out of --metrics"
    )


def _damaged_sentence(name: str, file: WeightFile, reason: str) -> str:
    return (
        f"metric '{name}': the weights {file.path} are damaged ({reason}); fetch them again with "
        f"'{_command([(file.url, file.path)])}', or leave it out of --metrics"
    )


def _command(files: Sequence[tuple[str, Path]]) -> str:
    words = ["curl", "-fL", "--create-dirs"]
    for url, path in files:
        words += ["-o", str(path), url]
    return shlex.join(words)


def _damage(file: WeightFile) -> str:
    """Return what is wrong with a file without loading it; empty where nothing is seen."""
    with file.path.open("rb") as opened:
        begin = opened.read(64)
    if not begin:
        return "it is empty"
    if begin.lstrip().startswith(_NO_WEIGHTS):
        return "it is a web page or a pointer, not the file"
    hashed = _HASHED.search(file.name)
    # pyiqa's own names carry digits of whose origin nothing is said.
    if hashed is None or file not in (_ALEXNET, _VGG16, _INCEPTION):
        return ""
    with file.path.open("rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    return "" if found.startswith(hashed[1]) else f"its SHA-256 does not begin with {hashed[1]}"


def _read(path: Path) -> None:
    if path.suffix == ".mat":
        from scipy.io import loadmat

        loadmat(path)
        return
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
        if broken is not None:
            raise HarnessError(f"{broken} in it has another checksum")
    import torch

    torch.load(path, map_location="cpu", weights_only=True)


class MissingFileError(Exception):
    """A library was about to download a file.

    Attributes:
        url: its address.
        path: where it would be put.
    """

    def __init__(self, url: str, path: Path) -> None:
        super().__init__(f"{path} is missing")
        self.url, self.path = url, path


@contextlib.contextmanager
def without_downloads() -> Iterator[None]:
    """Have libraries raise :class:`MissingFileError` where they would download a file."""
    import huggingface_hub.constants
    import torch.hub
    from pyiqa.utils import download_util

    def refuse(url: str, dst: str, *arguments: Any, **options: Any) -> NoReturn:
        raise MissingFileError(url, Path(dst))

    places: list[tuple[Any, str, Any]] = [
        (torch.hub, "download_url_to_file", refuse),
        (download_util, "download_url_to_file", refuse),
        (huggingface_hub.constants, "HF_HUB_OFFLINE", True),
    ]
    before = [getattr(module, name) for module, name, _ in places]
    try:
        for module, name, value in places:
            setattr(module, name, value)
        yield
    finally:
        for (module, name, _), value in zip(places, before, strict=True):
            setattr(module, name, value)
