"""Paper A's and paper B's claims on clustering: what the rows say follows from the runs, and verdicts flip with the print."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from experiments.claims import Claims, load_claims, read_yaml
from experiments.clustering_trials import run_trials, scaled_points, summary
from experiments.experiment import Workspace
from experiments.paper_a import ck_flow, error_before_after, iteration_curves, pre_experiment
from experiments.paper_b import choice_of_k
from marketnn.data.points import draw_points


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(load_claims(), tmp_path)


def settings_of(module: Any, **changes: Any) -> dict[str, Any]:
    return read_yaml(module.SETTINGS) | changes


def errors_table(ck: float, others: dict[str, float]) -> pd.DataFrame:
    """A table as ``error_before_after`` makes it, one kind of data."""
    means = pd.DataFrame({"mean": {**others, "CK": ck}}).rename_axis("algorithm")
    table = pd.concat({"made up": means}, names=["data"])
    return table.assign(reduction_by_ck=1 - ck / table["mean"])


def test_the_summary_is_of_the_runs() -> None:
    x = scaled_points({"n": 60, "dimensions": 2, "draw": 1})
    trials = run_trials(x, {"K-means": {"name": "kmeans", "init": "random", "n_init": 1}}, 3, range(6))
    (row,) = summary(trials).itertuples()
    errors = np.array([trial.total_error for trial in trials["K-means"]])
    assert (row.mean, row.sd, row.least) == pytest.approx((errors.mean(), errors.std(), errors.min()))
    assert row.share_at_best == (errors <= errors.min() * 1.001).mean()
    for trial in trials["K-means"]:
        sse = sum(((x[trial.labels == k] - x[trial.labels == k].mean(axis=0)) ** 2).sum() for k in range(3))
        assert trial.sse == pytest.approx(sse)


def test_the_pre_experiment(workspace: Workspace) -> None:
    findings = pre_experiment.study(workspace, settings_of(pre_experiment, runs=30))
    points, runs = findings.rows
    assert [row.item for row in findings.rows] == ["Table 2.1", "Figure 2.2"]
    assert [row.verdict for row in findings.rows] == ["in kind", "in kind"]
    assert points.ours["printed points in the unit square"] == 8
    table = pd.read_csv(
        workspace.runs / pre_experiment.NAME / "tables" / "runs.csv", index_col=["clusters", "algorithm"]
    )
    assert runs.ours["k=4: CK, mean"] == pytest.approx(table.at[(4, "CK"), "mean"])
    assert table.loc[4, "mean"].idxmin() == "CK"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["A", "Table 2.1", "points", 0, 1], "1.4295"),
        (["A", "Table 2.1", "n"], 99),
        (["A", "Table 2.1", "dimensions"], 3),
    ],
)
def test_changed_points_change_the_verdict(
    changed_claims: Callable[..., Claims], path: list[str | int], value: Any
) -> None:
    x = scaled_points({"n": 100, "dimensions": 2, "draw": 0})
    assert pre_experiment.points_row(load_claims(), x).verdict == "in kind"
    assert pre_experiment.points_row(changed_claims(path, value), x).verdict == "not reproducible"


def test_the_iteration_curves(workspace: Workspace, changed_claims: Callable[..., Claims]) -> None:
    settings = settings_of(iteration_curves, runs=5)
    settings["points"] |= {"n": 1500}
    findings = iteration_curves.study(workspace, settings)
    assert [row.item for row in findings.rows] == ["Figure 4.1", "Figure 4.2", "Figure 4.3", "CK iteration curve"]
    assert {row.verdict for row in findings.rows} == {"in kind"}
    ck = findings.rows[-1]
    assert ck.ours["rounds"] < ck.ours["rounds of K-means"]
    x = scaled_points(settings["points"])
    trials = run_trials(x, settings["algorithms"], 6, range(2))
    rows = iteration_curves.ledger_rows(changed_claims(["A", "Figure 4.1", "claim"], 0), trials)
    assert rows[0].verdict == "not reproducible"
    assert all(trial.history[-1] == pytest.approx(trial.sum_distances) for trial in trials["CLARA"])


def test_the_thirteen_percent(workspace: Workspace, changed_claims: Callable[..., Claims]) -> None:
    settings = settings_of(error_before_after, runs=3)
    settings["points"] = {"separated": {"n": 600, "dimensions": 3, "groups": 6, "separation": 4.0, "draw": 0}}
    settings["orders"] = settings["orders"] | {"file": "none.parquet"}
    figure, reduction = error_before_after.study(workspace, settings).rows
    assert (figure.item, figure.verdict) == ("Figure 4.4", "in kind")
    assert (reduction.item, reduction.verdict) == ("Error reduction of 13 %", "not reproducible")
    assert reduction.ours["greatest reduction against k-means++ with restarts"] < 0.01
    assert "By how much CK's mean error on separated data is lower: K-means, one start" in figure.reason
    others = dict.fromkeys(("K-means, one start", "k-means++, 20 starts", "k-medoids", "CLARA"), 1 / 0.87)
    claims, table = load_claims(), errors_table(1.0, others)
    assert [row.verdict for row in error_before_after.ledger_rows(claims, table)] == ["in kind", "in kind"]
    changed = changed_claims(["A", "Error reduction of 13 %", "reduction"], "0.15")
    assert error_before_after.ledger_rows(changed, table)[1].verdict == "not reproducible"
    worse = errors_table(1.0, others | {"CLARA": 0.99})
    assert error_before_after.ledger_rows(claims, worse)[0].verdict == "not reproducible"


def test_the_steps_of_ck(workspace: Workspace, changed_claims: Callable[..., Claims]) -> None:
    flow = ck_flow.follow(draw_points(300, 2, 4, 3.0, seed=5)[0], 4, seed=1)
    row = ck_flow.ledger_row(workspace.claims, flow)
    assert flow.holds == (True,) * 5
    assert row.verdict == "in kind"
    assert flow.after <= flow.before
    changed = changed_claims(["A", "Figure 2.3", "steps", "K-means starts at them"], 0)
    assert ck_flow.ledger_row(changed, flow).verdict == "not reproducible"


def test_the_choice_of_k_and_who_buys_most(workspace: Workspace, changed_claims: Callable[..., Claims]) -> None:
    settings = settings_of(choice_of_k, n=300, separations=[4], customers=3000, buyers=500)
    choice, shares = choice_of_k.study(workspace, settings).rows
    assert (choice.item, choice.verdict, choice.ours["best number of clusters"]) == ("Number of clusters", "in kind", 6)
    assert (shares.item, shares.verdict) == ("Figure 3", "in kind")
    assert shares.ours["mean quantity of the great, 500 of 30,000"] == pytest.approx(9600)
    table = pd.DataFrame()
    table.attrs |= {"chosen": 6, "choices": {"silhouette": 6}}
    changed = changed_claims(["B", "Number of clusters", "chosen"], 5)
    assert choice_of_k.choice_row(changed, {4.0: table}).verdict == "not reproducible"


@pytest.mark.parametrize(
    ("path", "value"), [(["B", "Figure 3", "buyers"], 5000), (["B", "Figure 3", "volume_share"], "0.50")]
)
def test_changed_shares_change_the_verdict(
    changed_claims: Callable[..., Claims], path: list[str | int], value: Any
) -> None:
    printed = load_claims().printed["B"]["Figure 3"]
    quantity = choice_of_k.purchases({"seed": 0, "customers": 30_000, "buyers": 5000}, printed)
    spread = choice_of_k.concentration(quantity)
    assert quantity.min() >= printed["least"]
    assert quantity.max() > printed["most"]
    assert choice_of_k.shares_row(load_claims(), quantity, spread).verdict == "in kind"
    assert choice_of_k.shares_row(changed_claims(path, value), quantity, spread).verdict == "not reproducible"
    repaired = changed_claims(["B", "Figure 3", "buyers_share"], ["0.167", "0.167"], errata=True)
    assert choice_of_k.shares_row(repaired, quantity, spread).verdict == "not reproducible"
