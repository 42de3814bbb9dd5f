"""Figures of what is stored of a plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from harness.api.images import keep_images
from harness.config.errors import HarnessError, UsageError
from harness.planning.command_line import command_line
from harness.planning.image_choice import Name, check_names, named_images
from harness.planning.plan import Plan
from harness.planning.request import Resources
from harness.reporting.plan_summary import is_anything_stored
from harness.reporting.table_files import table_id, table_stem

if TYPE_CHECKING:
    from harness.reporting.figures.crops import CropRule

_ROWS = 3

MOST_ROWS = 50
"""Images of one figure; at two inches each they are 2.5 metres high."""


@dataclass(frozen=True)
class FigureOptions:
    """What a figure shows and how wide it is.

    Attributes:
        images: test pairs in the rows of ``grid`` and ``errors``: IMAGE, which stands for it in
            every column, COLUMN:IMAGE, or a pair of column and image; empty takes those on which
            methods differ most.
        rows: how many of those are taken.
        crop: ``x,y,w,h`` in pixels, ``auto`` (where methods differ most) or ``none``.
        width: that of a column of a paper (3.3 in) or of a page (6.9 in); None takes what the
            kind of figure needs.
    """

    images: Sequence[str | Name] = ()
    rows: int = _ROWS
    crop: str = "auto"
    width: Literal["column", "full"] | None = None


def figure(
    plan: Plan,
    kind: str,
    options: FigureOptions | None = None,
    resources: Resources | None = None,
    **values: object,
) -> list[Path]:
    """Draw a figure of what is stored of a plan, and return its files, PNG and PDF.

    Restored images that a figure shows and that are not kept yet are made from the weights.

    Example::

        harness.figure(plan, "grid", images=["derain:rain-001"], crop="40,60,64,64")

    Args:
        plan: whose runs are shown.
        kind: ``grid``, ``errors``, ``scatter``, ``differences``, ``curves``, ``routing``, ``swap``,
            ``cost`` or ``steps``.
        options: what is shown and how.
        resources: what the restoring of missing images may use.
        values: fields of :class:`FigureOptions` instead.

    Raises:
        UsageError: no such figure, option, image or column, or a crop outside an image.
        HarnessError: nothing is stored that the figure could show; says what to run.
    """
    from harness.reporting.figures.crops import parse_crop
    from harness.reporting.figures.registry import figure_module
    from harness.reporting.figures.request import FigureRequest
    from harness.reporting.figures.style import paper_style, save
    from harness.reporting.wording import worded

    module = figure_module(kind)
    chosen = options or _options(values)
    if chosen.images and not module.NEEDS_IMAGES:
        raise UsageError(f"figure {kind} shows no images; leave --images out")
    crop = parse_crop(chosen.crop)
    names = _names(plan, chosen.images)
    shown = worded(plan)
    width_in = _width_in(chosen.width)
    if module.NEEDS_SCORES:
        check_stored(plan)
    if module.NEEDS_IMAGES:
        names = _shown_names(plan, names, chosen.rows, crop)
        keep_images(plan, names, resources)
    with paper_style():
        drawn = module.draw(FigureRequest(shown, width_in, names, crop))
    identity = table_id(plan, figure=kind, options={**asdict(chosen), "images": names})
    return save(drawn, plan.out / "figures" / table_stem(plan, identity, kind))


def figure_kinds() -> list[str]:
    """Return the names of all kinds of figures."""
    from harness.reporting.figures.registry import FIGURES

    return sorted(FIGURES)


def check_stored(plan: Plan) -> None:
    """Refuse a plan of which nothing is stored.

    Raises:
        HarnessError: says how it is computed.
    """
    if is_anything_stored(plan):
        return
    raise HarnessError(
        f"{plan.out} holds no scores of these methods on {plan.request.setting} with recipe "
        f"{plan.request.recipe}; compute them with: {command_line('run', plan.request)}"
    )


def left_out_note(plan: Plan, kind: str) -> str:
    """Return which methods or runs a kind of figure leaves out, and why; empty if none."""
    from harness.reporting.figures.registry import figure_module

    names, lacking = figure_module(kind).left_out(plan)
    if not names:
        return ""
    return f"{plan.out} holds {lacking} of {', '.join(names)}; the figure is without them"


def _width_in(width: str | None) -> float | None:
    """Return a width in inches; None for what the kind of figure needs.

    Raises:
        UsageError: there is no such width.
    """
    from harness.reporting.figures.style import WIDTHS_IN

    if width is not None and width not in WIDTHS_IN:
        raise UsageError(f"a figure has no width '{width}'; choose {' or '.join(WIDTHS_IN)}")
    return None if width is None else WIDTHS_IN[width]


def _check_crop(plan: Plan, names: Sequence[Name], crop: CropRule) -> None:
    """Refuse a crop that reaches over the edge of an image, before anything is restored."""
    from harness.reporting.figures.crops import Box, check_inside

    if not isinstance(crop, Box):
        return
    pairs = plan.source.pairs(plan.test)
    for column, image in names:
        check_inside(crop, pairs.make(column, image).clean, f"image {image} ({column})")


def _options(values: dict[str, object]) -> FigureOptions:
    try:
        return FigureOptions(**values)  # type: ignore[arg-type]
    except TypeError as error:
        raise UsageError(
            "a figure has the options images, rows, crop and width, and no other"
        ) from error


def _shown_names(
    plan: Plan, names: tuple[Name, ...], rows: int, crop: CropRule
) -> tuple[Name, ...]:
    """Return what is named, or of how many rows methods differ most.

    Raises:
        UsageError: no page holds so many, or the crop reaches over the edge of one.
    """
    from harness.reporting.figures.shown_images import most_disputed

    count = len(names) or rows
    if count > MOST_ROWS:
        raise UsageError(
            f"a figure shows at most {MOST_ROWS} images, not {count}; name fewer with --images, or "
            "look at all of them with: python -m harness report"
        )
    shown = names or tuple(most_disputed(plan, rows))
    _check_crop(plan, shown, crop)
    return shown


def _names(plan: Plan, images: Sequence[str | Name]) -> tuple[Name, ...]:
    """Return column and image of what is named, each once."""
    found: list[Name] = []
    for image in [images] if isinstance(images, str) else images:
        if isinstance(image, str):
            found += named_images(plan.test, [image])
        else:
            check_names(plan.test, [image])
            found.append(image)
    return tuple(dict.fromkeys(found))
