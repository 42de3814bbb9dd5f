"""Files of weights as far as they can be known without a network: their header and checksum.

A safetensors file begins with the length of its header and the header, JSON with the place of each
tensor and ``__metadata__``, text of one's own. Files of this project carry there the hash of all
the rest, so that damage is seen, and have one order of keys, so that equal weights are equal bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.config.errors import HarnessError
from harness.store.files import write_bytes

_LENGTH_BYTES = 8
"""A safetensors file begins with the length of its header, a little-endian number."""

_METADATA = "__metadata__"
_CHECKSUM = "content_sha256"


_LONGEST_HEADER = 100_000_000


def begins_as_safetensors(head: bytes) -> bool:
    """Return whether a file that begins with ``head`` is laid out like safetensors."""
    length = int.from_bytes(head[:_LENGTH_BYTES], "little")
    return head[_LENGTH_BYTES : _LENGTH_BYTES + 1] == b"{" and length <= _LONGEST_HEADER


def require_all_bytes(path: Path) -> None:
    """Refuse a safetensors file that is shorter than its header says.

    Raises:
        HarnessError: the file was cut off.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_LENGTH_BYTES + 1)
        if not begins_as_safetensors(head):
            return
        expected = _LENGTH_BYTES + int.from_bytes(head[:_LENGTH_BYTES], "little")
        if size >= expected:
            header = head[_LENGTH_BYTES:] + file.read(expected - len(head))
            expected += _data_bytes(header)
    if size < expected:
        raise HarnessError(
            f"checkpoint {path} is truncated: {size} of at least {expected} bytes are there; fetch "
            "it again"
        )


def _data_bytes(header: bytes) -> int:
    """Return how many bytes of tensors a header announces; 0 if it cannot be read."""
    try:
        entries = json.loads(header)
        entries.pop("__metadata__", None)
        return max((int(entry["data_offsets"][1]) for entry in entries.values()), default=0)
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError):
        return 0


def read_metadata(path: Path) -> Mapping[str, str]:
    """Return the text that a safetensors file carries; nothing for other files.

    Raises:
        HarnessError: the file calls itself safetensors and is damaged.
    """
    if path.suffix != ".safetensors":
        return {}
    from safetensors import SafetensorError, safe_open

    try:
        require_all_bytes(path)
        with safe_open(path, framework="np") as file:
            return file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise HarnessError(f"checkpoint {path} is no readable safetensors file: {error}") from error


@dataclass(frozen=True)
class StatedMethod:
    """What a file of weights states about itself.

    Attributes:
        method: the name of the method.
        options: its options, as JSON values.
        tasks: the tasks that the network knows; None in files of other versions.
    """

    method: str
    options: Mapping[str, Any]
    tasks: tuple[str, ...] | None


def stated_method(path: Path) -> StatedMethod | None:
    """Return what a file of this project states about itself; None of other files.

    Raises:
        HarnessError: the file calls itself safetensors and is damaged, or states nonsense.
    """
    known = read_metadata(path)
    if "method" not in known or "options" not in known:
        return None
    try:
        options = json.loads(known["options"])
        tasks = json.loads(known.get("tasks", "null"))
    except (ValueError, RecursionError) as error:
        raise HarnessError(
            f"{path} states options that cannot be read ({error}); name the method with --method"
        ) from error
    has_tasks = isinstance(tasks, list) and all(isinstance(task, str) for task in tasks)
    if not isinstance(options, dict) or not (has_tasks or tasks is None):
        raise HarnessError(
            f"{path} states options or tasks of another kind than expected; name the method with "
            "--method"
        )
    return StatedMethod(known["method"], options, tuple(tasks) if has_tasks else None)


def sealed(content: bytes, metadata: Mapping[str, str]) -> bytes:
    """Return a safetensors file with ``metadata`` and the checksum of all that it holds.

    Args:
        content: a safetensors file.
        metadata: text that replaces what the file carries.
    """
    header, data = _split(content)
    header.pop(_METADATA, None)
    return _joined(header, metadata, data)


def copy_weights(
    source: Path, target: Path, metadata: Mapping[str, str], rename: Callable[[str], str]
) -> None:
    """Copy a safetensors file with other metadata and tensor names; values stay byte for byte.

    Raises:
        HarnessError: the source is damaged, or the target cannot be written.
    """
    try:
        header, data = _split(source.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise HarnessError(f"{source} is no readable safetensors file: {error}") from error
    header.pop(_METADATA, None)
    renamed = {}
    for name, place in header.items():
        renamed[rename(name)] = place
    write_bytes(target, _joined(renamed, metadata, data))


def check_content(path: Path, advice: str) -> None:
    """Compare a safetensors file with the checksum that it carries, if it carries one.

    Raises:
        HarnessError: they differ, or the file is cut off; ends with ``advice``.
    """
    try:
        header, data = _split(path.read_bytes())
        metadata = dict(header.get(_METADATA) or {})
        expected = metadata.pop(_CHECKSUM, None)
        found = _checksum({**header, _METADATA: metadata}, data)
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise HarnessError(f"{path} cannot be read ({error}); {advice}") from error
    if expected is not None and expected != found:
        raise HarnessError(f"{path} is damaged: its checksum differs; {advice}")


def _split(content: bytes) -> tuple[dict[str, Any], memoryview]:
    """Return header and data of a safetensors file; raise ValueError if it has none."""
    length = int.from_bytes(content[:_LENGTH_BYTES], "little")
    data_start = _LENGTH_BYTES + length
    if data_start > len(content):
        raise ValueError("it is cut off")
    header = json.loads(content[_LENGTH_BYTES:data_start])
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")
    return header, memoryview(content)[data_start:]


def _joined(header: Mapping[str, Any], metadata: Mapping[str, str], data: memoryview) -> bytes:
    """Return a safetensors file: keys of metadata sorted, tensors in the order of their data."""
    kept = {key: metadata[key] for key in sorted(metadata) if key != _CHECKSUM}
    tensors = dict(sorted(header.items(), key=lambda item: item[1]["data_offsets"]))
    checksum = _checksum({_METADATA: kept, **tensors}, data)
    text = _as_text({_METADATA: {**kept, _CHECKSUM: checksum}, **tensors})
    # The data begin at a multiple of eight bytes.
    text += b" " * (-len(text) % _LENGTH_BYTES)
    return b"".join([len(text).to_bytes(_LENGTH_BYTES, "little"), text, data])


def _checksum(header: Mapping[str, Any], data: memoryview) -> str:
    """Return the SHA-256 of a header without its checksum, and of the data behind it."""
    whole = hashlib.sha256(_as_text(header))
    whole.update(data)
    return whole.hexdigest()


def _as_text(header: Mapping[str, Any]) -> bytes:
    return json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
