"""The scorecard estimator: near the best possible score, right directions, plans within budget, clear refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold

from marketnn.data.index_scores import IndexScores, draw_index_scores
from marketnn.errors import InputError
from marketnn.scorecard import IndexSystem, PerformanceModel

TRAIN, TEST = slice(0, 800), slice(800, 1250)


@pytest.fixture(scope="module")
def drawn() -> IndexScores:
    return draw_index_scores(1250)


@pytest.fixture(scope="module")
def model(drawn: IndexScores) -> PerformanceModel:
    fresh = PerformanceModel(drawn.system, restarts=3, score_range=(0, 1), device="cpu", random_state=0)
    return fresh.fit(drawn.indices[TRAIN], drawn.score[TRAIN])


def costs_by_range(system: IndexSystem) -> dict[str, float]:
    return {index.code: 10 / (index.high - index.low) for index in system.indices}


def test_unseen_units_are_scored_nearly_as_well_as_possible(model: PerformanceModel, drawn: IndexScores) -> None:
    x, score = drawn.indices[TEST], drawn.score[TEST]
    assert 0.965 <= model.score(x, score) <= drawn.ceiling + 0.005
    assert model.errors(x, score).r2 == pytest.approx(model.score(x, score))
    noise = np.sqrt(np.mean((drawn.truth[TEST] - score) ** 2))
    assert model.errors(x, score).rmse < 1.25 * noise


def test_slopes_have_the_indices_directions(model: PerformanceModel, drawn: IndexScores) -> None:
    table = model.sensitivities(drawn.indices[TEST])
    assert set(table.index) == set(drawn.system.codes)
    assert table["right_share"].min() >= 0.9
    slopes = model.slopes(drawn.indices[TEST])
    step = 1e-4
    moved = drawn.indices[TEST].assign(FIN3=lambda x: x["FIN3"] + step)
    by_difference = (model.predict(moved) - model.predict(drawn.indices[TEST])) / step
    np.testing.assert_allclose(slopes["FIN3"], by_difference, rtol=1e-3, atol=1e-8)


def test_grades_follow_the_scores(model: PerformanceModel, drawn: IndexScores) -> None:
    predicted = model.predict(drawn.indices)
    grades = model.grade(drawn.indices)
    assert set(grades) <= {"excellent", "good", "medium", "pass", "poor"}
    assert ((predicted >= 0.85) == (grades == "excellent")).all()
    assert ((predicted < 0.40) == (grades == "poor")).all()


def test_what_if_scores_the_changed_rows(model: PerformanceModel, drawn: IndexScores) -> None:
    x = drawn.indices[TEST]
    found = model.what_if(x, {"CUS2": 2.0, "FIN3": -1.0})
    changed = x.assign(CUS2=x["CUS2"] + 2, FIN3=x["FIN3"] - 1)
    np.testing.assert_allclose(found["changed_score"], model.predict(changed), rtol=1e-12)
    np.testing.assert_allclose(found["difference"], found["changed_score"] - found["score"])
    assert (found["difference"] > 0).all()
    assert (found["changed_grade"] == model.grade(changed)).all()
    assert (model.what_if(x, {})["difference"] == 0).all()


def test_more_budget_buys_more_and_only_for_the_better(model: PerformanceModel, drawn: IndexScores) -> None:
    row = drawn.indices.iloc[[int(np.argmin(drawn.score))]]
    costs, bounds = costs_by_range(drawn.system), drawn.indices[TRAIN].agg(["min", "max"])
    improved = [model.predict(row)[0]]
    for budget in (0.0, 10.0, 60.0):
        plan = model.cheapest_improvement(row, unit_costs=costs, budget=budget)
        improved.append(plan.improved_score)
        assert plan.score == model.predict(row)[0]
        assert plan.cost <= budget + 1e-8
        assert plan.changes["cost"].sum() == pytest.approx(plan.cost)
        assert plan.gap <= 1e-5
        after = row.assign(**plan.changes["after"])
        assert model.predict(after)[0] == pytest.approx(plan.improved_score)
        assert (np.sign(plan.changes["change"]) == drawn.system.signs[plan.changes.index]).all()
        assert ((after >= bounds.loc["min"] - 1e-9) & (after <= bounds.loc["max"] + 1e-9)).all(axis=None)
    assert improved[0] == improved[1] < improved[2] < improved[3]


def test_only_what_has_a_cost_changes_and_within_its_bounds(model: PerformanceModel, drawn: IndexScores) -> None:
    row = drawn.indices.iloc[0]
    limit = row["CUS2"] + 1.5
    plan = model.cheapest_improvement(
        row, unit_costs={"CUS2": 1.0, "FIN3": 100.0}, budget=2.0, bounds={"CUS2": (0.0, limit)}
    )
    assert set(plan.changes.index) == {"CUS2", "FIN3"}
    assert plan.changes.at["CUS2", "after"] == pytest.approx(limit)
    assert plan.changes.at["FIN3", "change"] == pytest.approx(-0.005)


def test_hidden_layers_are_chosen_by_cross_validation(drawn: IndexScores) -> None:
    settings: dict[str, Any] = {"restarts": 2, "max_epochs": 40, "device": "cpu", "random_state": 1}
    searched = PerformanceModel(candidates=[(1,), (4,)], **settings).fit(drawn.indices[TRAIN], drawn.score[TRAIN])
    assert searched.search_ is not None
    chosen = searched.search_.chosen
    assert searched.function_.network.layer_sizes == (24, *chosen, 1)
    alone = PerformanceModel(hidden_sizes=chosen, **settings).fit(drawn.indices[TRAIN], drawn.score[TRAIN])
    np.testing.assert_array_equal(searched.predict(drawn.indices), alone.predict(drawn.indices))


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs", {"name": "lm", "evidence": True}])
def test_other_optimizers_learn_too(optimizer: Any, drawn: IndexScores) -> None:
    fresh = PerformanceModel(optimizer=optimizer, restarts=2, max_epochs=150, device="cpu", random_state=0)
    fresh.fit(drawn.indices[TRAIN], drawn.score[TRAIN])
    assert fresh.score(drawn.indices[TEST], drawn.score[TEST]) > 0.9


def test_arrays_frames_and_devices_agree(drawn: IndexScores, device: torch.device) -> None:
    settings: dict[str, Any] = {"restarts": 2, "max_epochs": 4, "hidden_sizes": (3,), "random_state": 2}
    x, score = drawn.indices[:200], drawn.score[:200]
    framed = PerformanceModel(device="cpu", **settings).fit(x, score)
    placed = PerformanceModel(device=device, **settings).fit(x.to_numpy(), score)
    assert placed.columns_[:2] == ["x1", "x2"]
    np.testing.assert_allclose(placed.predict(x.to_numpy()), framed.predict(x), rtol=1e-6)
    known = PerformanceModel(drawn.system, device="cpu", **settings).fit(x, score)
    np.testing.assert_array_equal(known.predict(x[x.columns[::-1]]), known.predict(x.to_numpy()))


def test_bad_fits(drawn: IndexScores) -> None:
    x, score = drawn.indices[:100], drawn.score[:100]
    system = drawn.system
    for model, rows, y, message in (
        (PerformanceModel(score_range=(0, 1)), x, score * 100, r"y leaves score_range=\(0, 1\) in 100 rows"),
        (PerformanceModel(score_range=(1, 0)), x, score, "bottom and top"),
        (PerformanceModel(), x, np.ones(100), "nothing to learn"),
        (PerformanceModel(), x, score[:50], "50 scores for 100 rows"),
        (PerformanceModel(), x, np.full(100, np.nan), "one finite number for each row"),
        (PerformanceModel(), x[:8], score[:8], "8 rows leave"),
        (PerformanceModel(validation_share=1.0), x, score, "validation_share=1"),
        (PerformanceModel(system), x.drop(columns="PRO3"), score, "index PRO3 has no column"),
        (PerformanceModel(IndexSystem.green()), x, score, "index GRN1 has no column"),
        (PerformanceModel(system), x.to_numpy()[:, :5], score, "5 columns, but there are 24 indices"),
        (PerformanceModel(system), x.assign(FIN1=np.nan), score, "'FIN1' is NaN"),
        (PerformanceModel(optimizer="newton"), x, score, "newton"),
    ):
        with pytest.raises(InputError, match=message):
            model.fit(rows, y)


def test_bad_questions(model: PerformanceModel, drawn: IndexScores) -> None:
    x = drawn.indices[:2]
    with pytest.raises(InputError, match="index PAR4 has no column"):
        model.predict(x.drop(columns="PAR4"))
    with pytest.raises(InputError, match="FIN9"):
        model.what_if(x, {"FIN9": 1.0})
    with pytest.raises(InputError, match="FIN1 is nan"):
        model.what_if(x, {"FIN1": float("nan")})
    for message, arguments in (
        ("one row, not 2", {"row": x, "unit_costs": {"FIN1": 1.0}, "budget": 1.0}),
        ("at least one index", {"row": x[:1], "unit_costs": {}, "budget": 1.0}),
        ("a cost above 0", {"row": x[:1], "unit_costs": {"FIN1": 0.0}, "budget": 1.0}),
        ("budget=-1", {"row": x[:1], "unit_costs": {"FIN1": 1.0}, "budget": -1.0}),
        ("lower one first", {"row": x[:1], "unit_costs": {"FIN1": 1.0}, "budget": 1.0, "bounds": {"FIN1": (2, 1)}}),
        ("FIN7", {"row": x[:1], "unit_costs": {"FIN7": 1.0}, "budget": 1.0}),
    ):
        with pytest.raises(InputError, match=message):
            model.cheapest_improvement(**arguments)  # type: ignore[arg-type]


@pytest.mark.realdata
def test_hospital_ratings_in_five_folds_beside_least_squares(real_data: Path) -> None:
    """Five restarts of 7-3-1; least squares has .5864, a random forest .6116, scikit-learn's MLPRegressor .5914."""
    x = pd.read_csv(real_data / "hospital_scorecard.csv")
    stars = x.pop("stars").to_numpy(dtype=float)
    errors: dict[str, list[np.ndarray]] = {"network": [], "least squares": []}
    for train, test in KFold(5, shuffle=True, random_state=0).split(x):
        models = {
            "network": PerformanceModel(hidden_sizes=(3,), output="identity", device="cpu", random_state=0),
            "least squares": LinearRegression(),
        }
        for name, model in models.items():
            predicted = model.fit(x.iloc[train], stars[train]).predict(x.iloc[test])
            errors[name].append((predicted - stars[test]) ** 2)
    squared = {name: np.concatenate(folds) for name, folds in errors.items()}
    rmse = {name: float(np.sqrt(values.mean())) for name, values in squared.items()}
    assert rmse["least squares"] == pytest.approx(0.5864, abs=1e-4)
    assert rmse["network"] <= 1.01 * min(rmse["least squares"], 0.5914, 0.6116)
    difference = squared["network"] - squared["least squares"]
    half_width = 1.96 * difference.std() / np.sqrt(len(difference))
    assert abs(difference.mean()) < half_width < 0.02 * squared["least squares"].mean()
