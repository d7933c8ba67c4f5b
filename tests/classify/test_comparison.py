"""One split for all models, scores against scikit-learn's, intervals against SciPy's."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn import metrics

from marketnn import registry
from marketnn.classify import Comparison, compare_classifiers
from marketnn.classify.classifiers import Classifier
from marketnn.errors import ConfigurationError, InputError
from marketnn.preprocess.encoding import Encoder
from marketnn.preprocess.splitting import stratified_split

MODELS = {
    "boosted": {"name": "xgboost", "rounds": 30},
    "linear": {"name": "logistic"},
    "stiff": {"name": "logistic", "ridge": 1e5},
}


def table(n: int = 500) -> tuple[pd.DataFrame, np.ndarray]:
    generator = np.random.default_rng(0)
    X = pd.DataFrame({"age": generator.normal(45, 12, n), "calls": generator.poisson(2, n).astype(float)})
    X["city"] = generator.choice(["a", "b", "c"], n)
    X.loc[::17, "age"] = np.nan
    odds = (X["age"].fillna(45) - 45) / 10 - 0.4 * X["calls"] + (X["city"] == "a")
    return X, (generator.random(n) < 1 / (1 + np.exp(-odds))).astype(int)


@pytest.fixture(scope="module")
def compared() -> Comparison:
    return compare_classifiers(*table(), MODELS, seeds=(0, 1, 2, 3))


def test_every_model_meets_the_same_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = table()
    fitted: dict[int, list[tuple[bytes, bytes]]] = {}
    tested: list[bytes] = []
    fit, predict = Classifier.fit, Classifier.predict_proba

    def watched_fit(self, X, y, **options):
        fitted.setdefault(options["seed"], []).append((X.to_numpy().tobytes(), y.tobytes()))
        return fit(self, X, y, **options)

    def watched_predict(self, X):
        tested.append(X.to_numpy().tobytes())
        return predict(self, X)

    monkeypatch.setattr(Classifier, "fit", watched_fit)
    monkeypatch.setattr(Classifier, "predict_proba", watched_predict)
    found = compare_classifiers(X, y, MODELS, seeds=(0, 5))
    for seed in (0, 5):
        assert len(fitted[seed]) == 3
        assert len(set(fitted[seed])) == 1
        np.testing.assert_array_equal(found.test_rows[seed], stratified_split(X, y, seed=seed).test)
    assert len(tested) == 6
    assert len(set(tested)) == 2


def test_scores_are_scikit_learns(compared: Comparison) -> None:
    X, y = table()
    split = stratified_split(X, y, seed=0)
    encoder = Encoder.fit(X.iloc[split.train])
    model = registry.build("classifier", MODELS["linear"])
    model.fit(encoder.transform(X.iloc[split.train]).frame, y[split.train])
    p = model.predict_proba(encoder.transform(X.iloc[split.test]).frame)
    np.testing.assert_array_equal(compared.probability["linear"], p)
    labels, predicted = y[split.test], (p >= 0.5).astype(int)
    assert compared.scores.loc[("linear", 0)].to_dict() == pytest.approx(
        {
            "auc": metrics.roc_auc_score(labels, p),
            "accuracy": metrics.accuracy_score(labels, predicted),
            "precision": metrics.precision_score(labels, predicted),
            "recall": metrics.recall_score(labels, predicted),
            "f1": metrics.f1_score(labels, predicted),
            "balanced_accuracy": metrics.balanced_accuracy_score(labels, predicted),
            "average_precision": metrics.average_precision_score(labels, p),
            "brier": metrics.brier_score_loss(labels, p),
        }
    )


def test_summary_is_a_t_interval(compared: Comparison) -> None:
    auc = compared.scores.loc["boosted", "auc"]
    low, high = stats.t.interval(0.95, 3, loc=auc.mean(), scale=stats.sem(auc))
    expected = [auc.mean(), auc.std(), low, high]
    assert compared.summary.loc[("boosted", "auc")].tolist() == pytest.approx(expected)


def test_paired_differences_are_split_by_split(compared: Comparison) -> None:
    means = compared.scores["auc"].groupby("model").mean()
    assert compared.best == means.idxmax()
    other = next(name for name in MODELS if name != compared.best)
    difference = compared.scores.loc[other, "brier"] - compared.scores.loc[compared.best, "brier"]
    row = compared.paired.loc[(other, "brier")]
    assert row["mean"] == pytest.approx(difference.mean())
    test = stats.ttest_1samp(difference, 0).confidence_interval(0.95)
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((test.low, test.high))
    assert compared.best not in compared.paired.index.get_level_values("model")


def test_models_and_seeds_stand_as_given(compared: Comparison) -> None:
    assert compared.scores.index.tolist() == [(model, seed) for model in MODELS for seed in range(4)]
    assert compared.seconds.index.equals(compared.scores.index)
    assert (compared.seconds > 0).all()
    assert list(compared.probability) == list(MODELS)
    assert compared.summary.index.get_level_values("model").unique().tolist() == list(MODELS)


def test_one_seed_has_no_interval() -> None:
    found = compare_classifiers(*table(), {"linear": {"name": "logistic"}})
    assert found.summary["mean"].notna().all()
    assert found.summary[["sd", "ci_low", "ci_high"]].isna().all(axis=None)
    assert found.paired.empty


def test_equal_rows_and_groups_stay_on_one_side() -> None:
    X, y = table(300)
    twice = pd.concat([X, X], ignore_index=True)
    test = compare_classifiers(twice, np.concatenate([y, y]), {"linear": {"name": "logistic"}}).test_rows[0]
    assert sorted(test % 300) == sorted(np.repeat(np.unique(test % 300), 2))
    groups = np.arange(300) // 3
    test = compare_classifiers(X, y, {"linear": {"name": "logistic"}}, groups=groups).test_rows[0]
    assert np.isin(groups, groups[test]).sum() == len(test)


def test_progress_counts_the_fits() -> None:
    told: list[tuple[str, int, int]] = []
    models = {"a": {"name": "logistic"}, "b": {"name": "logistic"}}
    compare_classifiers(*table(100), models, seeds=(0, 1), progress=lambda *done: told.append(done))
    assert told == [("a", 1, 4), ("b", 2, 4), ("a", 3, 4), ("b", 4, 4)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classifiers": {}}, "there is no classifier to compare"),
        ({"classifiers": {"a": {"name": "svm"}}}, "unknown classifier 'svm'"),
        ({"classifiers": {"a": {"name": "cart", "depth": 3}}}, "unknown key 'classifier.depth'"),
        ({"seeds": ()}, "seeds="),
        ({"seeds": (1, 1)}, "must be different"),
        ({"test_share": 1.0}, "test_share=1.0"),
        ({"groups": np.zeros(200)}, "too few"),
        ({"groups": np.zeros(3)}, "X has 200 rows, but groups has 3"),
        ({"y": np.zeros(200)}, "y is 0 in all 200 rows"),
        ({"y": np.arange(200) < 9}, "only 9 of 200 rows are of class 1"),
        ({"y": np.arange(100) % 2}, "X has 200 rows, but y has 100"),
    ],
)
def test_unusable_input_is_named(arguments, message: str) -> None:
    X, y = table(200)
    given = {"X": X, "y": y, "classifiers": {"a": {"name": "logistic"}}, **arguments}
    with pytest.raises((InputError, ConfigurationError), match=message):
        compare_classifiers(**given)
