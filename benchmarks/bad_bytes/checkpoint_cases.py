"""Bad files of weights: payloads, bombs, lies about lengths, values no network can have."""

from __future__ import annotations

import io
import json
import pickle
import random
import struct
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.bad_bytes.case import Case, Expected, nothing
from benchmarks.bad_bytes.payloads import CONTROL, Runs
from benchmarks.bad_bytes.whole import RUN, run_folder

Make = Callable[[bytes, Any, random.Random], bytes]
"""Makes a bad file of the whole safetensors file, its tensors, and chance."""


def draw(chance: random.Random, whole: Path) -> Case:
    """Draw a bad file of weights and the command that reads it."""
    pools = {".safetensors": _SAFETENSORS, ".pth": _TORCH}
    suffix = chance.choice(sorted(pools))
    name = chance.choice(sorted(pools[suffix]))
    expected, make = pools[suffix][name]
    seed = chance.random()
    if chance.random() < 0.2:
        return _own(name, suffix, expected, partial(_replace_own, make=make, seed=seed), chance)
    file = f"net{chance.choice((suffix, suffix, '.ckpt'))}"
    flags = ("--checkpoint", file, "--method", "nafnet")
    words = chance.choice(
        (
            ("convert", *flags, "--size", "tiny", "--to", "new/x.safetensors"),
            ("convert", *flags, "--size", "tiny", "--to", "new/x.safetensors"),
            ("evaluate", *flags, "--recipe", "quick.yaml", "--out", "out", "--threads", "1"),
            (
                "restore",
                *flags,
                "--input",
                "restored/image0.png",
                "--output",
                "new",
                "--threads",
                "1",
            ),
            (
                "evaluate",
                "--spandrel",
                file,
                "--recipe",
                "quick.yaml",
                "--out",
                "out",
                "--threads",
                "1",
            ),
        )
    )
    if expected == "same" or words[0] == "restore":
        expected = "any"
    harm = partial(_make_file, file=file, make=make, seed=seed)
    return Case(f"weights: {name}", words, expected, (file,), nothing, harm)


def _make_file(work: Path, file: str, make: Make, seed: float) -> None:
    from safetensors.torch import load_file

    whole = work / "nafnet.safetensors"
    (work / file).write_bytes(make(whole.read_bytes(), load_file(whole), random.Random(seed)))


def _own(name: str, suffix: str, expected: Expected, harm: Any, chance: random.Random) -> Case:
    """Let a run's own weights, or the state of an unfinished training, be the bad file."""
    if suffix == ".pth":
        words = ("run", "--methods", "nafnet", *RUN[2:], "--threads", "1")
        return Case(
            f"checkpoint.pt: {name}",
            words,
            "any",
            (),
            nothing,
            partial(harm, target="checkpoint.pt"),
        )
    words = ("run", "--methods", "nafnet", *RUN[2:], "--test-set", "ood-noise", "--threads", "1")
    wrong = "any" if expected == "same" else expected
    return Case(
        f"weights of a run: {name}",
        words,
        wrong,
        ("weights",),
        nothing,
        partial(harm, target="weights.safetensors"),
    )


def _replace_own(work: Path, make: Make, seed: float, target: str) -> None:
    from safetensors.torch import load_file

    folder = run_folder(work, "nafnet")
    whole = folder / "weights.safetensors"
    data = make(whole.read_bytes(), load_file(whole), random.Random(seed))
    if target == "checkpoint.pt":
        whole.unlink()
        (folder / "results.jsonl").unlink()
    (folder / target).write_bytes(data)


# safetensors


def _header(data: bytes) -> tuple[dict[str, Any], bytes]:
    length = int.from_bytes(data[:8], "little")
    header: dict[str, Any] = json.loads(data[8 : 8 + length])
    return header, data[8 + length :]


def _joined(header: Any, values: bytes) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + values


def _with_header(change: Callable[[dict[str, Any], random.Random], object]) -> Make:
    def make(data: bytes, state: Any, chance: random.Random) -> bytes:
        header, values = _header(data)
        header.pop("__metadata__", None)  # with it the checksum
        change(header, chance)
        return _joined(header, values)

    return make


def _some(header: dict[str, Any], chance: random.Random) -> dict[str, Any]:
    found: dict[str, Any] = header[chance.choice(sorted(header))]
    return found


def _offsets(header: dict[str, Any], chance: random.Random) -> None:
    _some(header, chance)["data_offsets"] = chance.choice(
        ([0, 2**40], [-4, 0], [8, 4], [0, 2**63], "x", [], [0, 4, 8], None, [0.5, 4.5], [0, 1])
    )


def _shape(header: dict[str, Any], chance: random.Random) -> None:
    _some(header, chance)["shape"] = chance.choice(
        ([2**31, 2**31], [-1], [0], [10**18] * 5, "x", None, [1.5], [], [1] * 100, [2**64])
    )


def _kind(header: dict[str, Any], chance: random.Random) -> None:
    _some(header, chance)["dtype"] = chance.choice(
        ("I8", "F64", "F4", "X", "", None, 3, "BOOL", "F8_E4M3")
    )


def _name(header: dict[str, Any], chance: random.Random) -> None:
    name = chance.choice(sorted(header))
    header[chance.choice((*CONTROL[:1], "", "x" * 10**5, "../../x", "__metadata__", "a\nb"))] = (
        header.pop(name)
    )


def _metadata(header: dict[str, Any], chance: random.Random) -> None:
    header["__metadata__"] = chance.choice(
        (
            {"method": "../../x", "options": "{}"},
            {"method": "nafnet", "options": "[" * 10**5},
            {"a": 1},
            "x",
            [],
            {"method": "\x1b[31m", "options": "{}"},
            {"method": "nafnet", "options": '{"width": 1e99}'},
        )
    )


def _values(change: Callable[[Any, random.Random], Any]) -> Make:
    def make(data: bytes, state: Any, chance: random.Random) -> bytes:
        from safetensors.torch import save

        return save(
            {key: value.contiguous() for key, value in _changed(state, change, chance).items()}
        )

    return make


def _changed(state: Any, change: Callable[[Any, random.Random], Any], chance: random.Random) -> Any:
    found = dict(state)
    key = chance.choice(sorted(found))
    found[key] = change(found[key].clone(), chance)
    return found


def _not_finite(value: Any, chance: random.Random) -> Any:
    value.view(-1)[chance.randrange(value.numel())] = chance.choice(
        (float("nan"), float("inf"), float("-inf"))
    )
    return value


def _other_shape(value: Any, chance: random.Random) -> Any:
    import torch

    return chance.choice((value.reshape(-1)[1:], torch.zeros(0), value[None], torch.zeros(3, 3, 3)))


def _other_kind(value: Any, chance: random.Random) -> Any:
    import torch

    return value.to(chance.choice((torch.int64, torch.bool, torch.uint8)))


def _cut(data: bytes, state: Any, chance: random.Random) -> bytes:
    return data[: chance.randrange(1, len(data) - 1)]


def _byte(data: bytes, state: Any, chance: random.Random) -> bytes:
    changed = bytearray(data)
    changed[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(changed)


_SAFETENSORS: dict[str, tuple[Expected, Make]] = {
    "cut off": ("refused", _cut),
    "a bit changed": ("refused", _byte),
    "nothing": ("refused", lambda data, state, chance: b""),
    "random bytes": ("refused", lambda data, state, chance: chance.randbytes(1000)),
    "a header of 2^63 bytes": (
        "refused",
        lambda data, state, chance: struct.pack("<Q", 2**63) + b"{" + data,
    ),
    "a header of 90 MB": (
        "refused",
        lambda data, state, chance: struct.pack("<Q", 90_000_000) + b"{" + data,
    ),
    "a header of no JSON": (
        "refused",
        lambda data, state, chance: struct.pack("<Q", 8) + b"{\xff\0\0\0\0\0}" + data,
    ),
    "a deep header": (
        "refused",
        lambda data, state, chance: struct.pack("<Q", 200_000) + b'{"a":' * 40_000 + data,
    ),
    "a header that is a list": ("refused", lambda data, state, chance: _joined([1, 2], b"")),
    "an empty header": ("refused", lambda data, state, chance: _joined({}, b"")),
    "other offsets": ("refused", _with_header(_offsets)),
    "another shape in the header": ("refused", _with_header(_shape)),
    "another kind in the header": ("refused", _with_header(_kind)),
    "another name": ("refused", _with_header(_name)),
    "other metadata": ("any", _with_header(_metadata)),
    "values that are not finite": ("refused", _values(_not_finite)),
    "another shape": ("refused", _values(_other_shape)),
    "another kind": ("refused", _values(_other_kind)),
    "a longer file": ("refused", lambda data, state, chance: data + b"\0" * 1000),
}


# torch.save


def _saved(content: Any, **more: Any) -> bytes:
    import torch

    buffer = io.BytesIO()
    torch.save(content, buffer, **more)
    return buffer.getvalue()


def _repacked(data: bytes, change: Callable[[str, bytes], list[tuple[str, bytes]]]) -> bytes:
    """Return a zip file with other parts."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(target, "w") as parts:
        for name in source.namelist():
            for other, content in change(name, source.read(name)):
                parts.writestr(other, content)
    return target.getvalue()


def _payload_in_parts(data: bytes, state: Any, chance: random.Random) -> bytes:
    def change(name: str, content: bytes) -> list[tuple[str, bytes]]:
        if name.endswith("data.pkl"):
            return [
                (
                    name,
                    pickle.dumps({"state_dict": Runs(chance.choice(("system", "exec", "eval")))}),
                )
            ]
        return [(name, content)]

    return _repacked(_saved(dict(state)), change)


def _bomb(data: bytes, state: Any, chance: random.Random) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as parts:
        for name in zipfile.ZipFile(io.BytesIO(_saved(dict(state)))).namelist()[:3]:
            parts.writestr(name, b"\0")
        with parts.open("archive/data/9", "w", force_zip64=True) as part:
            for _ in range(chance.choice((300, 3000))):
                part.write(bytes(2**20))
    return target.getvalue()


def _slip(data: bytes, state: Any, chance: random.Random) -> bytes:
    def change(name: str, content: bytes) -> list[tuple[str, bytes]]:
        return [(name, content), (f"../../outside/{Path(name).name}", content)]

    return _repacked(_saved(dict(state)), change)


def _part_short(data: bytes, state: Any, chance: random.Random) -> bytes:
    return _repacked(
        _saved(dict(state)),
        lambda name, content: [
            (name, content[: len(content) // 2] if "/data/" in name else content)
        ],
    )


def _legacy_payload(data: bytes, state: Any, chance: random.Random) -> bytes:
    return _saved({"state_dict": dict(state), "x": Runs()}, _use_new_zipfile_serialization=False)


def _script(data: bytes, state: Any, chance: random.Random) -> bytes:
    import torch

    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Conv2d(3, 3, 1)), buffer)
    return buffer.getvalue()


def _torch_values(change: Callable[[Any, random.Random], Any]) -> Make:
    return lambda data, state, chance: _saved(_changed(state, change, chance))


def _loop(data: bytes, state: Any, chance: random.Random) -> bytes:
    content: dict[str, Any] = {}
    content["model"] = content
    return _saved(content)


def _deep(data: bytes, state: Any, chance: random.Random) -> bytes:
    content: dict[str, Any] = dict(state)
    for _ in range(chance.choice((6, 200))):
        content = {"model": content}
    return _saved(content)


def _odd_keys(data: bytes, state: Any, chance: random.Random) -> bytes:
    content: dict[Any, Any] = dict(state)
    key = chance.choice((0, None, (1, 2), "", "x\x1b[31m", b"x", 1.5, "x" * 10**5))
    content[key] = content.pop(chance.choice(sorted(state)))
    return _saved(content)


def _expanded(value: Any, chance: random.Random) -> Any:
    """A tensor of terabytes over one number."""
    import torch

    return torch.zeros(1).expand(2**20, 2**20)


_TORCH: dict[str, tuple[Expected, Make]] = {
    "a payload": (
        "refused",
        lambda data, state, chance: _saved({"state_dict": dict(state), "x": Runs()}),
    ),
    "a payload alone": ("refused", lambda data, state, chance: _saved(Runs("exec"))),
    "a plain pickle": (
        "refused",
        lambda data, state, chance: pickle.dumps(Runs(), protocol=chance.randrange(5)),
    ),
    "a payload in the parts": ("refused", _payload_in_parts),
    "a payload of the old format": ("refused", _legacy_payload),
    "a bomb": ("refused", _bomb),
    "names that lead elsewhere": ("any", _slip),
    "parts cut short": ("refused", _part_short),
    "cut off": ("refused", lambda data, state, chance: _cut(_saved(dict(state)), state, chance)),
    "a bit changed": ("any", lambda data, state, chance: _byte(_saved(dict(state)), state, chance)),
    "the old format cut off": (
        "refused",
        lambda data, state, chance: _cut(
            _saved(dict(state), _use_new_zipfile_serialization=False), state, chance
        ),
    ),
    "a bit of the old format changed": (
        "any",
        lambda data, state, chance: _byte(
            _saved(dict(state), _use_new_zipfile_serialization=False), state, chance
        ),
    ),
    "a script": ("refused", _script),
    "values that are not finite": ("refused", _torch_values(_not_finite)),
    "another shape": ("refused", _torch_values(_other_shape)),
    "another kind": ("refused", _torch_values(_other_kind)),
    "a tensor of terabytes": ("refused", _torch_values(_expanded)),
    "a dictionary that holds itself": ("refused", _loop),
    "deep dictionaries": ("any", _deep),
    "odd keys": ("refused", _odd_keys),
    "a list": ("refused", lambda data, state, chance: _saved([1, 2, 3])),
    "numbers": ("refused", lambda data, state, chance: _saved({"state_dict": {"a": 1}})),
    "a whole network": (
        "refused",
        lambda data, state, chance: _saved(__import__("torch").nn.Conv2d(3, 3, 1)),
    ),
    "an empty zip": ("refused", lambda data, state, chance: b"PK\x05\x06" + bytes(18)),
}
