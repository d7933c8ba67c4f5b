"""Made-up customers hold what paper B prints of its own."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import adjusted_rand_score
from xgboost import XGBClassifier

from marketnn.cluster import HierarchicalKMeans
from marketnn.data import Role
from marketnn.data.omnichannel import CENTRES, FEATURES, GREAT_BUYERS, Config, build, draw_customers
from marketnn.errors import InputError

PRINTED = {  # figure 2
    "quantity": 0.29, "amount": 0.20, "income": 0.13, "age": 0.11, "region": 0.11, "positive_feedback": 0.11, "orders": 0.05,
    "gender": 0.0,
}  # fmt: skip


def test_the_segments_lie_where_table_2_says() -> None:
    drawn = draw_customers(seed=3)
    counts = np.bincount(drawn.segment)[1:]
    assert counts[0] == 500  # the paper's 500 of 30,000
    for segment, count in enumerate(counts):
        mean = drawn.z[drawn.segment == segment + 1].mean(axis=0)
        assert (np.abs(mean - CENTRES[segment]) < 5 * 0.8 / np.sqrt(count)).all()


@pytest.mark.parametrize(
    ("n", "scenario", "great"),
    [(3_000, "one_in_six", 500), (30_000, "one_in_six", 5_000), (30_000, "one_in_sixty", 500)],
)
def test_the_great_buyers_are_those_of_figure_3(n: int, scenario: str, great: int) -> None:
    quantity = draw_customers(n, scenario, seed=1).frame["quantity"]  # type: ignore[arg-type]
    above = quantity > 400
    assert above.sum() == great
    assert quantity.mean() == pytest.approx(400, rel=1e-3)
    assert quantity[above].sum() / quantity.sum() == pytest.approx(0.4, abs=1e-3)
    assert quantity[above].mean() == pytest.approx(GREAT_BUYERS[scenario], rel=1e-3)
    assert quantity.min() >= 10


@pytest.mark.parametrize("seed", range(5))
def test_amount_and_count_correlate_by_a_half_and_nothing_else_does(seed: int) -> None:
    frame = draw_customers(seed=seed).frame.drop(columns=["customer_id", "orders_again"])
    frame["gender"] = frame["gender"] == "male"
    r = frame.corr().to_numpy()
    pair = list(frame).index("amount"), list(frame).index("orders")
    assert r[pair] == pytest.approx(0.5, abs=0.02)
    others = np.abs(r[np.triu_indices(8, 1)])
    assert np.sort(others)[-2] < 0.5


def test_who_orders_hangs_on_the_features_in_the_order_of_figure_2() -> None:
    frame = draw_customers().frame
    frame["gender"] = (frame["gender"] == "male").astype(float)
    model = XGBClassifier(n_estimators=60, max_depth=4, learning_rate=0.1, n_jobs=1)
    model.fit(frame[list(PRINTED)], frame["orders_again"])
    gain = model.get_booster().get_score(importance_type="total_gain")
    assert spearmanr([gain.get(name, 0.0) for name in PRINTED], list(PRINTED.values())).statistic >= 0.8


@pytest.mark.parametrize("scenario", list(GREAT_BUYERS))
def test_hierarchical_k_means_finds_the_six_segments(scenario: str) -> None:
    drawn = draw_customers(12_000, scenario)  # type: ignore[arg-type]
    x = drawn.frame[list(FEATURES)].to_numpy()
    found = HierarchicalKMeans(6, random_state=0).fit_predict((x - x.mean(axis=0)) / x.std(axis=0))
    assert adjusted_rand_score(drawn.segment, found) > 0.98


def test_the_table_has_roles_and_the_same_draw_the_same_customers() -> None:
    table = build(Config(n=600, target="orders_again"))
    assert table.schema.names(Role.ID) == ["customer_id"]
    assert len(table.schema.features) == 8
    again = build(Config(n=600, target="orders_again"))
    assert table.frame.equals(again.frame)
    assert not table.frame.equals(build(Config(n=600, target="orders_again", draw=1)).frame)


@pytest.mark.parametrize("wrong", [{"n": 59}, {"seed": -1}, {"scenario": "one_in_ten"}])
def test_numbers_out_of_range(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError, match="one_in_six"):
        draw_customers(**wrong)  # type: ignore[arg-type]
