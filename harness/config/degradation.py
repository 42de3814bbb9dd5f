"""What a synthetic degradation is, and how a setting's YAML names one by its kind.

Each kind is one file of ``harness/data/synthetic/degradations`` with one class: its parameters, its
version, and what it does to an image. A kind is looked up by its name when a setting asks for it,
so that adding one takes its file and nothing else.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar

from pydantic import BeforeValidator, SerializeAsAny, ValidationError

from harness.config.errors import did_you_mean
from harness.config.parsing import explain
from harness.config.python_files import import_python_file, sha256_at_import
from harness.config.spec import Spec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Version = int | str
"""A number, or, of a file of one's own, a number and a hash of the file."""

BUILT_IN = "harness.data.synthetic.degradations"
"""The package whose modules are the built-in kinds: ``low-light`` is ``low_light.py``."""


class Degradation(Spec):
    """A kind of degradation with the ranges that its parameters are drawn from.

    A subclass narrows ``kind`` to its own name, sets ``version``, adds its ranges as fields, and
    implements :meth:`apply`.

    Attributes:
        kind: name in YAML, with hyphens.
        version: raised whenever the same key gives other pixels. It is part of the identity of
            every run that uses the kind, and of no other.
    """

    version: ClassVar[int]
    kind: str

    def apply(
        self, clean: NDArray[np.float32], rngs: Sequence[np.random.Generator]
    ) -> NDArray[np.float32]:
        """Degrade a batch; a sample depends on its image and its generator alone.

        Args:
            clean: (N, 3, H, W) float32 RGB in [0, 1], at least 16 pixels on each side.
            rngs: one generator per sample.

        Returns:
            The same shape, not yet rounded to 8 bits; values outside [0, 1] are clipped later.
        """
        raise NotImplementedError(f"degradation '{self.kind}' does not implement apply")

    def __reduce__(self) -> str | tuple[Any, ...]:
        """Let other processes import the file that a class of one's own comes from."""
        if type(self) not in _source_sha256:
            return super().__reduce__()
        source = Path(str(sys.modules[type(self).__module__].__file__))
        return _restored, (self.model_dump(mode="json"), source)

    def versions(self) -> dict[str, Version]:
        """Return the version of every kind that this degradation uses, by kind.

        That of a file of one's own holds a hash of the file, so that an edited file is another run.
        """
        version: Version = type(self).version
        source = _source_sha256.get(type(self))
        return {self.kind: version if source is None else f"{version}-{source[:16]}"}


Kind = TypeVar("Kind", bound=type[Degradation])

_registered: dict[str, type[Degradation]] = {}
_source_sha256: dict[type[Degradation], str] = {}
"""Hashes of the files that registered classes come from."""


def degradation(cls: Kind) -> Kind:
    """Register a class of a file of one's own, so that YAML can name its kind; a decorator.

    Raises:
        ValueError: the kind is taken.
    """
    kind = _kind_of(cls)
    source = _hash_of_source(cls)
    known = _registered.get(kind, cls)
    is_same = known is cls or (source is not None and _source_sha256.get(known) == source)
    if kind in built_in_kinds() or not is_same:
        raise ValueError(f"a degradation of kind '{kind}' exists already; choose another name")
    _registered[kind] = cls
    if source is not None:
        _source_sha256[cls] = source
    return cls


def _restored(content: dict[str, Any], source: Path) -> Degradation:
    """Return a degradation of a file of one's own in another process."""
    if content["kind"] not in _registered:
        import_python_file(source)
    return degradation_class(content["kind"]).model_validate(content)


def registered_kinds() -> dict[str, type[Degradation]]:
    """Return the classes of files of one's own, by kind."""
    return dict(_registered)


def _hash_of_source(cls: type[Degradation]) -> str | None:
    """Return the hash of the file of a class, None where it has none, as in a notebook."""
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    return None if file is None else sha256_at_import(Path(file))


def built_in_kinds() -> list[str]:
    """Return the kinds that have a file in this project, sorted; nothing is imported."""
    package = importlib.import_module(BUILT_IN)
    modules = pkgutil.iter_modules(package.__path__)
    return sorted(module.name.replace("_", "-") for module in modules)


def degradation_class(kind: str) -> type[Degradation]:
    """Return the class of a kind.

    Raises:
        ValueError: no such kind; the nearest is named.
    """
    if kind in _registered:
        return _registered[kind]
    if kind not in built_in_kinds():
        known = [*built_in_kinds(), *_registered]
        raise ValueError(f"unknown kind of degradation '{kind}'; {did_you_mean(kind, known)}")
    module = importlib.import_module(f"{BUILT_IN}.{kind.replace('-', '_')}")
    for candidate in vars(module).values():
        if _is_degradation(candidate) and candidate.__module__ == module.__name__:
            found: type[Degradation] = candidate
            return found
    raise ValueError(f"{module.__file__} holds no class of a degradation of kind '{kind}'")


def _is_degradation(candidate: Any) -> bool:
    return isinstance(candidate, type) and issubclass(candidate, Degradation)


def _kind_of(cls: type[Degradation]) -> str:
    names: tuple[str, ...] = getattr(cls.model_fields["kind"].annotation, "__args__", ())
    if len(names) != 1:
        raise ValueError(f"{cls.__name__} must declare its kind: Literal['its-name']")
    return names[0]


def _parse(value: Any) -> Any:
    """Build the class of a mapping's kind; anything else is left to the schema."""
    if not isinstance(value, Mapping):
        return value
    if "kind" not in value:
        raise ValueError("key 'kind' is missing; it names the kind of degradation")
    cls = degradation_class(str(value["kind"]))
    try:
        return cls.model_validate(value)
    except ValidationError as error:
        raise ValueError(explain(cls, error)) from error


AnyDegradation = Annotated[SerializeAsAny[Degradation], BeforeValidator(_parse)]
"""A field of a schema that holds a degradation of any kind."""
