"""Every classifier against scikit-learn or XGBoost called directly, and what holds for all of them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import xgboost as xgb
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from marketnn import registry
from marketnn.classify.classifiers import Classifier, restored
from marketnn.classify.classifiers.cart import _pruned_auc
from marketnn.classify.classifiers.lmbp import mean_slopes
from marketnn.classify.classifiers.pruning import collapse_prices, standing
from marketnn.classify.classifiers.rows import LabelledRows, hold_out, labelled
from marketnn.errors import ConfigurationError, InputError
from marketnn.network import BPNetwork

SMALL: dict[str, dict[str, Any]] = {
    "cart": {"folds": 3},
    "lmbp": {"hidden_sizes": [3], "networks": 2, "max_epochs": 15},
    "logistic": {},
    "random_forest": {"trees": 20},
    "xgboost": {"rounds": 40},
}


def table(n: int = 400, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows whose log odds are 2 strong - weak, beside a constant and noise."""
    generator = np.random.default_rng(seed)
    X = pd.DataFrame(generator.normal(size=(n, 3)), columns=["strong", "weak", "noise [<1]"])
    X["strong"] *= 50
    X["same"] = 1.0
    odds = X["strong"] / 25 - X["weak"]
    return X, (generator.random(n) < 1 / (1 + np.exp(-odds))).astype(int)


def make(name: str, **settings: Any) -> Classifier[Any]:
    return registry.build("classifier", {"name": name, **SMALL[name], **settings})


@pytest.fixture(scope="module")
def fitted() -> dict[str, Classifier[Any]]:
    X, y = table()
    return {name: make(name).fit(X, y, seed=3) for name in SMALL}


def test_all_classifiers_are_tested() -> None:
    assert registry.names("classifier") == sorted(SMALL)


@pytest.mark.parametrize("name", SMALL)
def test_probabilities_rank_new_rows(fitted: dict[str, Classifier[Any]], name: str) -> None:
    X, y = table(2000, seed=1)
    p = fitted[name].predict_proba(X)
    assert p.shape == (2000,)
    assert p.dtype == np.float64
    assert p.min() >= 0
    assert p.max() <= 1
    truth = roc_auc_score(y, X["strong"] / 25 - X["weak"])
    assert roc_auc_score(y, p) > truth - (0.06 if name == "cart" else 0.03)
    assert np.abs(p.mean() - y.mean()) < 0.05


@pytest.mark.parametrize("name", SMALL)
def test_importance_shares(fitted: dict[str, Classifier[Any]], name: str) -> None:
    shares = fitted[name].importance()
    assert shares.index.tolist() == ["strong", "weak", "noise [<1]", "same"]
    assert shares.sum() == pytest.approx(1, abs=1e-12)
    assert shares.min() >= 0
    assert shares.idxmax() == "strong"
    assert shares["same"] < 1e-9


@pytest.mark.parametrize("name", SMALL)
def test_saved_and_restored_are_equal_bit_for_bit(fitted: dict[str, Classifier[Any]], name: str) -> None:
    X, _ = table(300, seed=2)
    state, tensors = fitted[name].saved()
    again = restored(json.loads(json.dumps(state)), tensors)
    np.testing.assert_array_equal(again.predict_proba(X), fitted[name].predict_proba(X))
    pd.testing.assert_series_equal(again.importance(), fitted[name].importance())
    assert all(isinstance(tensor, torch.Tensor) for tensor in tensors.values())


@pytest.mark.parametrize("name", SMALL)
def test_a_seed_repeats_and_global_random_state_stays(fitted: dict[str, Classifier[Any]], name: str) -> None:
    X, y = table()
    state = torch.get_rng_state()
    again = make(name).fit(X, y, seed=3)
    np.testing.assert_array_equal(again.predict_proba(X), fitted[name].predict_proba(X))
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("name", SMALL)
def test_progress_is_told(name: str) -> None:
    told: list[tuple[str, int, int]] = []
    X, y = table(120)
    make(name).fit(X, y, progress=lambda *done: told.append(done))
    assert all(0 < done <= planned and what == name for what, done, planned in told)
    assert bool(told) is (name != "logistic")


def test_xgboost_is_xgboost() -> None:
    X, y = table()
    ours = make("xgboost", validation_share=0, rounds=30, colsample_bytree=1).fit(X, y, seed=5)
    settings = {"learning_rate": 0.05, "max_depth": 5, "min_child_weight": 10, "subsample": 0.8}
    theirs = xgb.XGBClassifier(n_estimators=30, random_state=5, tree_method="hist", n_jobs=1, **settings)
    theirs.fit(X.to_numpy(), y)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X.to_numpy())[:, 1], atol=1e-7)
    np.testing.assert_allclose(ours.importance(), theirs.feature_importances_, atol=1e-6)


def test_xgboost_stops_early_on_the_validation_rows() -> None:
    X, y = table()
    others, labels = table(400, seed=9)
    stopped = make("xgboost", rounds=60, eta=0.3, early_stopping_rounds=60).fit(X, y, validation=(others, labels))
    boosted = xgb.train(
        {"objective": "binary:logistic", "max_depth": 5, "min_child_weight": 10, "eta": 0.3, "subsample": 0.8}
        | {"colsample_bytree": 0.6, "tree_method": "hist", "seed": 0},
        xgb.QuantileDMatrix(X.to_numpy(dtype=np.float32), y),
        60,
    )
    loss = []
    for trees in range(1, 61):
        p = boosted[:trees].inplace_predict(others.to_numpy(dtype=np.float32))
        loss.append(-np.log(np.where(labels == 1, p, 1 - p)).mean())
    best = int(np.argmin(loss)) + 1
    assert best < 60
    p = boosted[:best].inplace_predict(others.to_numpy(dtype=np.float32))
    np.testing.assert_array_equal(stopped.predict_proba(others), p.astype(np.float64))


def test_contributions_sum_to_the_log_odds(fitted: dict[str, Classifier[Any]]) -> None:
    X, _ = table(100, seed=4)
    found = fitted["xgboost"].contributions(X)
    assert found is not None
    assert found.columns.tolist() == [*X.columns, "bias"]
    p = fitted["xgboost"].predict_proba(X)
    np.testing.assert_allclose(found.sum(axis=1), np.log(p / (1 - p)), atol=1e-5)
    assert fitted["logistic"].contributions(X) is None


def test_search_takes_a_better_setting() -> None:
    X, y = table(300)
    poor = {"rounds": 20, "max_depth": 1, "min_child_weight": 60.0, "eta": 0.02}
    model = make("xgboost", search=4, **poor).fit(X, y)
    assert model.config.search == 0
    assert model.config.rounds == 20
    assert model.config.max_depth > 1
    again = make("xgboost", search=4, **poor).fit(X, y)
    assert again.config == model.config
    new, labels = table(2000, seed=1)
    given = make("xgboost", **poor).fit(X, y)
    assert roc_auc_score(labels, model.predict_proba(new)) > roc_auc_score(labels, given.predict_proba(new))


def test_logistic_is_scikit_learns() -> None:
    X, y = table()
    scaler = StandardScaler().fit(X)
    theirs = LogisticRegression(C=0.5, tol=1e-10, max_iter=1000).fit(scaler.transform(X), y)
    ours = make("logistic", ridge=2.0).fit(X, y)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(scaler.transform(X))[:, 1], atol=1e-6)


def test_logistic_takes_columns_that_separate_or_depend() -> None:
    X, y = table()
    X["leak"] = y
    X["twin"] = X["weak"]
    model = make("logistic").fit(X, y)
    assert model.importance().idxmax() == "leak"
    assert model.importance()["twin"] == pytest.approx(model.importance()["weak"], rel=1e-6)


def test_forest_is_scikit_learns() -> None:
    X, y = table()
    theirs = RandomForestClassifier(20, min_samples_leaf=10, max_samples=400, random_state=5).fit(X.to_numpy(), y)
    ours = make("random_forest").fit(X, y, seed=5)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X.to_numpy())[:, 1], atol=1e-12)
    np.testing.assert_allclose(ours.importance(), theirs.feature_importances_, atol=1e-12)


def test_cart_is_scikit_learns_at_the_chosen_price() -> None:
    X, y = table()
    ours = make("cart", min_samples_leaf=3).fit(X, y, seed=5)
    theirs = DecisionTreeClassifier(min_samples_leaf=3, ccp_alpha=ours.price, random_state=5).fit(X, y)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(ours.predict_proba(X), theirs.predict_proba(X)[:, 1])
    unpruned = DecisionTreeClassifier(min_samples_leaf=3, random_state=5).fit(X, y)
    assert 1 < theirs.get_n_leaves() < unpruned.get_n_leaves()


@pytest.mark.parametrize("min_samples_leaf", [1, 7])
def test_one_pass_prunes_as_a_fit_per_price_does(min_samples_leaf: int) -> None:
    X, y = table(250)
    x = X.to_numpy()
    grown = DecisionTreeClassifier(min_samples_leaf=min_samples_leaf, random_state=0).fit(x, y)
    path = grown.cost_complexity_pruning_path(x, y).ccp_alphas
    prices = np.unique(np.concatenate([[0.0], (path[:-1] + path[1:]) / 2, [1.0]]))
    tree = grown.tree_
    risk = tree.weighted_n_node_samples / len(y) * tree.impurity
    price = collapse_prices(tree.children_left, tree.children_right, risk)
    expected = []
    for at in prices:
        refit = DecisionTreeClassifier(min_samples_leaf=min_samples_leaf, random_state=0, ccp_alpha=at).fit(x, y)
        answers = standing(tree.children_left, tree.children_right, price, at)
        np.testing.assert_array_equal(tree.value[answers[grown.apply(x)], 0, 1], refit.predict_proba(x)[:, 1])
        expected.append(roc_auc_score(y, refit.predict_proba(x)[:, 1]))
    np.testing.assert_allclose(_pruned_auc(grown, LabelledRows(x, y, tuple(X)), prices), expected, atol=1e-12)


def test_lmbp_on_any_device(device: torch.device) -> None:
    X, y = table(150)
    here = make("lmbp").fit(X, y, device=device).predict_proba(X)
    np.testing.assert_allclose(here, make("lmbp").fit(X, y, device="cpu").predict_proba(X), atol=1e-9)


def test_lmbp_goes_in_batches_beyond_its_limit() -> None:
    X, y = table(2500)
    new, labels = table(1000, seed=1)
    whole, batches = (make("lmbp", full_batch_rows=rows).fit(X, y).predict_proba(new) for rows in (2500, 100))
    assert np.abs(whole - batches).max() > 1e-6
    assert roc_auc_score(labels, batches) > roc_auc_score(labels, whole) - 0.01


def test_mean_slopes_are_central_differences() -> None:
    networks = BPNetwork((3, 4, 1), hidden="tanh", members=2, seed=1)
    z = torch.from_numpy(np.random.default_rng(0).normal(size=(20, 3)))
    step = 1e-5 * torch.eye(3, dtype=torch.float64)
    with torch.no_grad():
        slopes = torch.stack([((networks(z + e) - networks(z - e)) / 2e-5).abs().mean() for e in step])
    torch.testing.assert_close(mean_slopes(networks, z), slopes, atol=1e-9, rtol=0)


def test_held_out_rows_have_no_twin_among_those_to_learn_from() -> None:
    X, y = table(200)
    rows = labelled(pd.concat([X, X]), np.concatenate([y, y]))
    learn, stop = hold_out(rows, 0.2, seed=0)
    assert len(learn.y) + len(stop.y) == 400
    assert len(stop.y) == 80
    assert not {row.tobytes() for row in learn.x} & {row.tobytes() for row in stop.x}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda X, y: make("logistic").predict_proba(X), "the classifier logistic is not fitted"),
        (lambda X, y: make("xgboost").saved(), "the classifier xgboost is not fitted"),
        (lambda X, y: make("cart").fit(X, np.ones(len(y))), "both classes, 0 and 1, are needed"),
        (lambda X, y: make("cart").fit(X, np.arange(len(y)) < 9), "only 9 of 400 rows are of class 1"),
        (lambda X, y: make("cart").fit(X, y[1:]), "X has 400 rows, but y has 399"),
        (lambda X, y: make("cart").fit(X.assign(same="a"), y), "not numeric: column 'same'"),
        (lambda X, y: make("cart").fit(X, y, validation=(X[["weak"]], y)), "the columns are not the fitted ones"),
        (lambda X, y: make("logistic").fit(X, y).predict_proba(X[X.columns[::-1]]), "column 1 is 'same'"),
        (lambda X, y: make("xgboost", eta=0.0), "eta=0 is not possible"),
        (lambda X, y: make("xgboost", validation_share=1.0), "validation_share=1"),
        (lambda X, y: make("cart", folds=11), "folds=11 is not possible"),
        (lambda X, y: make("logistic", ridge=0.0), "ridge=0 is not possible"),
        (lambda X, y: make("random_forest", max_features=1.5), "max_features=1.5"),
        (lambda X, y: make("lmbp", networks=0), "networks=0 is not possible"),
    ],
)
def test_unusable_input_is_named(call, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call(*table())


def test_an_unknown_classifier_is_named() -> None:
    with pytest.raises(ConfigurationError, match="Did you mean 'xgboost'"):
        registry.build("classifier", {"name": "xgbost"})


@pytest.mark.parametrize("name", SMALL)
def test_a_damaged_state_is_refused(fitted: dict[str, Classifier[Any]], name: str) -> None:
    state, tensors = fitted[name].saved()
    damaged = [{**state, "name": "none"}, {**state, "settings": 3}, {"name": name}, {**state, "columns": ["strong"]}]
    damaged += [{**state, "booster": "{}"}] if name == "xgboost" else []
    for wrong in damaged:
        with pytest.raises(InputError):
            restored(wrong, tensors)
    for key in tensors:
        with pytest.raises(InputError, match="damaged"):
            restored(state, {other: tensor for other, tensor in tensors.items() if other != key})


@pytest.mark.parametrize(("key", "wrong"), [("left", -1), ("right", 10**6), ("feature", 4), ("depth", 10**9)])
def test_trees_that_lead_nowhere_are_refused(fitted: dict[str, Classifier[Any]], key: str, wrong: int) -> None:
    state, tensors = fitted["random_forest"].saved()
    changed = tensors[key].clone()
    changed[0] = wrong
    with pytest.raises(InputError, match="its trees do not fit together"):
        restored(state, {**tensors, key: changed})


@pytest.mark.parametrize("name", ["xgboost", "lmbp", "logistic"])
def test_real_offers(real_data, name: str) -> None:
    frame = pd.read_csv(real_data / "bank_additional-full.csv.gz").drop(columns="duration")
    y = (frame.pop("y") == "yes").to_numpy().astype(int)
    X = pd.get_dummies(frame, dtype=float).iloc[::4]
    labels = y[::4]
    learn, test = next(StratifiedKFold(4, shuffle=True, random_state=0).split(X, labels))
    settings = {"networks": 3} if name == "lmbp" else {}
    model = registry.build("classifier", {"name": name, **settings}).fit(X.iloc[learn], labels[learn])
    assert roc_auc_score(labels[test], model.predict_proba(X.iloc[test])) > 0.75
