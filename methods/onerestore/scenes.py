"""The embeddings of scenes by name: vectors of words through a random linear layer.

Follows Guo et al., "OneRestore: A Universal Restoration Framework for Composite Degradation",
ECCV 2024 (arXiv 2407.04621), repository gy65896/OneRestore, model/Embedder.py. There the vectors
are GloVe's, and the layer is frozen before it is trained; both are in the authors' file, and no
other source has the same layer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from harness.method import OptionError
from methods.onerestore.spec import SCENES, scene_of

CLEAR = "clear"
"""The scene without a degradation; the first row of every table."""
WORD_LENGTH = 300
KEY_PX = 18
"""Side to which the keys of cross attention are resized."""
EMBEDDING_LENGTH = KEY_PX * KEY_PX
"""Length of an embedding: one number per place of a resized key."""


def draw_scenes(tasks: tuple[str, ...]) -> Tensor:
    """Draw embeddings (1 + tasks, 324): of the clear scene, and of each task.

    A word has the same normal vector everywhere; a task of several words (``low-haze``) has their
    mean. The layer is PyTorch's default, uniform within one over the root of 300, and fixed.
    """
    bound = WORD_LENGTH**-0.5
    weight, bias = _draw("weight", EMBEDDING_LENGTH, WORD_LENGTH), _draw("bias", EMBEDDING_LENGTH)
    vectors = []
    for scene in (CLEAR, *map(scene_of, tasks)):
        words = [_word(word) for word in scene.split("_")]
        vectors.append(np.mean(words, axis=0))
    hidden = np.stack(vectors) @ (bound * weight).T + bound * bias
    # Not from_numpy, which disregards the device that a network is built on.
    return torch.tensor(np.maximum(hidden, 0).astype(np.float32))


def _word(word: str) -> NDArray[np.float64]:
    return _generator(f"word {word}").standard_normal(WORD_LENGTH)


def _draw(part: str, *shape: int) -> NDArray[np.float64]:
    """Draw a part of the layer, uniform in [-1, 1)."""
    return _generator(f"layer {part}").uniform(-1, 1, shape)


def _generator(name: str) -> np.random.Generator:
    digest = hashlib.sha256(f"onerestore scene embedding, {name}".encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "little")))


def read_scenes(state: Mapping[str, Tensor], tasks: tuple[str, ...]) -> Tensor:
    """Return embeddings (1 + tasks, 324) from the authors' embedder.

    Args:
        state: their weights: ``embedder.weight`` (12, 300), and the one weight and the one bias
            of ``mlp``.
        tasks: task names that the embedder has scenes for.

    Raises:
        OptionError: ``state`` has no such weights.
    """
    words = state.get("embedder.weight")
    weights = [value for key, value in state.items() if _is_layer(key, "weight")]
    biases = [value for key, value in state.items() if _is_layer(key, "bias")]
    shapes = [tuple(value.shape) for value in (*weights, *biases)]
    expected = [(EMBEDDING_LENGTH, WORD_LENGTH), (EMBEDDING_LENGTH,)]
    if words is None or tuple(words.shape) != (len(SCENES), WORD_LENGTH) or shapes != expected:
        raise OptionError(
            "the embedder's file holds no embedder.weight of shape (12, 300) with a layer mlp from "
            "300 to 324; name the authors' embedder_model.tar"
        )
    table = F.relu(F.linear(words.float(), weights[0].float(), biases[0].float()))
    rows = [SCENES.index(scene) for scene in (CLEAR, *map(scene_of, tasks))]
    return table[rows]


def _is_layer(key: str, part: str) -> bool:
    return key.startswith("mlp.") and key.endswith(f".{part}")
