"""The scorecard pipeline: what a run says is what scikit-learn says of its predictions, and a saved model says it again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.func import functional_call, jacrev

from marketnn.errors import InputError
from marketnn.pipeline import Parts, predict, scorecard
from marketnn.tracking import Run

CONFIG = scorecard.Config(members=3, max_epochs=40, max_fail=8)
N = 240


def units(n: int = N) -> pd.DataFrame:
    """Rows with a score that three of four indices and a category make, without noise but for rounding."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.uniform(0, 10, (n, 4)).round(2), columns=["profit", "loyalty", "delay", "idle"])
    frame["region"] = rng.choice(["north", "south", "west"], n)
    bonus = frame["region"].map({"north": 0, "south": 4, "west": 8})
    score = 3 * frame["profit"] + frame["profit"] * frame["loyalty"] / 4 - 2 * frame["delay"] + bonus
    frame.insert(0, "unit_id", [f"U{i:03}" for i in range(n)])
    return frame.assign(score=score.round(2))


def parts_for(path: Path, **changes: object) -> Parts:
    settings = {
        "data": {"name": "csv", "path": str(path), "target": "score"},
        "network": {"name": "bp", "hidden_sizes": [5]},
        "device": "cpu",
    }
    return Parts(**{**settings, **changes})


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "units.csv"
    units().to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def analysis(file: Path) -> scorecard.ScorecardAnalysis:
    parts = parts_for(file)
    return scorecard.analyse(parts.table(), CONFIG, parts)


def run_into(folder: Path, parts: Parts, config: scorecard.Config = CONFIG) -> Run:
    run = Run(folder, title="scorecard", n_stages=scorecard.N_STAGES)
    scorecard.run(config, parts, run)
    run.finish()
    return run


@pytest.fixture(scope="module")
def run_folder(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_into(tmp_path_factory.mktemp("scorecard") / "run", parts_for(file)).folder


def table(folder: Path, name: str, **options: object) -> pd.DataFrame:
    return pd.read_csv(folder / "tables" / f"{name}.csv", **options)


def test_the_metrics_are_those_of_the_predictions(run_folder: Path, analysis: scorecard.ScorecardAnalysis) -> None:
    metrics = json.loads((run_folder / "metrics.json").read_text())
    rows = table(run_folder, "test_rows")
    actual, predicted = rows["actual"], rows["predicted"]
    assert metrics["rmse"] == pytest.approx(root_mean_squared_error(actual, predicted), rel=1e-9)
    assert metrics["r2"] == pytest.approx(r2_score(actual, predicted), rel=1e-9)
    assert metrics["mae"] == pytest.approx(mean_absolute_error(actual, predicted), rel=1e-9)
    assert metrics["n_train"] + metrics["n_validation"] + metrics["n_test"] == metrics["n_rows"] == N
    assert metrics["n_parameters"] == 6 * 5 + 5 + 5 + 1
    assert metrics["r2"] > 0.99
    test = analysis.split.test
    np.testing.assert_array_equal(rows["row"], test + 1)
    np.testing.assert_allclose(predicted, analysis.predicted[test], rtol=1e-12)
    encoded = pd.get_dummies(units().drop(columns=["unit_id", "score"]), dtype=float)
    learnt = np.setdiff1d(np.arange(N), test)
    linear = LinearRegression().fit(encoded.iloc[learnt], units()["score"].iloc[learnt])
    expected = root_mean_squared_error(actual, linear.predict(encoded.iloc[test]))
    assert metrics["rmse_linear"] == pytest.approx(expected, rel=1e-9)
    assert metrics["rmse"] < metrics["rmse_linear"] < metrics["rmse_mean"]


def test_what_moves_the_score_is_what_made_it(run_folder: Path) -> None:
    found = table(run_folder, "sensitivities", index_col="index")
    assert found.index[0] == "profit"
    assert found.at["profit", "slope"] == pytest.approx(3 + 5 / 4, abs=0.3)
    assert found.at["delay", "slope"] == pytest.approx(-2, abs=0.2)
    assert found.at["idle", "slope"] == pytest.approx(0, abs=0.1)
    assert (found.loc[["profit", "loyalty", "delay"], "sign_share"] > 0.9).all()


def test_the_folder_holds_the_pictures_and_the_words(run_folder: Path) -> None:
    pictures = {path.stem for path in (run_folder / "figures").glob("*.png")}
    assert pictures == {"predicted", "sensitivities", "training", "network"}
    page = (run_folder / "report.html").read_text()
    assert page.count("<img") == 4
    for heading in ("Rows", "How well the score is predicted", "Grades", "What moves the score"):
        assert f"<h2>{heading}</h2>" in page
    assert "A 6-5-1 network (41 parameters" in page
    grades = table(run_folder, "grades")
    assert grades["grade"].tolist() == ["excellent", "good", "medium", "pass", "poor"]
    assert grades["actual"].sum() == grades["predicted"].sum() == len(table(run_folder, "test_rows"))


def test_tensorboard_shows_the_training(run_folder: Path, analysis: scorecard.ScorecardAnalysis) -> None:
    events = EventAccumulator(str(run_folder), size_guidance={"histograms": 0})
    events.Reload()
    history = table(run_folder, "history")
    for name in ("loss", "validation_loss", "damping", "gain_ratio", "gradient_norm"):
        np.testing.assert_allclose([e.value for e in events.Scalars(f"training/{name}")], history[name], rtol=1e-6)
    start, end = events.Histograms("parameters/layers.0.weight")
    assert (start.step, end.step) == (0, analysis.fit.best_epoch)
    weights = analysis.fit.network.layers[0].weight
    assert end.histogram_value.sum == pytest.approx(weights.sum().item(), rel=1e-9)
    assert start.histogram_value.sum == pytest.approx(analysis.fit.first_weights["layers.0.weight"].sum().item())
    (spectrum,) = events.Histograms("jacobian/log10_singular_values")
    assert spectrum.histogram_value.num == 41
    assert "custom_scalars__config__" in events.Tags()["tensors"]


def test_the_spectrum_is_the_jacobians(analysis: scorecard.ScorecardAnalysis) -> None:
    network, train = analysis.model.network, analysis.split.train
    x = analysis.model.scaled(analysis.encoded.frame.iloc[train])
    parameters = {name: values.detach() for name, values in network.named_parameters()}
    jacobian = jacrev(lambda values: functional_call(network, values, (x,)).squeeze(-1))(parameters)
    matrix = np.concatenate([block.flatten(1).numpy() for block in jacobian.values()], axis=1)
    expected = np.linalg.svd(matrix, compute_uv=False)
    np.testing.assert_allclose(analysis.singular_values, expected, rtol=1e-6, atol=1e-7 * expected[0])


def test_same_seed_same_bytes(run_folder: Path, file: Path, tmp_path: Path) -> None:
    again = run_into(tmp_path / "again", parts_for(file)).folder
    for path in [run_folder / "metrics.json", *sorted((run_folder / "tables").iterdir())]:
        assert (again / path.relative_to(run_folder)).read_bytes() == path.read_bytes(), path.name
    other = run_into(tmp_path / "other", parts_for(file, seed=1)).folder
    assert (other / "metrics.json").read_bytes() != (run_folder / "metrics.json").read_bytes()


def score(
    run_folder: Path, path: Path, folder: Path, config: predict.Config | None = None, **data: object
) -> tuple[pd.DataFrame, dict[str, float], list[str]]:
    run = Run(folder, title="predict", n_stages=predict.N_STAGES)
    parts = Parts(data={"name": "csv", "path": str(path), **data}, model=str(run_folder))
    predict.run(config or predict.Config(), parts, run)
    run.finish()
    return table(folder, "predictions"), json.loads((folder / "metrics.json").read_text()), run.headlines


def test_predict_says_the_same_again(
    run_folder: Path, file: Path, analysis: scorecard.ScorecardAnalysis, tmp_path: Path
) -> None:
    scored, metrics, said = score(run_folder, file, tmp_path / "all")
    np.testing.assert_allclose(scored["score"], analysis.predicted, rtol=1e-12)
    assert scored["unit_id"].tolist() == units()["unit_id"].tolist()
    assert scored["grade"].tolist() == analysis.model.grades(analysis.predicted).tolist()
    assert metrics["rmse"] == pytest.approx(root_mean_squared_error(units()["score"], analysis.predicted), rel=1e-9)
    assert any(line.startswith("The file has the score: RMSE") for line in said)
    units().drop(columns="score").to_csv(tmp_path / "new.csv", index=False)
    without, metrics, _ = score(run_folder, tmp_path / "new.csv", tmp_path / "new")
    pd.testing.assert_frame_equal(without, scored)
    assert "rmse" not in metrics


def test_predict_states_its_policies(run_folder: Path, tmp_path: Path) -> None:
    frame = units(60).astype(object)
    frame.loc[2, "region"] = "abroad"
    frame.loc[6:8, "delay"] = 40
    frame.loc[4, "profit"] = ""
    frame["score"] = "good"
    path = tmp_path / "new.csv"
    frame.to_csv(path, index=False)
    with pytest.raises(InputError, match=r"new\.csv: column 'profit' is missing in row 5"):
        score(run_folder, path, tmp_path / "a")
    scored, metrics, said = score(run_folder, path, tmp_path / "b", missing="median")
    assert len(scored) == 60
    assert metrics["n_unknown"] == 1
    assert any("outside the range that the training rows had, most of them of 'delay'" in line for line in said)
    assert "The file's 'score' holds no two different numbers, so scores are not compared with it." in said
    frame.drop(columns=["profit", "score"]).to_csv(path, index=False)
    with pytest.raises(InputError, match=r"the model needs 'profit', which the file lacks \(1 of 5 columns\)"):
        score(run_folder, path, tmp_path / "c")
    filled = predict.Config(missing_columns="fill")
    assert len(score(run_folder, path, tmp_path / "d", filled)[0]) == 60


@pytest.mark.parametrize("damage", ["scaler", "encoder", "thresholds", "score_range", "hidden", "score_scaler"])
def test_a_damaged_model_is_named(run_folder: Path, file: Path, tmp_path: Path, damage: str) -> None:
    shutil.copytree(run_folder, tmp_path / "copy")
    path = tmp_path / "copy" / "model" / "model.json"
    content = json.loads(path.read_text())
    content["settings"][damage] = [1.0, 1.0] if damage == "score_range" else {}
    if damage == "thresholds":
        content["settings"][damage] = {"good": "much"}
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="the model folder is damaged"):
        score(tmp_path / "copy", file, tmp_path / "out")


def test_a_model_that_no_pipeline_made_is_refused(run_folder: Path, file: Path, tmp_path: Path) -> None:
    shutil.copytree(run_folder, tmp_path / "copy")
    path = tmp_path / "copy" / "model" / "model.json"
    for kind in ("inspect", "os", "predict"):
        path.write_text(json.dumps({**json.loads(path.read_text()), "kind": kind}))
        with pytest.raises(InputError, match=f"was made by pipeline={kind}, which predict cannot use"):
            score(tmp_path / "copy", file, tmp_path / "out")


@pytest.mark.parametrize("name", ["gd", "adam", "lbfgs"])
def test_other_optimizers(file: Path, tmp_path: Path, name: str) -> None:
    parts = parts_for(file, optimizer={"name": name})
    run = run_into(tmp_path / "run", parts, scorecard.Config(members=2, max_epochs=30))
    history = table(run.folder, "history")
    assert history["loss"].iloc[-1] < history["loss"].iloc[0]
    assert "damping" not in history
    assert run.metrics["restarts"] == (1 if name == "lbfgs" else 2)
    page = (run.folder / "report.html").read_text()
    assert ("trains one network at a time" in page) == (name == "lbfgs")
    events = EventAccumulator(str(run.folder))
    events.Reload()
    assert "training/loss" in events.Tags()["scalars"]
    assert not [tag for tag in events.Tags()["histograms"] if tag.startswith("jacobian")]


def test_the_scale_may_be_given(file: Path) -> None:
    parts = parts_for(file)
    config = scorecard.Config(members=1, max_epochs=5, score_range=(-40, 120), grades={"top": 0.5})
    model = scorecard.analyse(parts.table(), config, parts).model
    assert model.grades(np.array([39.9, 40.0, 200.0, -90.0])).tolist() == ["poor", "top", "top", "poor"]
    # A sigmoid's output stays inside the scale and its margin.
    assert model.score_scaler.inverse_transform(np.array([[0.0], [1.0]])).ravel() == pytest.approx([-56, 136])


def changed(**columns: object) -> pd.DataFrame:
    return units(60).astype(object).assign(**columns)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (changed(score=7), r"units\.csv: target 'score' is 7 in every row"),
        (changed(score="high"), r"units\.csv: target 'score' is text, such as 'high'; a number is needed"),
        (changed(score=[*range(58), "", ""]), r"column 'score' is missing in 2 rows \(59, 60\)"),
        (changed(profit=[*np.sqrt(range(59)), ""]), r"column 'profit' is missing in row 60; pass data\.missing=drop"),
        (changed(delay="3"), r"column 'delay' has the one value '3' in every row; pass data\.drop=\[delay\]"),
        (units(14), r"units\.csv: 14 rows leave 3 for test, which needs at least 5"),
        (
            units(60).drop(columns=["profit", "loyalty", "delay", "idle", "region"]),
            r"no column is left to be a feature",
        ),
    ],
)
def test_tables_that_cannot_be_used(frame: pd.DataFrame, message: str, tmp_path: Path) -> None:
    path = tmp_path / "units.csv"
    frame.to_csv(path, index=False)
    with pytest.raises(InputError, match=message):
        scorecard.analyse(parts_for(path).table(), CONFIG, parts_for(path))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"members": 0}, r"pipeline\.members=0 must be at least 1"),
        ({"max_epochs": 0}, r"pipeline\.max_epochs=0 must be at least 1"),
        ({"score_margin": -0.1}, r"pipeline\.score_margin=-0\.1 must lie between 0 and 1"),
        ({"score_range": (1.0,)}, r"pipeline\.score_range=\[1\.0\] must be bottom and top"),
        ({"score_range": (0.0, 10.0)}, r"column 'score' leaves pipeline\.score_range=\[0,10\] in \d+ rows"),
        ({"grades": {}}, r"pipeline\.grades=\{\} must give each grade"),
        ({"test_share": 0.9}, r"test_share=0\.9 must be above 0 and together below 1"),
    ],
)
def test_settings_that_cannot_be_used(file: Path, settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        scorecard.analyse(parts_for(file).table(), scorecard.Config(**settings), parts_for(file))


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "target", "least", "most"),
    [
        ("hospital_scorecard", "stars", 0.50, 0.63),
        ("uci_concrete", "y", 4.5, 6.6),
        ("uci_energy", "y", 0.35, 0.65),
    ],
)
def test_real_scores(real_data: Path, name: str, target: str, least: float, most: float) -> None:
    data = {"name": "csv", "path": str(real_data / f"{name}.csv"), "target": target}
    parts = Parts(data=data, device="cpu")
    analysis = scorecard.analyse(parts.table(), scorecard.Config(), parts)
    test = analysis.split.test
    assert least < root_mean_squared_error(analysis.score[test], analysis.predicted[test]) < most
