"""Typed, frozen specs, their canonical JSON and its hash.

Everything that changes a number is a field of a spec, and the hash of a spec is the
identity of what it describes: of trained weights (:class:`TrainSpec`) or of a scored
test (:class:`ScoreSpec`). YAML and flags are parsed into these classes once, strictly;
nothing inside the program passes dictionaries of options along.
"""

from harness.spec.base import (
    Range,
    Spec,
    canonical_json,
    spec_hash,
)
from harness.spec.border import (
    explain,
    parse,
    read_yaml,
)
from harness.spec.degradations import (
    ComposedRange,
    DefocusRange,
    DegradationRange,
    GaussianBlurRange,
    HazeRange,
    JpegRange,
    LowLightRange,
    MotionBlurRange,
    NoiseRange,
    RaindropsRange,
    RainRange,
    ResampleRange,
    SingleRange,
    SnowRange,
)
from harness.spec.recipes import (
    Operation,
    Optimisation,
    Recipe,
    TestAmount,
)
from harness.spec.settings import (
    Column,
    LeavesSpec,
    NoiseRounding,
    OutsideSet,
    Preparation,
    Protocol,
    RealColumn,
    Resize,
    Setting,
    Task,
    TrainingSource,
    Twin,
)
from harness.spec.work import (
    Photograph,
    PlacedStage,
    RealTrainingData,
    ScoreSpec,
    Stage,
    TestFiles,
    TestSet,
    TrainingData,
    TrainingFiles,
    TrainSpec,
    stage_at,
)

__all__ = [
    "Column",
    "ComposedRange",
    "DefocusRange",
    "DegradationRange",
    "GaussianBlurRange",
    "HazeRange",
    "JpegRange",
    "LeavesSpec",
    "LowLightRange",
    "MotionBlurRange",
    "NoiseRange",
    "NoiseRounding",
    "Operation",
    "Optimisation",
    "OutsideSet",
    "Photograph",
    "PlacedStage",
    "Preparation",
    "Protocol",
    "RainRange",
    "RaindropsRange",
    "Range",
    "RealColumn",
    "RealTrainingData",
    "Recipe",
    "ResampleRange",
    "Resize",
    "ScoreSpec",
    "Setting",
    "SingleRange",
    "SnowRange",
    "Spec",
    "Stage",
    "Task",
    "TestAmount",
    "TestFiles",
    "TestSet",
    "TrainSpec",
    "TrainingData",
    "TrainingFiles",
    "TrainingSource",
    "Twin",
    "canonical_json",
    "explain",
    "parse",
    "read_yaml",
    "spec_hash",
    "stage_at",
]
