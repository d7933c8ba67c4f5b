"""Weights against closed forms and NumPy's eigenvectors."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketnn.errors import InputError
from marketnn.scorecard import ahp_weights, composite_score, entropy_weights


def test_entropy_weights_by_hand() -> None:
    # The first index is even (entropy 1, weight 0); of the second one unit has all.
    np.testing.assert_allclose(entropy_weights(np.array([[1.0, 0.0], [1.0, 5.0]])), [0.0, 1.0], atol=1e-15)
    weights = entropy_weights(np.array([[1.0, 3.0, 2.0], [3.0, 1.0, 2.0]]))
    np.testing.assert_allclose(weights, [0.5, 0.5, 0.0], atol=1e-15)


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), n=st.integers(2, 30), d=st.integers(1, 6), scale=st.floats(1e-3, 1e3))
def test_entropy_weights_sum_to_one_whatever_the_units(seed: int, n: int, d: int, scale: float) -> None:
    x = np.random.default_rng(seed).random((n, d))
    weights = entropy_weights(x)
    assert weights.sum() == pytest.approx(1)
    np.testing.assert_allclose(entropy_weights(x * scale), weights, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "bad", [[[1.0, -1.0], [1, 1]], [[1.0, np.nan], [1, 1]], [[1.0, 2.0]], [[0.0, 1], [0, 2]], [[1.0], [1.0]]]
)
def test_entropy_weights_of_bad_tables(bad: list[list[float]]) -> None:
    with pytest.raises(InputError, match=r"units|in all units"):
        entropy_weights(np.array(bad))


@settings(deadline=None, max_examples=40)
@given(weights=st.lists(st.floats(0.1, 9), min_size=1, max_size=9))
def test_judgements_that_agree_give_their_weights_back(weights: list[float]) -> None:
    w = np.array(weights)
    found = ahp_weights(w[:, None] / w)
    np.testing.assert_allclose(found.weights, w / w.sum(), rtol=1e-9)
    assert found.eigenvalue == pytest.approx(len(w))
    assert found.consistency_ratio == pytest.approx(0, abs=1e-9)


def test_three_indices_that_nearly_agree() -> None:
    """The greatest eigenvalue of a 3 x 3 reciprocal matrix is 1 + t + 1/t with t^3 = a12 a23 / a13."""
    a = np.array([[1, 3, 5], [1 / 3, 1, 3], [1 / 5, 1 / 3, 1]])
    t = (3 * 3 / 5) ** (1 / 3)
    found = ahp_weights(a)
    assert found.eigenvalue == pytest.approx(1 + t + 1 / t)
    assert found.consistency_ratio == pytest.approx((t + 1 / t - 2) / 2 / 0.58)
    # Of three indices the eigenvector is the geometric means of the rows.
    rows = a.prod(axis=1) ** (1 / 3)
    np.testing.assert_allclose(found.weights, rows / rows.sum(), rtol=1e-12)


def test_judgements_that_contradict_each_other() -> None:
    circle = np.array([[1, 3, 1 / 3], [1 / 3, 1, 3], [3, 1 / 3, 1]])
    with pytest.raises(InputError, match=r"consistency ratio 1\.149"):
        ahp_weights(circle)
    np.testing.assert_allclose(ahp_weights(circle, accept_inconsistent=True).weights, np.full(3, 1 / 3))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([[1, 2], [1, 1]], r"not reciprocal; write 0\.5"),
        ([[1, 2, 3]], "square"),
        ([[1, 0], [2, 1]], r"\(1, 2\) is 0"),
        (np.ones((11, 11)), "1 to 10"),
    ],
)
def test_bad_judgements(bad: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ahp_weights(bad)


def test_composite_score_by_hand() -> None:
    quality = pd.DataFrame({"A": [0.0, 1.0], "B": [1.0, 0.5]})
    assert composite_score(quality, {"B": 0.25, "A": 0.75}).tolist() == [0.25, 0.875]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"A": 0.5, "B": 0.6}, r"sum to 1\.1, not to 1"),
        ({"A": 1.0}, "index B has no weight"),
        ({"A": 0.5, "B": 0.5, "C": 0.0}, "index C has a weight but is no column"),
        ({"A": 1.5, "B": -0.5}, r"weight of B is -0\.5"),
        ({"A": np.nan, "B": 1.0}, "weight of A is nan"),
    ],
)
def test_bad_weights(weights: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        composite_score(pd.DataFrame({"A": [0.0, 1.0], "B": [1.0, 0.5]}), weights)
