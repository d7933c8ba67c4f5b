"""For every experiment a quick way to its rows under changed claims: the real one where it is fast, else on small inputs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from experiments import churn_claims
from experiments.claims import Claims, read_yaml
from experiments.clustering_trials import run_trials, scaled_points, summary
from experiments.experiment import Workspace, find
from experiments.ledger import Row
from experiments.optimizer_race import Lap, standings
from experiments.paper_a import (
    ck_flow,
    error_before_after,
    iteration_curves,
    limited_data,
    lm_vs_bp,
    noise_robustness,
    pre_experiment,
    recommender_tables,
    scorecard_hospitals,
    scorecard_lmbp,
)
from experiments.paper_b import choice_of_k, features
from experiments.run_folder import RunFolder
from experiments.stress import LINEAR, NETWORK, Study, ledger_row
from marketnn.classify import Comparison
from marketnn.cluster.concentration import concentration
from marketnn.data.points import draw_points

Build = Callable[[Claims], Sequence[Row]]


def builders(claims: Claims, folder: Path) -> dict[str, Build]:
    """Return experiment -> rows of given claims.

    Args:
        claims: as printed; small inputs are made so that these hold.
        folder: for made-up run folders.
    """
    whole = ("equations_2", "equations_3", "field_tables", "network_diagram", "profit_max", "table_4_1")
    by_run = [
        *(f"paper_a/{name}" for name in whole),
        *(f"paper_b/{name}" for name in ("equations", "tables_1_2", "tables_3_4")),
    ]
    churn, scorecard = churn_run(folder / "churn"), scorecard_run(claims, folder / "scorecard")
    return {name: _rerun(name, folder) for name in by_run} | {
        "paper_a/ck_flow": _of(ck_flow.ledger_row, ck_flow.follow(draw_points(200, 2, 3, 3.0, seed=5)[0], 3, seed=1)),
        "paper_a/pre_experiment": pre_experiment_rows(),
        "paper_a/iteration_curves": iteration_rows(),
        "paper_a/error_before_after": error_rows(),
        "paper_a/lm_vs_bp": race_rows(),
        "paper_a/limited_data": study_rows(limited_data.STUDY),
        "paper_a/noise_robustness": study_rows(noise_robustness.STUDY),
        "paper_a/churn_telco": lambda claims: [
            churn_claims.precision_row(claims, "x", churn),
            churn_claims.stages_row(claims, "x", churn),
            churn_claims.analysis_row(claims, "x", "Telco", churn),
        ],
        "paper_a/churn_tables": lambda claims: [
            churn_claims.analysis_row(claims, "x", table, churn) for table in ("mlc_churn", "caravan")
        ],
        "paper_a/scorecard_lmbp": lambda claims: [
            scorecard_lmbp.model_row(claims, scorecard),
            scorecard_lmbp.stages_row(claims, scorecard),
        ],
        "paper_a/scorecard_hospitals": hospital_rows(folder),
        "paper_a/recommender_tables": recommender_rows(claims),
        "paper_b/choice_of_k": choice_rows(claims),
        "paper_b/features": feature_rows(claims),
    }


def pre_experiment_rows() -> Build:
    settings = read_yaml(pre_experiment.SETTINGS)
    x = scaled_points(settings["points"])
    means = {"K-means": (2.0, 0.3), "k-medoids": (2.1, 0.2), "CLARA": (1.9, 0.1), "CK": (1.8, 0.1)}
    table = pd.DataFrame.from_dict(means, orient="index", columns=["mean", "sd"]).assign(share_at_best=0.5)
    table = pd.concat({4: table.rename_axis("algorithm")}, names=["clusters"])
    return lambda claims: [pre_experiment.points_row(claims, x), pre_experiment.runs_row(claims, table)]


def iteration_rows() -> Build:
    settings = read_yaml(iteration_curves.SETTINGS)
    x = scaled_points({**settings["points"], "n": 600})
    trials = run_trials(x, settings["algorithms"], settings["points"]["groups"], range(4))
    assert summary(trials).at["CK", "rounds"] < summary(trials).at["K-means", "rounds"]
    return lambda claims: iteration_curves.ledger_rows(claims, trials)


def error_rows() -> Build:
    """Errors of baselines that all lie the printed 13 % above CK's."""
    called = [*read_yaml(error_before_after.SETTINGS)["algorithms"]]
    errors = pd.DataFrame({"mean": {name: 1.0 if name == "CK" else 1 / 0.87 for name in called}}).rename_axis(
        "algorithm"
    )
    table = pd.concat({"made up": errors.assign(reduction_by_ck=1 - 1 / errors["mean"])}, names=["data"])
    return lambda claims: error_before_after.ledger_rows(claims, table)


def race_rows() -> Build:
    seconds = np.arange(1.0, 4.0)
    laps = [
        Lap("p", "LM", 0, np.array([1.0, 0.9, 0.8]), seconds, 1.0, True),
        Lap("p", lm_vs_bp.BP, 0, np.array([3.0, 2.0, 1.5]), seconds, 2.0, True),
    ]
    settings = {"levels": [1], "methods": {"LM": {}, lm_vs_bp.BP: {}}}
    return lambda claims: lm_vs_bp.ledger_rows(claims, standings(laps, [1]), settings)


def study_rows(study: Study) -> Build:
    errors = [(0.0, NETWORK, 1.0), (0.0, LINEAR, 1.5), (1.0, NETWORK, 3.0), (1.0, LINEAR, 2.0)]
    table = pd.DataFrame(errors, columns=[study.condition, "model", "rmse"]).assign(problem="p")
    return lambda claims: [ledger_row(study, claims, table)]


def churn_run(folder: Path) -> RunFolder:
    metrics = {"n_significant": 1, "precision": 0.75, "tp": 3, "fp": 1, "tn": 4, "fn": 2, "n_test": 10, "n_rows": 50}
    metrics |= {
        "n_churned": 5,
        "n_likely": 2,
        "n_portraits": 2,
        "auc": 0.8,
        "recall": 0.6,
        "target_precision_n_selected": 2,
    }
    tables = {
        "coefficients": "variable,coef,std_err,z,p_value\nconst,0.5,0.5,1.0,0.3173105079\nage,1.0,0.25,4.0,0.0000633425\n",
        "threshold_curve": "threshold,precision,recall,n_selected\n0.9,1.0,0.4,2\n0.5,0.75,0.6,4\n",
        "segments": "churned,likely,action\n3,1,call\n2,1,write\n",
        "likely_churners": "row\n1\n2\n",
    }
    config = "pipeline: {level: 0.05, target_precision: 0.9729}\n"
    return _run_folder(folder, metrics, config, tables)


def scorecard_run(claims: Claims, folder: Path) -> RunFolder:
    n_dimensions = claims.printed["A"]["Figure 3.1"]["model"]["dimensions"]
    directions = "dimension\n" + "\n".join(f"d{n}" for n in range(n_dimensions)) + "\n"
    metrics = {
        "n_features": n_dimensions,
        "n_parameters": (n_dimensions + 1) * 3 + 4,
        "r2": 0.98,
        "mean_direction_share": 0.95,
    }
    config = "network: {hidden_sizes: [3]}\noptimizer: {name: lm}\n"
    run = _run_folder(folder, metrics, config, {"directions": directions})
    stages = dict.fromkeys(claims.printed["A"]["Figure 3.2"]["stages"], 1.0)
    (folder / "timings.json").write_text(json.dumps(stages))
    return run


def hospital_rows(folder: Path) -> Build:
    errors = pd.DataFrame({"rmse": {scorecard_hospitals.NETWORK: 0.5, scorecard_hospitals.LINEAR: 0.6}})
    settings = read_yaml(scorecard_hospitals.SETTINGS)
    return lambda claims: [scorecard_hospitals.ledger_row(errors, Workspace(claims, folder), settings)]


def recommender_rows(claims: Claims) -> Build:
    settings = read_yaml(recommender_tables.SETTINGS)
    benefit = claims.printed["A"]["Table 4.2"]["benefits"][0]
    importance = pd.Series({benefit: 0.1, **{f"field {n}": 0.02 for n in range(45)}})
    test = np.array([0, 1] * 10)
    probability = {model: np.linspace(0.1, 0.8, 20) for model in recommender_tables.MODELS}
    shares = {model: 0.95 if model == "XGBOOST" else 0.9 for model in probability}
    scores = pd.DataFrame({"auc": 0.801, "f1": shares, "accuracy": shares})
    scores.index = pd.MultiIndex.from_tuples([(model, 0) for model in scores.index], names=["model", "seed"])
    comparison = Comparison.__new__(Comparison)
    for name, value in {"scores": scores, "probability": probability}.items():
        object.__setattr__(comparison, name, value)
    return lambda claims: [
        recommender_tables.importance_row(claims, importance, settings),
        recommender_tables.cells_row(claims),
        recommender_tables.metrics_row(claims),
        recommender_tables.roc_row(claims, comparison, settings),
        recommender_tables.bars_row(claims, comparison, test),
    ]


def choice_rows(claims: Claims) -> Build:
    table = pd.DataFrame()
    table.attrs |= {"chosen": 6, "choices": {"silhouette": 6}}
    sizes = {"seed": 0, "customers": 30_000, "buyers": 5000}
    quantity = choice_of_k.purchases(sizes, claims.printed["B"]["Figure 3"])
    spread = concentration(quantity)
    return lambda claims: [
        choice_of_k.choice_row(claims, {4.0: table}),
        choice_of_k.shares_row(claims, quantity, spread),
    ]


def feature_rows(claims: Claims) -> Build:
    importance = {name: float(share) for name, share in claims.printed["B"]["Figure 2"]["importance"].items()}
    correlation = pd.DataFrame(np.eye(len(importance)), index=importance, columns=importance)
    first, second = claims.printed["B"]["Figure 1"]["pair"]
    correlation.loc[first, second] = correlation.loc[second, first] = 0.5
    x = pd.DataFrame(columns=list(importance))
    return lambda claims: [
        features.correlation_row(claims, correlation, 0.02),
        features.importance_row(claims, x, pd.Series(importance), 0.8),
    ]


def _rerun(name: str, folder: Path) -> Build:
    experiment = find(name)
    return lambda claims: experiment.run(Workspace(claims, folder)).rows


def _of(row: Callable[..., Row], *inputs: object) -> Build:
    return lambda claims: [row(claims, *inputs)]


def _run_folder(folder: Path, metrics: dict[str, float], config: str, tables: dict[str, str]) -> RunFolder:
    (folder / "tables").mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps(metrics))
    (folder / "config.yaml").write_text(config)
    for name, text in tables.items():
        (folder / "tables" / f"{name}.csv").write_text(text)
    return RunFolder(folder)
