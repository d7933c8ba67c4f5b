"""Seeds belong to their caller."""

from __future__ import annotations

import numpy as np
import torch

from marketnn.seed import child_seed, numpy_generator, seed_from, torch_generator


def test_generators_repeat_and_leave_global_state_alone() -> None:
    torch_before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    assert torch.equal(torch.rand(5, generator=torch_generator(3)), torch.rand(5, generator=torch_generator(3)))
    assert (numpy_generator(3).random(5) == numpy_generator(3).random(5)).all()
    assert seed_from(None) != seed_from(None)
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert (np.random.get_state()[1] == numpy_before).all()  # noqa: NPY002


def test_children_differ_by_name_and_by_seed() -> None:
    seeds = {child_seed(seed, name) for seed in range(20) for name in ("split", "portraits", "init")}
    assert len(seeds) == 60
    assert child_seed(0, "split") == child_seed(0, "split")


def test_every_kind_of_random_state() -> None:
    assert seed_from(7) == 7
    assert seed_from(np.random.RandomState(0)) == seed_from(np.random.RandomState(0))
    assert seed_from(np.random.default_rng(0)) == seed_from(np.random.default_rng(0))
