"""What the user asks for: one request and the resources it may use.

A request is built once, from flags, from a YAML file (``--config run.yaml``) or from keyword
arguments, and everything behind it takes the request. What changes no number (workers, devices)
is in :class:`Resources`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, ValidationInfo

from harness.config.errors import UsageError
from harness.config.preprocessing import NoiseRounding
from harness.config.quoting import split_outside_quotes, with_commas
from harness.config.spec import Label, Spec
from harness.config.user_folders import expanded
from harness.planning.image_choice import KeptImages

MOST_SEEDS = 1000
"""Seeds of one request at most; more are a slip of the hand."""
_LARGEST_SEED = 2**63 - 1
_MOST_DIGITS = 30

DEFAULT_OUT = Path("results/runs")


def parse_seeds(text: str) -> tuple[int, ...]:
    """Read ``0,1,2`` or ``0-4``.

    Raises:
        UsageError: the text is of another form, or names a seed twice.
    """
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not _is_number(first) or (dash and not _is_number(last)):
            raise UsageError(f"--seeds '{text}' is not like 0,1,2 or 0-4")
        count = int(last or first) - int(first) + 1
        if count < 1:
            raise UsageError(
                f"--seeds '{text}': {first}-{last} ends before it begins; write {last}-{first}"
            )
        if count > MOST_SEEDS or int(last or first) > _LARGEST_SEED:
            raise UsageError(
                f"--seeds '{text}' asks for more than {MOST_SEEDS} seeds, or one above "
                f"{_LARGEST_SEED}; name fewer, such as 0-4"
            )
        seeds += range(int(first), int(last or first) + 1)
    if not seeds or len(set(seeds)) != len(seeds):
        raise UsageError(f"--seeds '{text}' names no seed, or one twice")
    return tuple(seeds)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS


def split_names(text: str) -> tuple[str, ...]:
    """Return comma-separated names, each once, in their order."""
    names = (name.strip() for name in text.split(","))
    return tuple(dict.fromkeys(name for name in names if name))


def split_methods(text: str) -> tuple[str, ...]:
    """Return the methods of ``--methods``; ``;`` stands for a comma inside an option's value.

    A value in quotes is read as it is, with commas and all.

    Raises:
        UsageError: no method is named.
    """
    parts = (part.strip() for part in split_outside_quotes(text, re.compile(",")))
    names = dict.fromkeys(part for part in parts if part)
    if not names:
        raise UsageError("--methods names no method; python -m harness methods lists them")
    return tuple(map(with_commas, names))


def _seeds(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a seed is a whole number, such as 0")
    return parse_seeds(str(value)) if isinstance(value, str | int) else value


def _checked_seeds(seeds: tuple[int, ...]) -> tuple[int, ...]:
    """Refuse lists that a person cannot mean."""
    if not seeds or len(set(seeds)) != len(seeds):
        raise ValueError("no seed is named, or one twice")
    if min(seeds) < 0 or max(seeds) > _LARGEST_SEED or len(seeds) > MOST_SEEDS:
        raise ValueError(f"seeds lie between 0 and {_LARGEST_SEED}, at most {MOST_SEEDS} of them")
    return seeds


def _methods(value: Any) -> Any:
    return split_methods(value) if isinstance(value, str) else value


def _names(value: Any) -> Any:
    return split_names(value) if isinstance(value, str) else value


def _protocols(value: Any) -> Any:
    """Read one protocol or several; a file may have a comma in its name."""
    if value is None:
        return ()
    if isinstance(value, str) and Path(value).is_file():
        return (value,)
    return _names(value)


def _labels(labels: dict[str, str]) -> dict[str, str]:
    """Return labels without blanks around them; one of blanks alone would show nothing."""
    found = {name: text.strip() for name, text in labels.items()}
    for name, text in found.items():
        if not text:
            raise ValueError(
                f"--label {name}= has no text to show; write one behind =, or leave it out"
            )
    return found


def _with_home(path: Path, info: ValidationInfo) -> Path:
    return expanded(path, str(info.field_name))


UserPath = Annotated[Path, AfterValidator(_with_home)]
"""A path that may begin with ``~``."""


class CleanImagesRequest(Spec):
    """Clean images that the setting's degradations are applied to, instead of the embedded ones.

    Each is a folder, or the name of an optional package of photographs, as ``foolbox``.

    Attributes:
        train: trained on; None trains on the setting's embedded images.
        val: validated on; None holds some images of ``train`` out.
        test: tested on, each image once per column; None tests on the setting's embedded images.
    """

    train: str | None = None
    val: str | None = None
    test: str | None = None

    @property
    def by_split(self) -> dict[str, str]:
        """What is named, by ``train``, ``val`` and ``test``."""
        named: dict[str, str] = {}
        for split in ("train", "val", "test"):
            value = getattr(self, split)
            if value is not None:
                named[split] = value
        return named


class DataRequest(Spec):
    """Which images are trained and tested: the synthetic version of a setting, or files.

    Attributes:
        root: folder of data sets on disk.
        on_disk: use data sets from where ``HARNESS_DATA_ROOT`` or the user's file says.
        train_sets: by family of tasks, the set to train on instead of the setting's.
        clean_images: folders of clean images that the setting's degradations are applied to.
        rehash: read the bytes of all files again, whose hashes are kept by path, size and times of
            change. It is part of no stored plan.
    """

    root: Path | None = None
    on_disk: bool = False
    train_sets: dict[str, str] = Field(default_factory=dict)
    clean_images: CleanImagesRequest = Field(default_factory=CleanImagesRequest)
    rehash: bool = Field(default=False, exclude=True)

    @property
    def uses_files(self) -> bool:
        """Whether images are read from data sets on disk."""
        return self.root is not None or self.on_disk


class EvaluationOverrides(Spec):
    """What changes in how a setting is scored; None leaves the setting's own rule.

    Attributes:
        noise_rounding: how noisy test images become 8-bit.
        crop_multiple: test images are cropped to multiples of this, before restoring and when they
            are scored; 1 leaves them whole.
        protocol: protocols to score by, by name or YAML file; empty takes the setting's own. Each
            restored image is scored under all of them.
        noise_stream: ``keyed`` by image, or ``published``: one stream in the folder's order.
        tile_large_images: restores images of more than two megapixels in tiles, which takes less
            memory; their values carry the id of another protocol.
        test_set: an out-of-distribution test set, by name or YAML file, that is scored instead of
            the setting's own columns.
    """

    added_later: ClassVar = ("tile_large_images",)

    noise_rounding: NoiseRounding | None = None
    crop_multiple: int | None = Field(default=None, ge=1)
    protocol: Annotated[tuple[str, ...], BeforeValidator(_protocols)] = ()
    noise_stream: Literal["keyed", "published"] = "keyed"
    test_set: str | None = None
    tile_large_images: bool = False


class CheckpointRequest(Spec):
    """Weights that were not trained here.

    Attributes:
        file: the checkpoint.
        method: the method that they are weights of; None if the file itself says so. ``spandrel``
            recognises any network that the library spandrel knows.
        architecture: spandrel's name for the network, where its weights alone do not say it.
        entry: where in the file the weights are, such as ``params_ema``.
        prefix: start of the names that are the network's, as ``generator.``; others are ignored.
        ignore: names in the file that are not read, or patterns of them, as ``loss_fn.*``.
        required: checkpoints of the methods that this one builds on, by name.
    """

    file: UserPath
    method: str | None = None
    architecture: str | None = None
    entry: str | None = None
    prefix: str | None = None
    ignore: tuple[str, ...] = ()
    required: dict[str, UserPath] = Field(default_factory=dict)


class RunRequest(Spec):
    """Everything that determines a plan.

    Attributes:
        methods: references such as ``cpl`` or ``cpl:top_k=2``.
        setting: name of the benchmark setting, or a YAML file.
        recipe: name of a recipe, or a YAML file.
        seeds: of the trainings.
        metrics: metrics in addition to those of the protocol, by id or by pyiqa's name.
        data: which images are trained and tested.
        evaluation: what changes in how the setting is scored.
        checkpoint: pretrained weights to evaluate instead of training ``methods``.
        training: by method, as ``methods`` has it, values of the recipe's ``train`` that hold for
            it alone; ``tune`` writes them.
        init_from: weights that trainings start from: a file, or the id of a run in ``out``.
        limit: images of each column that are scored at most; None scores what the recipe tests.
        include: folders with data sets, protocols, settings, test sets and degradations of one's
            own.
        probes: whether prompts are analysed at length.
        show: columns of the table that are not scores, such as ``parameters``.
        columns: columns of the setting that tables show and average; empty takes all.
        name: of the files of the tables; empty derives one from what they show.
        labels: names that tables show instead of their own, by method, column or metric.
        decimals: digits behind the point that tables show, by metric.
        plugins: Python files with methods, metrics or degradations of one's own.
        keep_images: which restored images are kept as files: ``all``, ``worst:N`` (of each run the
            N worst of each column by the first metric) or ``none``.
        out: folder for runs and tables.
    """

    methods: Annotated[tuple[str, ...], BeforeValidator(_methods)] = ("cpl", "promptir")
    setting: str = "three-task"
    recipe: str = "mini"
    seeds: Annotated[tuple[int, ...], BeforeValidator(_seeds), AfterValidator(_checked_seeds)] = (
        0,
    )
    metrics: Annotated[tuple[str, ...], BeforeValidator(_names)] = ()
    data: DataRequest = Field(default_factory=DataRequest)
    evaluation: EvaluationOverrides = Field(default_factory=EvaluationOverrides)
    checkpoint: CheckpointRequest | None = None
    training: dict[str, dict[str, JsonValue]] = Field(default_factory=dict)
    init_from: str | None = None
    limit: int | None = Field(default=None, ge=1)
    include: tuple[UserPath, ...] = ()
    probes: bool = False
    show: Annotated[tuple[str, ...], BeforeValidator(_names)] = ()
    columns: Annotated[tuple[str, ...], BeforeValidator(_names)] = ()
    name: str = ""
    labels: Annotated[dict[str, Label], AfterValidator(_labels)] = Field(default_factory=dict)
    decimals: dict[str, Annotated[int, Field(ge=0, le=6)]] = Field(default_factory=dict)
    plugins: tuple[UserPath, ...] = ()
    keep_images: KeptImages = "none"
    out: UserPath = DEFAULT_OUT


@dataclass(frozen=True)
class Resources:
    """What a computation may use; nothing here changes a number.

    Attributes:
        jobs: runs computed side by side; 0 takes one per core.
        device: ``cpu``, ``cuda``, ``auto``, or a torch device.
        loader_workers: processes per run that make training batches ahead; 0 makes them in the
            step, and None has a thread of the run's process make them ahead.
        launcher: which launcher hands out the runs.
        dask_scheduler: address of the scheduler of ``dask``, or the file that it wrote; None takes
            ``DASK_SCHEDULER_ADDRESS``.
        slurm_options: options of sbatch that ``slurm`` passes on as they are written.
        wait: whether ``slurm`` waits for its jobs, or returns once they are queued.
        threads: compute threads of each run; None takes ``OMP_NUM_THREADS``, or an equal share of
            the cores.
        tracker: who is shown the course of each run: ``tensorboard``, ``wandb`` or ``none``.
    """

    jobs: int = 1
    device: str = "auto"
    loader_workers: int | None = None
    launcher: str = "local"
    dask_scheduler: str | None = None
    slurm_options: str = ""
    wait: bool = False
    threads: int | None = None
    tracker: str = "none"

    def __post_init__(self) -> None:
        """Refuse what belongs to another launcher: it would be without effect."""
        belongs = (
            ("--dask-scheduler", self.dask_scheduler, "dask"),
            ("--slurm-options", self.slurm_options, "slurm"),
            ("--wait", self.wait, "slurm"),
        )
        for flag, value, launcher in belongs:
            if value and self.launcher != launcher:
                raise UsageError(
                    f"{flag} is about --launcher {launcher}, and --launcher {self.launcher} does "
                    f"not read it; name that launcher, or leave {flag} out"
                )
