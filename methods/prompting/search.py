"""What ``tune`` searches of prompts, routers and CPR, by method. Imports no torch.

Every range holds the method's own value and what papers and repositories of the field have. Options
of the published architecture, such as the number of prompts, are not searched.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.method.search import Choices, Interval, SearchRange

_START: dict[str, SearchRange] = {"prompt_init": Choices(("uniform", "channel-normal"))}
_SELECTION: dict[str, SearchRange] = {"top_k": Choices((1, 2, 3))}
_CPR: dict[str, SearchRange] = {
    "cpr_form": Choices(("ratio", "difference", "margin", "margin-db", "infonce")),
    "cpr_weight": Interval(5e-4, 0.2, log=True),
    "cpr_gradient": Choices(("full", "prompts", "detached")),
    "cpr_count": Interval(1, 2),
    "cpr_start": Interval(0.0, 0.5),
}
# Dense prompts leave none unselected.
_DENSE_NEGATIVES: dict[str, SearchRange] = {
    "cpr_negatives": Choices(("other-task", "running-mean"))
}
_SPARSE_NEGATIVES: dict[str, SearchRange] = {
    "cpr_negatives": Choices(("unselected", "other-task", "running-mean", "in-use"))
}
_GUIDED: dict[str, SearchRange] = {
    "router_temperature": Interval(0.1, 1.0, log=True),
    # For the default, centred inputs of the teacher; of raw ones a search had ten times as much.
    "load_balancing_weight": Interval(0.001, 0.02, log=True),
    "teacher_weight": Interval(0.01, 0.2, log=True),
}

SEARCH: Mapping[str, Mapping[str, SearchRange]] = {
    "promptir": _START,
    "explicit": _START,
    "oracle": _START,
    "spm": {**_START, **_SELECTION},
    "cpr": {**_START, **_CPR, **_DENSE_NEGATIVES},
    "cpl": {**_START, **_SELECTION, **_CPR, **_SPARSE_NEGATIVES},
    "spm-guided": {**_START, **_SELECTION, **_GUIDED},
    "cpl-guided": {**_START, **_SELECTION, **_CPR, **_SPARSE_NEGATIVES, **_GUIDED},
}
"""By method, the options that are searched; a method that is not named has its training alone."""
