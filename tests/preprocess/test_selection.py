"""Feature selection against paper B's own eight features, and against correlations and importances computed elsewhere."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr

from marketnn.data.omnichannel import draw_customers
from marketnn.errors import InputError
from marketnn.preprocess import PearsonImportanceSelector, advise_scaler

PRINTED = {  # figure 2
    "age": 0.11, "income": 0.13, "region": 0.11, "quantity": 0.29, "gender": 0.0, "amount": 0.20, "positive_feedback": 0.11,
    "orders": 0.05,
}  # fmt: skip


def of_half(n: int = 400, seed: int = 0) -> pd.DataFrame:
    """Eight columns whose correlations are exactly 0 but for amount and orders, which is exactly .5."""
    z = np.linalg.qr(np.column_stack([np.ones(n), np.random.default_rng(seed).normal(size=(n, 8))]))[0][:, 1:]
    frame = pd.DataFrame(z, columns=list(PRINTED))
    frame["orders"] = (0.5 + 1e-12) * frame["amount"] + np.sqrt(0.75) * frame["orders"]
    return frame


def test_the_papers_eight_features_leave_six() -> None:
    found = PearsonImportanceSelector().fit(of_half(), importance=PRINTED)
    assert list(found.get_feature_names_out()) == ["age", "income", "region", "quantity", "amount", "positive_feedback"]
    assert dict(found.dropped_) == {
        "orders": "correlates 0.50 with amount, which is more important",
        "gender": "holds 0.0% of the importance",
    }
    assert found.importance_.sum() == pytest.approx(1)
    (pair,) = found.pairs_.itertuples(index=False)
    assert (pair.first, pair.second, pair.dropped) == ("amount", "orders", "orders")
    assert pair.r == pytest.approx(0.5, abs=1e-10)


def test_on_customers_the_outcome_gives_the_importances() -> None:
    frame = draw_customers(8_000, seed=2).frame
    frame["gender"] = (frame["gender"] == "male").astype(float)
    x = frame[list(PRINTED)]
    found = PearsonImportanceSelector(threshold=0.495).fit(x, frame["orders_again"])
    assert found.importance_.idxmax() == "quantity"
    assert "gender" in found.dropped_
    expected = pearsonr(x["amount"], x["orders"])
    assert found.correlation_.at["amount", "orders"] == pytest.approx(expected.statistic, abs=1e-12)
    kept = found.transform(x)
    assert list(found.set_output(transform="pandas").transform(x).columns) == list(found.get_feature_names_out())
    assert kept.shape == (8_000, 8 - len(found.dropped_))


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10**6), threshold=st.floats(0.2, 0.9), d=st.integers(2, 7))
def test_no_strong_pair_stays_and_nothing_goes_without_a_reason(seed: int, threshold: float, d: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(30, d)) @ rng.normal(size=(d, d))
    importance = rng.random(d) + 0.1
    found = PearsonImportanceSelector(threshold, negligible=0.0).fit(x, importance=importance)
    kept = np.flatnonzero(found.get_support())
    r = np.abs(np.corrcoef(x, rowvar=False))
    assert (r[np.ix_(kept, kept)][np.triu_indices(len(kept), 1)] < threshold).all()
    for gone in np.flatnonzero(~found.get_support()):
        assert any(
            r[gone, other] >= threshold and importance[other] >= importance[gone] for other in range(d) if other != gone
        )


def test_a_constant_feature_correlates_with_nothing() -> None:
    x = np.column_stack([np.arange(5.0), np.ones(5), -np.arange(5.0)])
    found = PearsonImportanceSelector().fit(x, importance=np.array([3.0, 0.0, 1.0]))
    np.testing.assert_allclose(found.correlation_, [[1, 0, -1], [0, 1, 0], [-1, 0, 1]], atol=1e-15)
    assert list(found.get_support()) == [True, False, False]


def test_a_numeric_outcome_is_regressed() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 3))
    found = PearsonImportanceSelector().fit(x, 3 * x[:, 1] + 0.01 * rng.normal(size=500))
    assert found.importance_.idxmax() == "x2"


@pytest.mark.parametrize(
    ("arguments", "given_", "message"),
    [
        ({"threshold": 0}, {"importance": [1, 1]}, "threshold=0"),
        ({"negligible": 1.0}, {"importance": [1, 1]}, "negligible=1.0"),
        ({}, {}, "neither importances nor an outcome"),
        ({}, {"importance": [1, -1]}, "'x2' is -1"),
        ({}, {"importance": [1, 2, 3]}, "shape"),
        ({}, {"importance": {"x1": 1.0}}, "'x2' is nan"),
        ({}, {"importance": {"x1": 1.0, "y2": 1.0}}, "y2"),
        ({}, {"importance": [0, 0]}, "all importances are 0"),
        ({}, {"y": [1, 1, 1, 1]}, "the same in all rows"),
        ({}, {"y": [1, 0, 1]}, "4 rows"),
    ],
)
def test_bad_input(arguments: dict[str, float], given_: dict[str, object], message: str) -> None:
    x = np.array([[0.0, 1], [1, 0], [2, 2], [3, 1]])
    with pytest.raises(InputError, match=message):
        PearsonImportanceSelector(**arguments).fit(x, **given_)  # type: ignore[arg-type]


def test_two_rows_are_no_correlation() -> None:
    with pytest.raises(InputError, match="at least 3"):
        PearsonImportanceSelector().fit(np.eye(2), importance=np.array([1, 1]))


def test_outliers_ask_for_z_scores() -> None:
    x = pd.DataFrame(
        {"age": np.linspace(20, 60, 101), "spend": [*np.linspace(0, 10, 100), 1_000.0], "flag": [1.0] + [0.0] * 100}
    )
    found = advise_scaler(x)
    assert found.scaler == "standard"
    assert found.reason == "1 of 101 values of spend are outliers, which would set min-max's scale."
    low, high = np.quantile(x["spend"], [0.25, 0.75])
    assert found.table.at["spend", "upper_fence"] == pytest.approx(high + 3 * (high - low))
    assert found.table["outliers"].tolist() == [0, 1, 0]
    assert advise_scaler(x[["age", "flag"]]).scaler == "minmax"
