"""Bad values of flags: methods with options, seeds, sizes, names, numbers, paths."""

from __future__ import annotations

import random
from pathlib import Path

from benchmarks.bad_bytes.case import Case, Expected
from benchmarks.bad_bytes.payloads import CONTROL, INJECTIONS, PATHS
from benchmarks.bad_bytes.whole import RUN

_NO_NUMBER = (
    *("", " ", "nan", "inf", "-inf", "1e400", "one", "1,5", "0x", "--", "²", "½", "1 2", "None"),
    *("true", "yes", "1e", "{}", "[1]", "1;2", "$(touch MARK)", "1_", "٣٤", "+", "-"),
)
_TOO_LARGE = ("9" * 40, "9" * 5000, "1" + "0" * 309)
_ODD_NUMBERS = ("-1", "0", "-0", "1e3", "1.5", "007", "1_0", " 3 ", "+3", str(2**31), str(2**63))

_METHODS = (
    *(":", "::", "nafnet:", "nafnet:=", "nafnet:width", "nafnet:width=", "nafnet:=8", "nafnet::"),
    *("nafnet:width=8:width=16", "nafnet:__class__=x", "nafnet:width=1e3", "nafnet:width=nan"),
    *("nafnet:width=-8", "nafnet:width=0", "nafnet:width=" + "9" * 30, "nafnet:width=true"),
    *("nafnet:width='8", 'nafnet:width="8"x', "nafnet:width=8;9", "nafnet:width=[8]", "nafnet;cpl"),
    *(
        "cpl:top_k=0",
        "cpl:top_k=-1",
        "cpl:top_k=nan",
        "cpl:top_k=1e99",
        "cpl:top_k=None",
        "cpl:top_k=inf",
    ),
    *(
        "cpl:topk=2",
        "cpl:top_k=2:top_k=3",
        "cpl:cpr_form=x",
        "promptir:=",
        "NAFNET",
        "nafnet ",
        " ",
    ),
    *(
        ",",
        ",,",
        "nafnet,,nafnet",
        "nafnet,nafnet:width=8",
        "../nafnet",
        "nafnet/../cpl",
        "os.system",
    ),
    *(
        "spandrel:checkpoint=/etc/passwd",
        "spandrel:checkpoint=",
        "spandrel:checkpoint='a,b'",
        "spandrel",
    ),
    *(
        "spandrel:checkpoint=quick.yaml",
        "spandrel:checkpoint=/dev/null",
        "spandrel:checkpoint=.",
        "*",
    ),
    *(
        "nafnet:middle_blocks=999999999",
        "nafnet:encoder_blocks=1,1,1,1,1,1,1,1,1,1,1,1,1,1,1",
        "cpl:cpr_temperature=nan",
    ),
    *(
        "nafnet:encoder_blocks=",
        "nafnet:encoder_blocks=none",
        "restormer:dim=" + "9" * 20,
        "explicit:classifier=x",
    ),
)

_NUMBER_FLAGS = {
    "run": ("--limit", "--jobs", "--workers", "--threads", "--crop-multiple"),
    "compare": ("--extremes",),
    "tune": ("--trials", "--steps", "--seed"),
    "table": ("--max-params",),
    "prune": ("--older-than",),
    "restore": ("--memory", "--tile-px", "--overlap-px", "--quality", "--threads"),
    "score": ("--workers",),
    "figure": ("--rows",),
}
_TEXT_FLAGS = {
    "run": (
        *("--setting", "--recipe", "--seeds", "--metrics", "--show", "--columns", "--decimals"),
        *(
            "--label",
            "--config",
            "--include",
            "--plugin",
            "--init-from",
            "--protocol",
            "--launcher",
        ),
        *(
            "--noise-rounding",
            "--noise-stream",
            "--test-set",
            "--keep-images",
            "--device",
            "--tracker",
        ),
        *(
            "--train-set",
            "--clean-images",
            "--data-root",
            "--import",
            "--methods",
            "--slurm-options",
        ),
    ),
    "ablate": ("--study", "--base", "--spread", "--style"),
    "table": ("--style", "--source", "--years", "--types", "--show", "--columns", "--decimals"),
    "compare": ("--ranks", "--against", "--spread", "--methods"),
    "figure": ("--images", "--crop", "--width"),
    "score": ("--protocol", "--metrics", "--pairing", "--pair-template", "--restored", "--clean"),
    "evaluate": (
        "--checkpoint",
        "--spandrel",
        "--architecture",
        "--entry",
        "--prefix",
        "--ignore",
        "--required",
        "--prompt-maps",
    ),
    "convert": (
        "--checkpoint",
        "--method",
        "--entry",
        "--prefix",
        "--ignore",
        "--size",
        "--setting",
    ),
    "restore": (
        "--format",
        "--prompt",
        "--run",
        "--checkpoint",
        "--method",
        "--required",
        "--setting",
        "--device",
        "--input",
    ),
    "exec": ("--plan", "--device"),
    "plan": ("--setting", "--recipe", "--methods"),
    "validate": ("--as", "--include", "--plugin"),
    "audit": ("--setting",),
    "leaderboard": ("--results",),
    "data": ("--data-root",),
}
_BASE: dict[str, tuple[str, ...]] = {
    "run": ("run", *RUN, "--dry-run"),
    "ablate": ("ablate", "--recipe", "quick.yaml", "--dry-run", "--out", "out"),
    "tune": ("tune", "--methods", "nafnet", "--recipe", "quick.yaml", "--dry-run", "--out", "out"),
    "table": ("table", *RUN),
    "compare": ("compare", *RUN),
    "figure": ("figure", "nothing", *RUN),
    "score": ("score", "--restored", "restored", "--clean", "clean"),
    "evaluate": ("evaluate", "--recipe", "quick.yaml", "--dry-run", "--out", "out"),
    "convert": ("convert", "--to", "new/x.safetensors"),
    "restore": ("restore", "--out", "out", "--output", "new"),
    "exec": ("exec", "no-such-run"),
    "plan": ("plan", *RUN, "--to", "new/plan.json"),
    "validate": ("validate", "quick.yaml"),
    "audit": ("audit",),
    "leaderboard": ("leaderboard", "--to", "new"),
    "prune": ("runs", "prune", "--out", "out", "--older-than", "1000"),
    "data": ("data", "check", "cbsd68"),
}
_NEEDED = {
    "evaluate": ("--checkpoint", "nafnet.safetensors"),
    "convert": ("--checkpoint", "nafnet.safetensors"),
    "restore": ("--run", "nafnet seed 0", "--input", "restored"),
    "exec": ("--plan", "plan.json"),
}
"""Flags without which a command does not get as far as the bad one."""

_TEXTS = (
    *(
        "",
        " ",
        ",",
        ",,,",
        "=",
        "==",
        "a=",
        "=b",
        "a=b=c",
        "x",
        "none",
        "null",
        "..",
        ".",
        "/",
        "~",
    ),
    *(
        "-",
        "--",
        "0",
        "-1",
        "nan",
        "9" * 400,
        "0-",
        "-0",
        "3-1",
        "0-99999999",
        "0,0",
        "1,",
        "0x1",
        "1.0",
    ),
    *(
        "2024-",
        "-2024",
        "2025-2023",
        "99999",
        "psnr=nan",
        "psnr=-1",
        "psnr=99",
        "ssim=2.5",
        "psnr",
        "psnr=1,psnr=2",
    ),
    *(
        "0,0,0,0",
        "1,2,3",
        "-1,-1,5,5",
        "9999999,0,1,1",
        "nan,0,1,1",
        "worst:0",
        "worst:-1",
        "worst:nan",
        "worst:",
        "worst:" + "9" * 30,
    ),
    *(
        "{name",
        "{name}{name}",
        "{",
        "{}",
        "{name!r}",
        "{name.__class__}",
        "(?P<x>",
        "[",
        "*",
        "**",
        "(a+)+$",
        "\\",
    ),
    *(
        "cuda:99",
        "meta",
        "cpu:-1",
        "mps",
        "train=",
        "train=/",
        "test=/dev/null",
        "val=quick.yaml",
        "denoise=no-such",
    ),
    *(
        "quick.yaml",
        "/dev/null",
        "/dev/zero",
        "/proc/self/mem",
        "restored",
        "plan.json",
        "no/such/file.yaml",
        "x.py",
        "e" * 5000,
    ),
    *(
        "cpl;import os",
        "__import__('os')",
        "http://127.0.0.1:9/",
        "pyiqa:",
        "pyiqa:../../x",
        "lpips;id",
        "%s%n",
        "\\x00",
    ),
)


def draw(chance: random.Random, whole: Path) -> Case:
    """Draw a command, a flag of it and a bad value."""
    if chance.random() < 0.2:
        value = chance.choice(_METHODS)
        words = ("run", "--recipe", "quick.yaml", "--out", "out", "--dry-run", f"--methods={value}")
        return Case(f"--methods {value}", words, "any")
    commands = _NUMBER_FLAGS if chance.random() < 0.4 else _TEXT_FLAGS
    command = chance.choice(sorted(commands))
    flag = chance.choice(commands[command])
    expected: Expected = "any"
    if commands is _NUMBER_FLAGS:
        pool = chance.choice((_NO_NUMBER, _NO_NUMBER, _TOO_LARGE, _ODD_NUMBERS))
        value = chance.choice(pool)
        expected = "refused" if pool is _NO_NUMBER else "any"
        if flag in ("--max-params", "--older-than", "--memory") and value == "inf":
            expected = "any"
    else:
        value = _encodable(
            chance.choice(chance.choice((_TEXTS, _TEXTS, PATHS, INJECTIONS, CONTROL)))
        )
    words = (*_without(command, flag), f"{flag}={value}")
    return Case(f"{command} {flag} {value}", words, expected)


def _without(command: str, flag: str) -> tuple[str, ...]:
    """Return a command without its own value of a flag, and with what it needs besides."""
    needed = list(_NEEDED.get(command, ()))
    if flag in needed or flag in ("--spandrel", "--checkpoint"):
        for name in (flag, "--checkpoint", "--run"):
            if name in needed and (name == flag or flag in ("--spandrel", "--checkpoint")):
                place = needed.index(name)
                del needed[place : place + 2]
    return (*_BASE[command], *needed)


def _encodable(value: str) -> str:
    """Return a value as a command line can hold it: without NUL."""
    return value.replace("\0", "\\0")
