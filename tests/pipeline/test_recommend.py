"""The recommender on made-up offers to real customers, whose true chances are known: every stage equals its library."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import brier_score_loss, precision_score, roc_auc_score

from marketnn import registry
from marketnn.classify.policy import MATCHING, NORMALISED, WEIGHTED
from marketnn.data import Table, assemble
from marketnn.data.offer_history import OfferHistory, draw_offers
from marketnn.data.table import Raw, TableOptions
from marketnn.errors import InputError
from marketnn.pipeline import Parts, predict, recommend
from marketnn.tracking import Run

N_ROWS = 2400
XGBOOST = {"name": "xgboost", "rounds": 80, "eta": 0.1, "max_depth": 4}
PARTS = Parts(data={"name": "packaged", "missing": "drop"}, classifier=XGBOOST, device="cpu")
CONFIG = recommend.Config(
    compare=("logistic",), n_resamples=200, offer="offer", revenue={"service bundle": 3.0}, randomised=True
)


@pytest.fixture(scope="module")
def history() -> OfferHistory:
    customers = registry.build("data", PARTS.data).ready()
    customers = dataclasses.replace(customers, frame=customers.frame.iloc[:N_ROWS])
    return draw_offers(customers, seed=1)


@pytest.fixture(scope="module")
def table(history: OfferHistory) -> Table:
    return history.table


@pytest.fixture(scope="module")
def analysis(table: Table) -> recommend.RecommendAnalysis:
    return recommend.analyse(table, CONFIG, PARTS)


def test_the_split_has_three_parts_that_share_no_row(analysis: recommend.RecommendAnalysis) -> None:
    fit = np.setdiff1d(analysis.split.train, analysis.calibrating)
    parts = [fit, analysis.calibrating, analysis.split.test]
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(len(analysis.y)))
    assert [round(len(part) / len(analysis.y), 2) for part in parts] == [0.64, 0.16, 0.2]


def test_probabilities_are_the_classifiers_own_calibrated_by_scikit_learn(
    analysis: recommend.RecommendAnalysis,
) -> None:
    x, y = analysis.encoded.frame, analysis.y
    score = analysis.model.classifier.predict_proba(x)
    held_out = analysis.calibrating
    isotonic = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(score[held_out], y[held_out])
    np.testing.assert_allclose(analysis.probability, isotonic.predict(score), atol=1e-12)


def test_every_model_is_judged_on_the_analysis_own_test_rows(analysis: recommend.RecommendAnalysis) -> None:
    (rows,) = analysis.comparison.test_rows.values()
    np.testing.assert_array_equal(rows, analysis.split.test)
    y = analysis.y[rows]
    assert list(analysis.models.value.index) == sorted(
        ["logistic", "xgboost"], key=lambda name: -analysis.models.value.loc[name, "auc"]
    )
    for name, probability in analysis.comparison.probability.items():
        assert analysis.models.value.loc[name, "auc"] == pytest.approx(roc_auc_score(y, probability))
        assert analysis.models.value.loc[name, "brier"] == pytest.approx(brier_score_loss(y, probability))
        assert analysis.models.low.loc[name, "auc"] < analysis.models.value.loc[name, "auc"]
    confusion = analysis.models.confusion
    assert set(confusion["tp"] + confusion["fn"]) == {y.sum()}
    assert set(confusion[["tn", "fp", "fn", "tp"]].sum(axis=1)) == {len(y)}


def test_an_offers_probability_is_that_of_the_row_with_the_offer_in_it(
    analysis: recommend.RecommendAnalysis, table: Table
) -> None:
    model = analysis.model
    for offer in model.offers:
        changed = table.frame.assign(offer=offer)
        expected = model.probability(model.encode(changed).frame)
        np.testing.assert_array_equal(analysis.offer_probability[offer], expected)
    made = table.frame["offer"].to_numpy()
    own = analysis.offer_probability.to_numpy()[
        np.arange(len(made)), analysis.offer_probability.columns.get_indexer(made)
    ]
    np.testing.assert_array_equal(own, analysis.probability)


def test_the_best_offer_has_the_highest_expected_value(analysis: recommend.RecommendAnalysis) -> None:
    revenue = pd.Series(analysis.model.revenue)[analysis.offer_probability.columns]
    assert revenue["service bundle"] == 3
    assert revenue["family plan"] == 1
    value = analysis.offer_probability * revenue
    np.testing.assert_array_equal(analysis.best_offer, value.idxmax(axis=1))
    np.testing.assert_allclose(analysis.scored["expected_value"], value.max(axis=1))


def test_a_higher_price_makes_an_offer_the_best_of_more_customers(
    analysis: recommend.RecommendAnalysis, table: Table
) -> None:
    dearer = dataclasses.replace(CONFIG, revenue={"service bundle": 6.0})
    others = recommend.analyse(table, dearer, PARTS)
    before, after = ((found.best_offer == "service bundle").sum() for found in (analysis, others))
    assert before < after
    np.testing.assert_array_equal(analysis.probability, others.probability)


def test_test_rows_teach_the_model_nothing(analysis: recommend.RecommendAnalysis, table: Table) -> None:
    frame = table.frame.copy()
    repeated = frame.drop(columns=["offer", "accepted"]).duplicated(keep=False).to_numpy()
    rows = analysis.split.test[~repeated[analysis.split.test]][:40]
    frame.loc[frame.index[rows], "monthly_charges"] += 1000
    changed = recommend.analyse(dataclasses.replace(table, frame=frame), CONFIG, PARTS)
    untouched = np.setdiff1d(np.arange(len(frame)), rows)
    np.testing.assert_array_equal(analysis.split.test, changed.split.test)
    np.testing.assert_array_equal(analysis.probability[untouched], changed.probability[untouched])


def test_recommending_is_worth_what_the_true_chances_say(
    analysis: recommend.RecommendAnalysis, history: OfferHistory
) -> None:
    test, estimates = analysis.split.test, analysis.policy.table.set_index("policy")
    revenue = pd.Series(analysis.model.revenue)[history.chance.columns]
    worth = (history.chance * revenue).iloc[history.customer[test]].to_numpy()
    place = history.chance.columns.get_indexer(analysis.best_offer[test])
    recommended = worth[np.arange(len(test)), place].mean()
    for estimator in (MATCHING, WEIGHTED, NORMALISED):
        value, error = estimates.loc[estimator, ["value", "std_error"]]
        assert abs(value - recommended) < 3 * error, estimator
    for offer, truth in zip(history.chance.columns, worth.mean(axis=0), strict=True):
        value, error = estimates.loc[f"{offer} to everybody", ["value", "std_error"]]
        assert abs(value - truth) < 3 * error, offer


def test_a_feature_that_knows_the_answer_is_named_first_of_all(
    table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Run, "figure", lambda *_: None)
    frame = table.frame.copy()
    told = (frame["accepted"] == "yes").to_numpy(float) + np.random.default_rng(0).normal(0, 0.2, len(frame))
    raw = Raw(frame.assign(told=told), TableOptions(target="accepted", positive="yes"), "made up")
    out = Run(tmp_path / "run", title="recommend", n_stages=recommend.N_STAGES)
    analysis = recommend.analyse(assemble(raw), dataclasses.replace(CONFIG, n_resamples=20), PARTS)
    recommend.record(analysis, CONFIG, out)
    assert analysis.leakage.suspects == ("told",)
    assert out.headlines[0].startswith("'told' alone predicts the target almost perfectly")
    assert out.metrics["n_suspects"] == 1
    out.discard()


@pytest.fixture(scope="module")
def run_folder(table: Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recommend")
    table.frame.to_csv(folder / "offers.csv", index=False)
    parts = dataclasses.replace(PARTS, data={"name": "csv", "path": str(folder / "offers.csv"), "target": "accepted"})
    run = Run(folder / "run", title="recommend", n_stages=recommend.N_STAGES)
    recommend.run(CONFIG, parts, run)
    run.finish()
    return run.folder


def test_the_run_folder_holds_the_analysis(run_folder: Path, analysis: recommend.RecommendAnalysis) -> None:
    metrics = json.loads((run_folder / "metrics.json").read_text())
    test = analysis.split.test
    y, probability = analysis.y[test], analysis.probability[test]
    assert metrics["n_train"] + metrics["n_test"] == metrics["n_rows"] == N_ROWS
    assert metrics["positives_test"] == y.sum() == metrics["tp"] + metrics["fn"]
    assert metrics["auc"] == pytest.approx(roc_auc_score(y, probability), abs=1e-12)
    assert metrics["precision"] == pytest.approx(precision_score(y, probability >= 0.5), abs=1e-12)
    assert metrics["auc_logistic"] == pytest.approx(
        roc_auc_score(y, analysis.comparison.probability["logistic"]), abs=1e-12
    )
    assert {"accuracy", "recall", "f1", "threshold", "brier", "brier_uncalibrated"} <= set(metrics)
    assert metrics["n_suspects"] == metrics["n_seen"] == 0
    assert sum(metrics[f"tier_{tier}_size"] for tier in (1, 2, 3, 4)) == len(y)

    def read(name: str) -> pd.DataFrame:
        return pd.read_csv(run_folder / "tables" / f"{name}.csv")

    assert read("offers_made")["made"].sum() == N_ROWS
    assert read("offers")["best_of"].sum() == N_ROWS
    assert read("tiers")["accepted"].sum() == y.sum()
    assert read("importance")["importance"].sum() == pytest.approx(1)
    np.testing.assert_allclose(read("customers")["probability"], analysis.probability, rtol=1e-12)
    customers = read("customers")
    pays = customers["expected_value"] > np.where(customers["offer_probability"] > 0.8, 0.005, 0.1)
    assert ((customers["profitable_contact"] != "none") == pays).all()
    assert ((customers["profitable_contact"] == "message") == (customers["offer_probability"] > 0.8)).all()
    np.testing.assert_allclose(read("policies")["value"], analysis.policy.table["value"], rtol=1e-12)
    page = (run_folder / "report.html").read_text()
    assert page.count("<img") == len(list((run_folder / "figures").glob("*.png"))) == 9
    best = analysis.models.value.index[0]
    assert f"{best} ranks best: AUC {analysis.models.value.loc[best, 'auc']:.3f}" in page
    assert "The models&#39; numbers fit together" in page


def score(
    run_folder: Path, frame: pd.DataFrame, folder: Path, **settings: object
) -> tuple[pd.DataFrame, dict[str, float], list[str]]:
    folder.mkdir()
    frame.to_csv(folder / "new.csv", index=False)
    config = predict.Config(**{key: settings.pop(key) for key in ("missing_columns",) if key in settings})
    run = Run(folder / "run", title="predict", n_stages=predict.N_STAGES)
    parts = Parts(data={"name": "csv", "path": str(folder / "new.csv"), **settings}, model=str(run_folder))
    predict.run(config, parts, run)
    run.finish()
    predictions = pd.read_csv(run.folder / "tables" / "predictions.csv", keep_default_na=False)
    return predictions, json.loads((run.folder / "metrics.json").read_text()), run.headlines


def test_predict_scores_row_by_row(run_folder: Path, table: Table, tmp_path: Path) -> None:
    customers = pd.read_csv(run_folder / "tables" / "customers.csv")
    rows = np.random.default_rng(0).permutation(len(table.frame))[:150]
    scored, metrics, _ = score(run_folder, table.frame.iloc[rows], tmp_path / "out")
    expected = customers.drop(columns="profitable_contact").iloc[rows].reset_index(drop=True)
    assert scored["row"].tolist() == list(range(1, 151))
    pd.testing.assert_frame_equal(scored.drop(columns="row"), expected.drop(columns="row"), rtol=1e-12)
    assert metrics["n_test"] == 150
    assert metrics["brier"] < 0.25


def test_customers_who_were_offered_nothing_get_their_best_offer(
    run_folder: Path, table: Table, tmp_path: Path
) -> None:
    frame = table.frame.head(60).drop(columns=["offer", "accepted"])
    scored, metrics, _ = score(run_folder, frame, tmp_path / "out")
    np.testing.assert_array_equal(scored["probability"], scored["offer_probability"])
    customers = pd.read_csv(run_folder / "tables" / "customers.csv").head(60)
    assert scored["offer"].tolist() == customers["offer"].tolist()
    assert "auc" not in metrics


def test_predict_states_its_policies(run_folder: Path, table: Table, tmp_path: Path) -> None:
    frame = table.frame.head(60).drop(columns="accepted")
    frame.loc[3, "contract"] = "Decade"
    frame.loc[4, "offer"] = "a yacht"
    scored, metrics, said = score(run_folder, frame, tmp_path / "unknown")
    assert len(scored) == 60
    assert metrics["n_unknown"] == 2
    assert any("1 row with a value of 'offer' that no training row has" in line for line in said)
    with pytest.raises(InputError, match=r"the model needs 'tenure', 'contract', which the file lacks"):
        score(run_folder, frame.drop(columns=["tenure", "contract"]), tmp_path / "missing")


def changed(table: Table, **columns: object) -> Table:
    """Return the table with columns changed or added, typed and given roles anew."""
    raw = Raw(table.frame.assign(**columns), TableOptions(target="accepted", positive="yes"), "offers.csv")
    return assemble(raw)


def test_an_offer_column_with_one_value_is_refused(table: Table) -> None:
    with pytest.raises(InputError, match="column 'offer' has the one value 'family plan'"):
        recommend.analyse(changed(table, offer="family plan"), CONFIG, PARTS)


def test_an_offer_column_of_numbers_is_refused(table: Table) -> None:
    numbers = changed(table, offer=np.arange(len(table.frame)) % 3)
    config = dataclasses.replace(CONFIG, revenue={})
    with pytest.raises(InputError, match=r"'offer' holds numbers.*data.categorical=\[offer\]"):
        recommend.analyse(numbers, config, PARTS)


def test_a_rare_outcome_is_refused(table: Table) -> None:
    few = np.where(np.arange(len(table.frame)) < 9, "yes", "no")
    with pytest.raises(InputError, match="9 rows have accepted=yes; a recommender needs at least 10"):
        recommend.analyse(changed(table, accepted=few), CONFIG, PARTS)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"test_share": 1.0}, "pipeline.test_share=1 must lie between 0 and 1"),
        ({"calibration_share": 0.0}, "pipeline.calibration_share=0 must lie"),
        ({"threshold": 1.5}, "pipeline.threshold=1.5 must lie"),
        ({"n_splits": 0}, "pipeline.n_splits=0 must be at least 1"),
        ({"outbound_cost": -1.0}, "pipeline.outbound_cost=-1 must be a number from 0 on"),
        ({"revenue": {"service bundle": -2.0}}, "pipeline.revenue.service bundle=-2 must be"),
        ({"revenue": {"service bundel": 2.0}}, "Did you mean 'service bundle'"),
        ({"offer": "offers"}, "unknown feature in pipeline.offer 'offers'. Did you mean 'offer'"),
        ({"offer": None}, "pipeline.revenue names offers"),
        ({"offer": None, "revenue": {}}, "pipeline.randomised=true speaks of several offers"),
        ({"compare": ("xgbost",)}, "unknown classifier 'xgbost'. Did you mean 'xgboost'"),
    ],
)
def test_settings_out_of_range_are_refused(table: Table, settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        recommend.analyse(table, dataclasses.replace(CONFIG, **settings), PARTS)
