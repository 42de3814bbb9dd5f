"""Payloads that would leave a mark if anything ran them, and texts that tables and pages hold."""

from __future__ import annotations

import os
from typing import Any

MARK_COMMAND = 'touch "$BAD_BYTES_MARK"'
MARK_PYTHON = "import os; os.system('touch \"$BAD_BYTES_MARK\"')"

YAML_TAGS = (
    f"!!python/object/apply:os.system ['{MARK_COMMAND}']",
    f"!!python/object/apply:subprocess.check_output [[sh, -c, '{MARK_COMMAND}']]",
    "!!python/object/new:os.system ['touch MARK']",
    "!!python/name:os.system",
    "!!python/module:os",
    "!!python/object/apply:eval [\"open('MARK', 'w')\"]",
    "!!python/tuple [1, 2]",
    "!<tag:yaml.org,2002:python/object/apply:os.getcwd> []",
    "!unknown {a: 1}",
)


class Runs:
    """Leaves the mark when it is unpickled."""

    def __init__(self, how: str = "system") -> None:
        self.how = how

    def __reduce__(self) -> tuple[Any, ...]:
        if self.how == "system":
            return os.system, (MARK_COMMAND,)
        return (exec, (MARK_PYTHON,)) if self.how == "exec" else (eval, (f"exec({MARK_PYTHON!r})",))


INJECTIONS = (
    r"\input{/etc/passwd}",
    r"\write18{touch MARK}",
    r"}\end{tabular}\immediate\write18{id}",
    "100% & more _ $x^2$ # ~",
    "<script>document.title='MARK'</script>",
    '"><img src=x onerror=alert(1)>',
    "</title><svg onload=alert(1)>",
    "{{ 7 * 7 }} {% raw %}",
    '=HYPERLINK("http://x","y")',
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "+1+cmd",
    "-2+3",
    "a,b;c\td",
    'say "yes"',
    "| a | b |",
    "[x](javascript:alert(1))",
    "-->",
    "{evil}",
    "%(x)s {0} {x!r}",
    "\u202egnp.exe",
    "e\u0301\u200b\ufeff",
    "去雾 σ=15 🌧",
)

CONTROL = ("a\x1b[31mred", "a\nb", "a\rb", "a\x00b", "bell\x07", "a\x9b31mb", "tab\tb", "del\x7f")
"""Texts with control characters."""

PATHS = (
    *("../../outside/diary.txt", "/etc/passwd", "..", ".", "", " ", "-rf", "--help", "~nobody/x"),
    *(
        "a/../../outside/x",
        "con.",
        "x" * 300,
        "é" * 200,
        "a\nb",
        "a\x1b[31mb",
        "\udcff",
        "a b'c\"d",
    ),
    *(
        "$(touch MARK)",
        "`touch MARK`",
        "; touch MARK",
        "file:///etc/passwd",
        "http://127.0.0.1:9/x",
    ),
)
