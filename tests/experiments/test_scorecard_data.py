"""The made-up scorecards are what they say: weights, ceiling, directions."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.scorecard_data import DIRECTION, INDICES, NOISE, entropy_weights, scorecard_sample


def test_there_are_24_indices_in_five_dimensions() -> None:
    assert len(INDICES) == len(set(INDICES)) == len(DIRECTION) == 24
    assert INDICES[:6] == ("FIN1", "FIN2", "FIN3", "FIN4", "FIN5", "CUS1")
    costs = {name for name, direction in zip(INDICES, DIRECTION, strict=True) if direction < 0}
    assert costs == {"FIN3", "FIN4", "CUS4", "PRO1", "PRO5", "LRN5", "PAR3", "PAR4"}


def test_the_ceiling_is_the_truths_r2() -> None:
    sample = scorecard_sample(4000, seed=1)
    assert sample.ceiling == pytest.approx(1 - np.mean((sample.score - sample.truth) ** 2) / sample.score.var())
    assert np.std(sample.score - sample.truth) == pytest.approx(NOISE, rel=0.05)
    assert 0.98 < sample.ceiling < 0.99
    assert 0 <= sample.score.min() < sample.score.max() <= 1
    assert scorecard_sample(50, seed=1, noise=0.0).ceiling == 1.0


def test_better_indices_make_a_better_score() -> None:
    sample = scorecard_sample(2000, seed=2)
    correlation = [np.corrcoef(column, sample.truth)[0, 1] for column in sample.indices.T]
    assert (np.sign(correlation) == DIRECTION).all()
    assert np.array_equal(scorecard_sample(2000, seed=2).score, sample.score)


def test_entropy_weights_by_hand() -> None:
    # The first index is even (entropy 1, weight 0); of the second one unit has all.
    np.testing.assert_allclose(entropy_weights(np.array([[1.0, 0.0], [1.0, 5.0]])), [0.0, 1.0], atol=1e-15)
    weights = entropy_weights(np.array([[1.0, 3.0, 2.0], [3.0, 1.0, 2.0]]))
    np.testing.assert_allclose(weights, [0.5, 0.5, 0.0], atol=1e-15)
