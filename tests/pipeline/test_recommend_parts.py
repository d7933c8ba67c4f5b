"""Parts of the recommender on their own: contact rules, models side by side, calibrations, saved models, figures."""

from __future__ import annotations

import dataclasses
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.metrics import brier_score_loss

from marketnn import registry
from marketnn.data import Table, assemble
from marketnn.data.table import Raw, TableOptions
from marketnn.errors import InputError
from marketnn.pipeline import Parts, recommend
from marketnn.pipeline.recommend.contacts import BEST, EVERYONE, TIERS, contact_rules
from marketnn.tracking import SavedModel
from marketnn.tracking.model import load_model, save_model

PARTS = Parts(data={"name": "csv"}, classifier={"name": "logistic"}, device="cpu")
CONFIG = recommend.Config(compare=("logistic",), n_resamples=50)
QUICK = {
    "xgboost": {"rounds": 20},
    "random_forest": {"trees": 10},
    "lmbp": {"networks": 2, "max_epochs": 5},
    "cart": {"candidates": 5},
    "logistic": {},
}


@pytest.fixture(scope="module")
def table() -> Table:
    """600 offers, accepted by what age and region say."""
    rng = np.random.default_rng(5)
    age = rng.uniform(20, 70, 600)
    region = rng.choice(["east", "north", "south"], 600)
    chance = expit((age - 45) / 10 + np.where(region == "south", 1.0, 0.0))
    frame = pd.DataFrame({"age": age, "region": region, "bought": np.where(rng.random(600) < chance, "yes", "no")})
    return assemble(Raw(frame, TableOptions(target="bought"), "shop.csv"))


def test_contact_rules_equal_brute_force() -> None:
    rng = np.random.default_rng(2)
    p, revenue = rng.random(300), rng.uniform(0.5, 8, 300)
    y = (rng.random(300) < p).astype(int)
    call, sms = 2.0, 0.3
    found = contact_rules(y, p, revenue, outbound_cost=call, sms_cost=sms)
    # Every customer's options: nothing, a call, and above .8 a message that sells as well.
    options = [
        [(0.0, 0.0), (p[i] * revenue[i] - call, y[i] * revenue[i] - call)]
        + ([(p[i] * revenue[i] - sms, y[i] * revenue[i] - sms)] if p[i] > 0.8 else [])
        for i in range(300)
    ]
    best = [max(option) for option in options]
    assert found.rules.loc[BEST, "expected_profit"] == pytest.approx(sum(expected for expected, _ in best))
    assert found.rules.loc[BEST, "observed_profit"] == pytest.approx(sum(observed for _, observed in best))
    last = p > 0.8
    assert found.rules.loc[EVERYONE, "cost"] == pytest.approx(300 * call)
    assert found.rules.loc[TIERS, "cost"] == pytest.approx(((p >= 0.2) & ~last).sum() * call + last.sum() * sms)
    assert found.rules.loc[TIERS, "messages"] == last.sum()
    assert found.saving == pytest.approx(last.sum() * (call - sms))
    assert found.tiers["rows"].tolist() == np.histogram(p, [0, 0.2, 0.5, 0.8, 1])[0].tolist()
    assert (found.rules["expected_profit"] <= found.rules.loc[BEST, "expected_profit"]).all()


def test_several_splits_give_intervals_over_splits(table: Table) -> None:
    config = dataclasses.replace(CONFIG, compare=("logistic", "cart"), n_splits=4)
    analysis = recommend.analyse(table, config, PARTS)
    scores = analysis.comparison.scores["auc"]
    assert scores.groupby(level="model").size().tolist() == [4, 4]
    for model in ("logistic", "cart"):
        four = scores.xs(model, level="model").to_numpy()
        reach = 3.182446305 * four.std(ddof=1) / 2  # t of 3 degrees of freedom at .975
        assert analysis.models.value.loc[model, "auc"] == pytest.approx(four.mean())
        assert analysis.models.high.loc[model, "auc"] == pytest.approx(four.mean() + reach)
    first = next(iter(analysis.comparison.test_rows.values()))
    np.testing.assert_array_equal(first, analysis.split.test)


def test_the_chosen_model_need_not_win_and_is_told_so(table: Table) -> None:
    parts = dataclasses.replace(PARTS, classifier={"name": "xgboost", "rounds": 2, "eta": 0.001})
    analysis = recommend.analyse(table, CONFIG, parts)
    assert analysis.models.value.index.tolist() == ["logistic", "xgboost"]
    assert analysis.models.verdict().startswith("logistic ranks best")
    assert analysis.model.classifier.name == "xgboost"


@pytest.mark.parametrize("calibration", ["isotonic", "platt", "none"])
def test_calibration_is_learnt_on_rows_of_its_own(table: Table, calibration: str) -> None:
    analysis = recommend.analyse(table, dataclasses.replace(CONFIG, calibration=calibration), PARTS)
    score = analysis.model.score(analysis.encoded.frame)
    if calibration == "none":
        assert len(analysis.calibrating) == 0
        np.testing.assert_array_equal(analysis.probability, score)
        return
    own = analysis.calibrating
    assert not set(own) & set(analysis.split.test)
    before, after = (brier_score_loss(analysis.y[own], p[own]) for p in (score, analysis.probability))
    assert after < before  # on the rows that it was fitted on it can only gain


def same(first: recommend.RecommendModel, second: recommend.RecommendModel, frame: pd.DataFrame) -> None:
    for model in (first, second):
        assert model.predict(frame, source="new", fill_missing=False)[0]["tier"].between(1, 4).all()
    pd.testing.assert_frame_equal(*(m.predict(frame, source="new", fill_missing=False)[0] for m in (first, second)))


@pytest.mark.parametrize("name", registry.names("classifier"))
def test_a_saved_model_says_the_same_bit_for_bit(table: Table, name: str, tmp_path: Path) -> None:
    parts = dataclasses.replace(PARTS, classifier={"name": name, **QUICK[name]})
    config = dataclasses.replace(CONFIG, compare=(), offer="region", revenue={"south": 2.0}, calibration="platt")
    model = recommend.analyse(table, config, parts).model
    save_model(tmp_path, model.saved())
    same(model, recommend.RecommendModel.from_saved(load_model(tmp_path)), table.frame)


@pytest.fixture(scope="module")
def saved(table: Table) -> SavedModel:
    config = dataclasses.replace(CONFIG, offer="region")
    return recommend.analyse(table, config, PARTS).model.saved()


@pytest.mark.parametrize(
    "damage",
    [
        *product(
            ["target", "encoder", "classifier", "calibration", "offer", "offers", "revenue", "threshold"], ["missing"]
        ),
        ("encoder", {}),
        ("encoder", {"numeric": {}, "categories": {}}),
        ("classifier", {}),
        ("classifier", {"name": "os"}),
        ("calibration", {"method": "isotonic", "points": [[0, 1], [1, 0]]}),
        ("offers", ["north"]),
        ("offers", ["north", "south"]),
        ("revenue", {"north": "much"}),
        ("threshold", 2),
    ],
    ids=str,
)
def test_a_damaged_model_is_named(saved: SavedModel, damage: tuple[str, object]) -> None:
    key, value = damage
    settings = {**saved.settings, key: value}
    if value == "missing":
        del settings[key]
    with pytest.raises(InputError, match="the model folder is damaged"):
        recommend.RecommendModel.from_saved(SavedModel("recommend", settings, saved.arrays))


def test_arrays_of_another_model_are_named(saved: SavedModel) -> None:
    arrays = {name: values[:1] if values.ndim else values for name, values in saved.arrays.items()}
    with pytest.raises(InputError, match="the model folder is damaged"):
        recommend.RecommendModel.from_saved(SavedModel("recommend", saved.settings, arrays))


def test_a_model_of_one_offer_knows_no_others(table: Table) -> None:
    analysis = recommend.analyse(table, CONFIG, PARTS)
    assert analysis.best_offer is None
    assert analysis.offer_probability is None
    assert list(analysis.scored) == ["probability", "tier", "action"]
    with pytest.raises(InputError, match="the model knows one offer only"):
        analysis.model.offer_probability(table.frame)


@pytest.mark.realdata
def test_bank_telemarketing(real_data: Path) -> None:
    data = {
        "name": "csv",
        "path": str(real_data / "bank_additional-full.csv.gz"),
        "target": "y",
        "leakage": ["duration"],
    }
    parts = Parts(data=data, device="cpu")
    table = parts.table()
    some = np.random.default_rng(0).permutation(len(table.frame))[:8000]
    table = dataclasses.replace(table, frame=table.frame.iloc[np.sort(some)])
    analysis = recommend.analyse(table, dataclasses.replace(CONFIG, compare=("logistic",)), parts)
    assert (analysis.models.value["auc"] > 0.75).all()
    assert analysis.leakage.suspects == ()
    assert "duration" not in analysis.encoded.frame.columns
    tiers = analysis.contacts.tiers
    hits = tiers.loc[tiers["rows"] >= 30, "hit_rate"]
    assert hits.is_monotonic_increasing
    assert analysis.evidence.gains["lift"].iloc[0] > 2.5
