"""Splits: disjoint, stratified, and never a twin across the line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from marketnn.errors import InputError
from marketnn.preprocess.splitting import stratified_split


@settings(deadline=None, max_examples=50)
@given(n=st.integers(40, 200), levels=st.integers(4, 30), seed=st.integers(0, 2**20), share=st.floats(0.15, 0.6))
def test_twins_stay_together(n: int, levels: int, seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    features = pd.DataFrame({"a": rng.integers(levels, size=n), "b": rng.choice(["x", "y", None], n)})
    y = (features["a"] % 2).to_numpy()
    if min(y[~features.duplicated()].sum(), (1 - y)[~features.duplicated()].sum()) < 4:
        reject()
    split = stratified_split(features, y, test_share=share, seed=seed)
    assert sorted([*split.train, *split.test]) == list(range(n))
    assert split.n_duplicates == features.duplicated().sum()
    if not split.together:
        assert features.drop_duplicates().shape[0] < 30
        return
    twins = set(map(tuple, features.iloc[split.train].fillna("-").to_numpy())) & set(
        map(tuple, features.iloc[split.test].fillna("-").to_numpy())
    )
    assert not twins


def test_distinct_rows_split_like_scikit_learn() -> None:
    features = pd.DataFrame({"a": np.arange(1000)})
    y = (np.arange(1000) % 5 == 0).astype(int)
    split = stratified_split(features, y, test_share=0.2, seed=1)
    assert len(split.test) == 200
    assert y[split.test].sum() == 40
    assert split.n_duplicates == 0
    assert (stratified_split(features, y, test_share=0.2, seed=1).test == split.test).all()
    assert (stratified_split(features, y, test_share=0.2, seed=2).test != split.test).any()


def test_columns_too_coarse_for_twins_split_row_by_row() -> None:
    rng = np.random.default_rng(0)
    features = pd.DataFrame({"plan": rng.integers(3, size=400), "region": rng.integers(2, size=400)})
    y = (rng.random(400) < 0.3).astype(int)
    split = stratified_split(features, y, test_share=0.2, seed=0)
    assert not split.together
    assert split.n_duplicates == 394
    assert len(split.test) == 80
    assert abs(y[split.test].sum() - 0.2 * y.sum()) <= 1


@pytest.mark.parametrize(
    ("y", "share", "message"),
    [
        ([0, 1] * 10, 0.0, "test_share=0.0 must lie between 0 and 1"),
        ([0, 1] * 10, 1.0, "must lie between"),
        ([1] + [0] * 19, 0.2, "1 positive rows of 20: too few"),
        ([0, 1] * 10, 0.01, "cannot be split with test_share=0.01"),
    ],
)
def test_splits_that_cannot_be(y: list[int], share: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        stratified_split(pd.DataFrame({"a": range(20)}), np.array(y), test_share=share)


@pytest.mark.realdata
def test_the_known_duplicates_of_a_real_table(real_data: Path) -> None:
    frame = pd.read_csv(real_data / "iranian_churn.csv")
    split = stratified_split(frame.drop(columns="Churn"), frame["Churn"].to_numpy())
    assert split.n_duplicates >= 300
