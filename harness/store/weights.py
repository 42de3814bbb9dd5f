"""Files of weights as far as they can be known without a network: their header and checksum.

A safetensors file begins with the length of its header and the header, JSON with the place of each
tensor and ``__metadata__``, text of one's own. Files of this project carry there the hash of all
the rest, so that damage is seen, and have one order of keys, so that equal weights are equal bytes.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness.config.errors import HarnessError
from harness.store.files import write_bytes

_LENGTH_BYTES = 8
"""A safetensors file begins with the length of its header, a little-endian number."""

_METADATA = "__metadata__"
_CHECKSUM = "content_sha256"


def read_metadata(path: Path) -> Mapping[str, str]:
    """Return the text that a safetensors file carries; nothing for other files.

    Raises:
        HarnessError: the file calls itself safetensors and is damaged.
    """
    if path.suffix != ".safetensors":
        return {}
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            return file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise HarnessError(f"checkpoint {path} is no readable safetensors file: {error}") from error


def metadata_options(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    """Return the options that a file of weights carries; {} where it carries none.

    Raises:
        HarnessError: they are no JSON object.
    """
    try:
        found = json.loads(metadata.get("options", "{}"))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise HarnessError(
            f"checkpoint {path} is damaged: the options in its metadata are no JSON object; fetch "
            "it again, or name its method with --method"
        )
    return found


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


def check_zip(path: Path, advice: str) -> None:
    """Check the checksums in a file of ``torch.save``, which torch itself does not look at.

    Files of the format before PyTorch 1.6 are no zip files and have none.

    Raises:
        HarnessError: a part of the file is damaged; ends with ``advice``.
    """
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as file:
            damaged = file.testzip()
    except Exception as error:  # damage shows in many ways
        raise HarnessError(f"{path} cannot be read ({error}); {advice}") from error
    if damaged is not None:
        raise HarnessError(
            f"{path} cannot be read (the checksum of its part {damaged} differs); {advice}"
        )


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
