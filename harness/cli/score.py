"""``harness score``: score a folder of restored images, whatever restored them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from harness.config.protocol_files import NamedProtocol
    from harness.config.protocols import Protocol
    from harness.evaluation.metrics.registry import Metric
    from harness.evaluation.score_folders import FileScore


def score(
    restored: Annotated[Path, typer.Option(help="Folder of restored images.")],
    clean: Annotated[Path, typer.Option(help="Folder of clean images.")],
    protocol: Annotated[
        str, typer.Option(help="Protocols of datasets/protocols, comma-separated.")
    ] = "three-task",
    metrics: Annotated[
        str, typer.Option(help="More metrics under each protocol, by full name or pyiqa's.")
    ] = "",
    pairing: Annotated[
        str, typer.Option(help="How names belong together: stem, prefix or rain.")
    ] = "stem",
    csv: Annotated[Path | None, typer.Option(help="Write every image's values here.")] = None,
    workers: Annotated[int, typer.Option(min=0, help="Threads; 0 takes every core.")] = 0,
) -> None:
    """Score restored images against clean ones under one or several protocols."""
    import sys

    import cv2

    from harness.config.files import datasets_folder
    from harness.config.protocol_files import load_protocols
    from harness.data.on_disk.pairing import pair_folders
    from harness.evaluation.metrics.registry import resolve_metrics
    from harness.evaluation.score_folders import score_files, shortened
    from harness.execution.process import cores
    from harness.execution.progress import progress_for

    cards = load_protocols(_names(protocol), datasets_folder())
    more = resolve_metrics(_names(metrics))
    known = {m.id: m for m in more}
    for card in cards:
        known |= {name: resolve_metrics([name])[0] for name in card.protocol.metrics}
    protocols = [_with(card.protocol, more) for card in cards]
    found = pair_folders(restored, clean, pairing)
    for files, what in (
        (found.restored_alone, "restored images have no clean one"),
        (found.clean_alone, "clean images have no restored one"),
    ):
        if files:
            print(f"{len(files)} {what}: {shortened([f.name for f in files])}", file=sys.stderr)

    # Images are scored side by side, one thread each.
    cv2.setNumThreads(1)
    progress = progress_for("images", live=True)
    try:
        scores = score_files(
            found.pairs, protocols, known, workers or cores(), partial(progress.images, "scored")
        )
    finally:
        progress.close()
    print(_table(scores, cards, protocols, known))
    total = len(found.pairs) + len(found.restored_alone)
    print(f"\n{len(scores)} of {total} restored images scored, means over images")
    for card in cards:
        print(f"{card.name} is {card.protocol.id}: {card.title}")
    if any(card.protocol.quantise == "none" for card in cards):
        print("Files hold 8 bits; code that scores floats reads slightly other values.")
    if csv is not None:
        _write_csv(scores, csv)
        print(f"written: {csv}")


def _names(text: str) -> list[str]:
    return list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _with(protocol: Protocol, more: Sequence[Metric]) -> Protocol:
    names = dict.fromkeys([*protocol.metrics, *(m.id for m in more)])
    return protocol.model_copy(update={"metrics": tuple(names)})


def _table(
    scores: Sequence[FileScore],
    cards: Sequence[NamedProtocol],
    protocols: Sequence[Protocol],
    known: Mapping[str, Metric],
) -> str:
    from tabulate import tabulate

    from harness.evaluation.score_folders import mean_of

    heads, mean, low, high = [""], ["mean"], ["lowest"], ["highest"]
    for card, protocol in zip(cards, protocols, strict=True):
        for number, name in enumerate(protocol.metrics):
            metric = known[name]
            label = f"{metric.label} [{metric.unit}]" if metric.unit else metric.label
            heads.append(f"{'' if number else card.name}\n{label}")
            values = [score.values[protocol.id][metric.id] for score in scores]
            mean.append(f"{mean_of(scores, protocol.id, metric.id):.{metric.decimals}f}")
            low.append(f"{min(values):.{metric.decimals}f}")
            high.append(f"{max(values):.{metric.decimals}f}")
    return tabulate(
        [mean, low, high],
        headers=heads,
        disable_numparse=True,
        colalign=["left", *["right"] * (len(heads) - 1)],
    )


def _write_csv(scores: Sequence[FileScore], path: Path) -> None:
    import csv
    import io

    from harness.store.files import write_text

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["restored", "clean", "protocol", "metric", "value"])
    for one in scores:
        for protocol, values in one.values.items():
            for metric, value in values.items():
                writer.writerow([one.restored.name, one.clean.name, protocol, metric, repr(value)])
    write_text(path, text.getvalue())
