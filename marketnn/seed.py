"""Random numbers that belong to their caller: nothing here reads or sets global random state."""

from __future__ import annotations

import zlib

import numpy as np
import torch


def torch_generator(seed: int) -> torch.Generator:
    """Return a CPU generator: numbers are drawn there and moved, so every device sees the same ones."""
    generator = torch.Generator()
    generator.manual_seed(seed)
    return generator


def numpy_generator(seed: int) -> np.random.Generator:
    """Return NumPy's default generator for a seed."""
    return np.random.default_rng(seed)


def child_seed(seed: int, name: str) -> int:
    """Derive the seed of a named part of a run, so that one part's draws never shift another's."""
    return int(np.random.SeedSequence([seed, zlib.crc32(name.encode())]).generate_state(1)[0])


def seed_from(random_state: int | np.random.Generator | np.random.RandomState | None) -> int:
    """Turn scikit-learn's ``random_state`` into a seed; ``None`` draws a fresh one from the operating system."""
    if random_state is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**31))
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    return int(random_state)
