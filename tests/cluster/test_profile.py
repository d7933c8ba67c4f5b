"""Profiles: means and shares by pandas, words for what stands out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from marketnn.cluster.profile import profile_segments, segment_labels, telling_features

FEATURES = pd.DataFrame(
    {
        "tenure": [1.0, 2.0, 3.0, 50.0, 60.0, np.nan],
        "partner": [0.0, 0.0, 1.0, 1.0, 1.0, 1.0],
        "plan": ["a", "a", "a", "b", "a", None],
    }
)
LABELS = np.array([0, 0, 0, 1, 1, 1])


def test_means_and_shares_equal_pandas() -> None:
    profile = profile_segments(FEATURES, LABELS).set_index(["segment", "feature", "value"])
    tenure = FEATURES["tenure"].fillna(FEATURES["tenure"].mean())
    assert profile.loc[(0, "tenure", ""), "mean"] == 2.0
    assert profile.loc[(1, "tenure", ""), "mean"] == pytest.approx(tenure[3:].mean())
    assert profile.loc[(1, "plan", "b"), "mean"] == pytest.approx(1 / 3)
    assert profile.loc[(0, "plan", "a"), "overall"] == pytest.approx(4 / 6)
    z = (2.0 - tenure.mean()) / tenure.std(ddof=0)
    assert profile.loc[(0, "tenure", ""), "z"] == pytest.approx(z)


def test_sizes_times_z_cancel_over_segments() -> None:
    rng = np.random.default_rng(0)
    features = pd.DataFrame(rng.normal(size=(200, 4)), columns=list("abcd"))
    labels = rng.integers(3, size=200)
    z = profile_segments(features, labels).pivot(index="segment", columns="feature", values="z")
    np.testing.assert_allclose(np.bincount(labels) @ z.to_numpy(), 0, atol=1e-10)


def test_the_strongest_are_told_once_each() -> None:
    words = telling_features(profile_segments(FEATURES, LABELS), FEATURES, n_most=3)
    first, *others = words[0].split("), ")
    assert first == "tenure low (2, all 23.2"
    assert sorted(others) == ["partner rarely (33%, all 67%)", "plan is a (100%, all 67%"]
    assert words[1].startswith("tenure high (44.4, all 23.2), partner often (100%, all 67%)")


def test_a_feature_that_never_varies_tells_nothing() -> None:
    profile = profile_segments(pd.DataFrame({"flat": [1.0] * 4, "use": [1.0, 2.0, 3.0, 4.0]}), np.array([0, 0, 1, 1]))
    assert (profile.loc[profile["feature"] == "flat", "z"] == 0).all()


def test_a_segment_is_named_by_its_greatest_signed_z() -> None:
    assert segment_labels(profile_segments(FEATURES, LABELS)) == {0: "plan = a", 1: "tenure"}
    low = pd.DataFrame({"age": [0.0, 1.0, 9.0, 9.0], "income": [2.0, 2.0, 3.0, 9.0]})
    profile = profile_segments(low, np.array([0, 0, 1, 1]))
    assert (profile.loc[profile["segment"] == 0, "z"] < 0).all()
    assert segment_labels(profile) == {0: "income", 1: "age"}, "below the average everywhere: what it lacks least"
