"""Made-up points lie where they were said to lie."""

from __future__ import annotations

import numpy as np
import pytest

from marketnn import registry
from marketnn.data.points import draw_points
from marketnn.errors import InputError


def test_groups_have_unit_spread_about_centres_that_far_apart() -> None:
    x, group = draw_points(60_000, 4, 3, 5.0, seed=1)
    centres = np.stack([x[group == label].mean(axis=0) for label in range(3)])
    np.testing.assert_allclose((x - centres[group]).std(axis=0), 1, atol=0.02)
    np.testing.assert_allclose(np.bincount(group) / len(x), 1 / 3, atol=0.01)
    many, labels = draw_points(20_000, 2, 4000, 5.0, seed=2)
    spread = np.stack([many[labels == label].mean(axis=0) for label in range(4000) if (labels == label).any()]).std()
    assert spread == pytest.approx(5.0, rel=0.05)


def test_without_groups_they_fill_the_unit_square() -> None:
    x, group = draw_points(20_000, 2, seed=3)
    assert x.min() >= 0
    assert x.max() <= 1
    assert not group.any()
    np.testing.assert_allclose(np.histogram2d(*x.T, bins=4)[0] / len(x), 1 / 16, atol=0.006)


def test_the_same_draw_is_the_same_table() -> None:
    first, again, other = (registry.build("data", {"name": "points", "draw": draw}).frame for draw in (4, 4, 5))
    assert first.equals(again)
    assert not first.equals(other)
    assert list(first) == ["x1", "x2"]


def test_numbers_out_of_range_are_named() -> None:
    with pytest.raises(InputError, match="n=0 and dimensions=2 must be at least 1"):
        draw_points(0, 2)
