"""Every flag that several subcommands share, declared once.

:func:`harness.cli.requests.request_of` makes a request of them. A flag that is not given leaves the
value of ``--config``, and that leaves the subcommand's default.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from harness.cli.flags import named_values
from harness.cli.resources import LocalFlags as LocalFlags
from harness.cli.resources import ResourceFlags as ResourceFlags
from harness.config.folders import recipe_names
from harness.config.user_folders import expanded

Plugins = Annotated[
    list[Path] | None,
    typer.Option(help="Python file with methods, metrics or degradations of your own; repeatable."),
]
Includes = Annotated[
    list[Path] | None,
    typer.Option(
        help="Folder with settings/, sets/, protocols/, out_of_distribution/ (YAML) and "
        "degradations/ (Python) of your own; repeatable."
    ),
]
SettingName = Annotated[str, typer.Option("--setting", help="Benchmark setting.")]
WeightsEntry = Annotated[
    str | None, typer.Option(help="Where the weights are in the file, as params_ema.")
]
WeightsPrefix = Annotated[
    str | None, typer.Option(help="Read only names with this prefix, as generator.")
]
WeightsIgnored = Annotated[
    list[str] | None,
    typer.Option(help="Names in the file to leave out, as loss_fn or '*.total_ops'; repeatable."),
]


@dataclass(frozen=True)
class SettingFlags:
    """On what, how long and how often methods are trained and scored."""

    setting: Annotated[
        str | None,
        typer.Option(
            help="Benchmark setting, or a YAML file of your own.", show_default="three-task"
        ),
    ] = None
    recipe: Annotated[
        str | None,
        typer.Option(
            help=f"{', '.join(recipe_names())}, or a YAML file of your own; mini unless said "
            "otherwise above."
        ),
    ] = None
    seeds: Annotated[str | None, typer.Option(help="Seeds: 0,1,2 or 0-4.", show_default="0")] = None
    metrics: Annotated[
        str | None,
        typer.Option(help="More metrics, by id or pyiqa's name: lpips,niqe. Comma-separated."),
    ] = None
    show: Annotated[
        str | None,
        typer.Option(help="More columns of the table, as parameters,macs,train_time."),
    ] = None
    columns: Annotated[
        str | None,
        typer.Option(
            help="Columns that the table shows and averages, by name: derain,dehaze; without it "
            "all. What is scored stays the same."
        ),
    ] = None
    name: Annotated[
        str | None,
        typer.Option(
            help="Name of the table's files; without it one that follows from what it shows."
        ),
    ] = None
    label: Annotated[
        list[str] | None,
        typer.Option(
            help="Name that tables, figures and reports show of a method, column or metric, as "
            "'cpl=CPL (ours)'; repeatable."
        ),
    ] = None
    decimals: Annotated[
        str | None, typer.Option(help="Digits that tables show, as psnr=2,ssim=4.")
    ] = None
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for runs and tables.", show_default="results/runs"),
    ] = None
    limit: Annotated[
        int | None,
        typer.Option(min=1, help="Score at most so many images of each column, the first ones."),
    ] = None
    plugin: Plugins = None
    include: Includes = None
    config: Annotated[
        Path | None,
        typer.Option(help="YAML file with the request; flags replace what it says."),
    ] = None

    def values(self) -> dict[str, Any]:
        """Return the flags that were given, by their key in the request."""
        found = {
            "setting": self.setting,
            "recipe": self.recipe,
            "seeds": self.seeds,
            "metrics": self.metrics,
            "show": self.show,
            "columns": self.columns,
            "name": self.name,
            "labels": named_values(self.label, "--label", "NAME=TEXT") if self.label else None,
            "decimals": self._decimals(),
            "out": self.out,
            "limit": self.limit,
            "plugins": self.plugin or None,
            "include": self.include or None,
        }
        return {name: value for name, value in found.items() if value is not None}

    def _decimals(self) -> dict[str, str] | None:
        if self.decimals is None:
            return None
        return named_values(self.decimals.split(","), "--decimals", "METRIC=DIGITS,…")


@dataclass(frozen=True)
class RequestFlags(SettingFlags):
    """The same, with the methods."""

    methods: Annotated[
        str | None,
        typer.Option(
            help="Methods, comma-separated; options after colons: cpl:cpr_form=ratio:top_k=2 "
            "(a comma inside an option's value is written ';').",
            show_default="cpl,promptir",
        ),
    ] = None

    init_from: Annotated[
        str | None,
        typer.Option(help="Start trainings from these weights: a file, or a run of --out."),
    ] = None

    def values(self) -> dict[str, Any]:
        """Return the flags that were given, by their key in the request."""
        own = {"methods": self.methods, "init_from": self.init_from}
        given = {name: value for name, value in own.items() if value is not None}
        return {**super().values(), **given}


@dataclass(frozen=True)
class DataFlags:
    """Which images are used: the synthetic version, clean images on disk, or data sets there."""

    data_root: Annotated[
        Path | None,
        typer.Option(help="Folder of data sets; without it, the setting's synthetic version."),
    ] = None
    on_disk: Annotated[
        bool,
        typer.Option(
            "--on-disk",
            help="Data sets from where HARNESS_DATA_ROOT or the configuration file says.",
        ),
    ] = False
    train_set: Annotated[
        list[str] | None,
        typer.Option(
            help="FAMILY=SET, as denoise=raintrainl: train on this set instead of the setting's; "
            "repeatable."
        ),
    ] = None
    clean_images: Annotated[
        list[str] | None,
        typer.Option(
            help="SPLIT=DIR, as test=~/CBSD68: apply the setting's degradations to the images of "
            "this folder instead of the embedded photographs. Splits are train, val and test; "
            "repeatable."
        ),
    ] = None
    rehash: Annotated[
        bool,
        typer.Option(
            "--rehash",
            help="Read all files of data sets again. Their hashes are kept by path, size and times "
            "of change, and miss a change that leaves all of these as they were.",
        ),
    ] = False

    def values(self) -> dict[str, Any]:
        """Return the flags that were given, by their key in the request.

        Raises:
            UsageError: ``--train-set`` is not FAMILY=SET or ``--clean-images`` not SPLIT=DIR, or
                one names a family or split twice.
        """
        data: dict[str, Any] = {}
        if self.data_root is not None:
            data["root"] = expanded(self.data_root, "--data-root")
        if self.on_disk:
            data["on_disk"] = True
        if self.train_set:
            data["train_sets"] = named_values(self.train_set, "--train-set", "FAMILY=SET")
        if self.clean_images:
            data["clean_images"] = named_values(self.clean_images, "--clean-images", "SPLIT=DIR")
        if self.rehash:
            data["rehash"] = True
        return {"data": data} if data else {}


@dataclass(frozen=True)
class EvaluationFlags:
    """What changes in how the setting is scored."""

    protocol: Annotated[
        str | None,
        typer.Option(
            help="Score by this protocol, not the setting's own: a name, or a YAML file of your "
            "own. Several, comma-separated, score each restored image under all of them."
        ),
    ] = None
    crop_multiple: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Crop test images to multiples of this, before restoring and when they are "
            "scored; 1 leaves them whole.",
        ),
    ] = None
    noise_rounding: Annotated[
        str | None, typer.Option(help="truncate, round, none (floats), unclipped.")
    ] = None
    noise_stream: Annotated[
        Literal["keyed", "published"] | None,
        typer.Option(
            help="Noise on test images on disk: keyed by image, or one stream in the order of the "
            "folder, as published code draws it.",
            show_default="keyed",
        ),
    ] = None
    test_set: Annotated[
        str | None,
        typer.Option(
            help="Score an out-of-distribution test set instead of the setting's own: "
            "ood-noise, ood-kinds, colour-denoising, mio-strong, or a YAML file of your own."
        ),
    ] = None
    tile_large_images: Annotated[
        bool,
        typer.Option(
            "--tile-large-images",
            help="Restore images of more than two megapixels in tiles of 1024 pixels, which takes "
            "less memory; their results carry the id of another protocol.",
        ),
    ] = False
    probes: Annotated[
        bool,
        typer.Option(
            "--probes",
            help="Analyse prompts at length: routing, redundancy, prompt-swap gap, other routing "
            "at test.",
        ),
    ] = False

    def values(self) -> dict[str, Any]:
        """Return the flags that were given, by their key in the request."""
        found = {
            "protocol": self.protocol,
            "crop_multiple": self.crop_multiple,
            "noise_rounding": self.noise_rounding,
            "noise_stream": self.noise_stream,
            "test_set": self.test_set,
            "tile_large_images": self.tile_large_images or None,
        }
        given = {name: value for name, value in found.items() if value is not None}
        values: dict[str, Any] = {"evaluation": given} if given else {}
        if self.probes:
            values["probes"] = True
        return values
