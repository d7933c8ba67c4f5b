"""The churn pipeline on real customers: every stage equals its library, and one changed row changes what follows from it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans as ScikitKMeans
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import precision_score, recall_score, roc_auc_score

from marketnn import registry
from marketnn.data import Table
from marketnn.errors import InputError
from marketnn.pipeline import Parts, churn, predict
from marketnn.pipeline.churn.analysis import retention_action
from marketnn.pipeline.churn.record import segments
from marketnn.tracking import Run

PARTS = Parts(data={"name": "packaged", "missing": "drop"}, cluster={"name": "kmeans", "n_init": 10}, device="cpu")
CONFIG = churn.Config(candidates=(2, 3, 4), actions={"tenure": "welcome them", "contract|charge": "talk about money"})


@pytest.fixture(scope="module")
def telco() -> Table:
    return registry.build("data", PARTS.data)


@pytest.fixture(scope="module")
def analysis(telco: Table) -> churn.ChurnAnalysis:
    return churn.analyse(telco, CONFIG, PARTS)


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = Run(tmp_path_factory.mktemp("churn") / "run", title="churn", n_stages=churn.N_STAGES)
    churn.run(CONFIG, PARTS, run)
    run.finish()
    return run.folder


def test_probabilities_equal_an_unpenalised_logistic_regression(analysis: churn.ChurnAnalysis) -> None:
    encoded = analysis.model.encoder.transform(analysis.table.features).frame
    columns = list(analysis.drivers.result.table.index[1:])
    train = analysis.split.train
    spread = encoded[columns].iloc[train].std()
    other = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000)
    other.fit(encoded[columns].iloc[train] / spread, analysis.y[train])
    expected = other.predict_proba(encoded[columns] / spread)[:, 1]
    np.testing.assert_allclose(analysis.probability, expected, atol=1e-5)


def test_duplicate_columns_of_no_internet_are_left_out_by_name(analysis: churn.ChurnAnalysis) -> None:
    left_out = analysis.drivers.left_out
    assert (
        len([name for name in left_out if name.endswith("=No internet service")]) + ("internet_service=No" in left_out)
        == 6
    )
    assert len(analysis.drivers.result.table) + len(left_out) == 1 + len(
        [column for columns in analysis.model.encoder.columns.values() for column in columns]
    )


def test_portraits_are_a_k_means_fixed_point(analysis: churn.ChurnAnalysis) -> None:
    encoded = analysis.model.encoder.transform(analysis.table.features).frame[analysis.drivers.kept]
    churned = encoded[analysis.y == 1]
    scaled = ((churned - churned.min()) / (churned.max() - churned.min())).to_numpy()
    k = len(analysis.model.portraits)
    labels = analysis.portraits.labels
    centres = np.stack([scaled[labels == index].mean(axis=0) for index in range(k)])
    np.testing.assert_allclose(analysis.model.centres, centres, atol=1e-9)
    again = ScikitKMeans(k, init=centres, n_init=1).fit(scaled)
    assert (again.labels_ == labels).all()
    assert analysis.portraits.total_error == pytest.approx(np.sqrt(again.inertia_), rel=1e-10)
    assert (np.diff(np.bincount(labels)) <= 0).all()
    assert (analysis.portrait[analysis.y == 1] == labels).all()


def test_the_run_folder_holds_the_analysis(run_folder: Path, analysis: churn.ChurnAnalysis) -> None:
    metrics = json.loads((run_folder / "metrics.json").read_text())
    test = analysis.split.test
    y, probability = analysis.y[test], analysis.probability[test]
    assert metrics["n_rows"] == 7032
    assert metrics["n_train"] + metrics["n_test"] == 7032
    assert metrics["positives_test"] == y.sum()
    assert metrics["auc"] == pytest.approx(roc_auc_score(y, probability), abs=1e-12)
    assert metrics["precision"] == pytest.approx(precision_score(y, probability >= 0.5), abs=1e-12)
    assert metrics["recall"] == pytest.approx(recall_score(y, probability >= 0.5), abs=1e-12)
    assert {"accuracy", "f1", "threshold"} <= set(metrics)
    coefficients = pd.read_csv(run_folder / "tables" / "coefficients.csv", index_col="variable")
    pd.testing.assert_frame_equal(coefficients, analysis.drivers.result.table, check_names=False)
    rows = pd.read_csv(run_folder / "tables" / "segments.csv")
    assert rows["churned"].sum() == 1869
    assert (
        rows["likely"].sum() == metrics["n_likely"] == len(pd.read_csv(run_folder / "tables" / "likely_churners.csv"))
    )
    assert set(rows["action"]) <= {"welcome them", "talk about money"} | {
        f"call and ask about {d}" for d in rows["driver"]
    }
    page = (run_folder / "report.html").read_text()
    assert page.count("<img") == len(list((run_folder / "figures").glob("*.png"))) == 7
    for portrait in rows["telling"]:
        assert portrait.split(",")[0] in page


def test_the_published_precision_is_a_threshold(run_folder: Path, analysis: churn.ChurnAnalysis) -> None:
    curve = pd.read_csv(run_folder / "tables" / "threshold_curve.csv")
    metrics = json.loads((run_folder / "metrics.json").read_text())
    reaching = curve[curve["precision"] >= 0.9729]
    assert metrics["target_precision_recall"] == pytest.approx(reaching["recall"].max())
    assert metrics["target_precision_recall"] < 0.1


def test_same_seed_same_bytes(run_folder: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", title="churn", n_stages=churn.N_STAGES)
    churn.run(CONFIG, PARTS, run)
    run.finish()
    for path in [run_folder / "metrics.json", *sorted((run_folder / "tables").iterdir())]:
        assert (run.folder / path.relative_to(run_folder)).read_bytes() == path.read_bytes(), path.name


def test_one_changed_churner_changes_what_follows(
    telco: Table, analysis: churn.ChurnAnalysis, tmp_path: Path, run_folder: Path
) -> None:
    path = tmp_path / "telco.csv"
    frame = telco.frame.dropna().reset_index(drop=True)
    # The first churned customer becomes like the centre of another portrait.
    row = frame.index[frame["churn"] == "Yes"][0]
    portrait_of_churned = analysis.portrait[analysis.y == 1]
    other = np.flatnonzero(portrait_of_churned != portrait_of_churned[0])[0]
    features = [name for name in telco.schema.features if name != "tenure"]
    frame.loc[row, features] = frame[frame["churn"] == "Yes"].iloc[other][features]
    frame.to_csv(path, index=False)
    parts = Parts(**{**vars(PARTS), "data": {"name": "csv", "path": str(path), "target": "churn"}})
    run = Run(tmp_path / "run", title="churn", n_stages=churn.N_STAGES)
    churn.run(CONFIG, parts, run)
    run.finish()

    def both(name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
        return tuple(pd.read_csv(folder / "tables" / f"{name}.csv") for folder in (run_folder, run.folder))

    before, after = both("coefficients")
    assert (before["variable"] == after["variable"]).all()
    assert (before["coef"] != after["coef"]).all()
    before, after = both("segments")
    assert before["churned"].sum() == after["churned"].sum()
    assert before["churned"].tolist() != after["churned"].tolist()
    assert (run_folder / "report.html").read_text() != (run.folder / "report.html").read_text()


def score(
    run_folder: Path, path: Path, folder: Path, **settings: object
) -> tuple[pd.DataFrame, dict[str, float], list[str]]:
    config = predict.Config(**{key: settings.pop(key) for key in ("missing_columns",) if key in settings})
    run = Run(folder, title="predict", n_stages=predict.N_STAGES)
    parts = Parts(data={"name": "csv", "path": str(path), **settings}, model=str(run_folder))
    predict.run(config, parts, run)
    run.finish()
    return (
        pd.read_csv(folder / "tables" / "predictions.csv", keep_default_na=False),
        json.loads((folder / "metrics.json").read_text()),
        run.headlines,
    )


@pytest.fixture
def new_customers(telco: Table, tmp_path: Path) -> Path:
    path = tmp_path / "new.csv"
    frame = telco.frame.dropna().sample(200, random_state=0)
    frame.insert(0, "customer_id", [f"N{i}" for i in range(200)])
    frame.to_csv(path, index=False)
    return path


def test_predict_scores_row_by_row(
    run_folder: Path, new_customers: Path, tmp_path: Path, telco: Table, analysis: churn.ChurnAnalysis
) -> None:
    scored, metrics, _ = score(run_folder, new_customers, tmp_path / "out")
    rows = telco.frame.dropna().sample(200, random_state=0).index
    expected = pd.Series(analysis.probability, index=analysis.table.frame.index)[rows]
    np.testing.assert_allclose(scored["probability"].to_numpy(dtype=float), expected, atol=1e-12)
    assert scored["row"].tolist() == list(range(1, 201))
    assert scored["customer_id"].tolist() == [f"N{i}" for i in range(200)]
    assert ((scored["action"] != "") == (scored["churn"] == "yes")).all()
    assert metrics["n_test"] == 200
    assert metrics["auc"] > 0.7


def test_predict_without_the_outcome(run_folder: Path, new_customers: Path, tmp_path: Path) -> None:
    with_outcome, _, _ = score(run_folder, new_customers, tmp_path / "with")
    frame = pd.read_csv(new_customers).drop(columns="churn")
    frame.to_csv(new_customers, index=False)
    without, metrics, _ = score(run_folder, new_customers, tmp_path / "without")
    pd.testing.assert_frame_equal(without, with_outcome)
    assert "auc" not in metrics


def test_predict_states_its_policies(run_folder: Path, new_customers: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(new_customers).drop(columns="churn")
    frame.loc[3, "contract"] = "Decade"
    frame.loc[5, "tenure"] = np.nan
    frame.to_csv(new_customers, index=False)
    with pytest.raises(InputError, match=r"'tenure' is missing in row 6"):
        score(run_folder, new_customers, tmp_path / "a")
    scored, metrics, said = score(run_folder, new_customers, tmp_path / "b", missing="median")
    assert len(scored) == 200
    assert metrics["n_unknown"] == 1
    assert any("1 row with a value of 'contract' that no training row has" in line for line in said)
    scored, metrics, said = score(run_folder, new_customers, tmp_path / "c", missing="drop")
    assert 6 not in scored["row"].tolist()
    assert metrics["n_left_out"] == 1
    frame.drop(columns=["tenure", "contract"]).to_csv(new_customers, index=False)
    with pytest.raises(
        InputError, match=r"the model needs 'tenure', 'contract', which the file lacks \(2 of 19 columns\)"
    ):
        score(run_folder, new_customers, tmp_path / "d")
    scored, _, said = score(run_folder, new_customers, tmp_path / "e", missing_columns="fill")
    assert len(scored) == 200
    assert "Columns that are not in the file: tenure, contract." in said
    assert "200 missing values of 'tenure' filled with the training rows' usual value." in said


def test_no_significant_feature_falls_back_and_says_so(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(rng.normal(size=(200, 6)), columns=list("abcdef")).assign(churn=[0, 1] * 100)
    path = tmp_path / "noise.csv"
    frame.to_csv(path, index=False)
    parts = Parts(**{**vars(PARTS), "data": {"name": "csv", "path": str(path), "target": "churn"}})
    run = Run(tmp_path / "run", title="churn")
    churn.run(churn.Config(level=1e-6, fallback_features=2), parts, run)
    run.finish()
    assert json.loads((run.folder / "metrics.json").read_text())["n_significant"] == 0
    page = (run.folder / "report.html").read_text()
    assert "No feature has p &lt; 1e-06; the 2 with the smallest p stand in" in page
    assert "0 of 6 features have p &lt; 1e-06" in page
    assert "K-means on 2 features" in page


def test_filled_values_are_said(telco: Table, tmp_path: Path) -> None:
    frame = telco.frame.dropna().head(800).astype(object)
    frame.loc[frame.index[:7], "monthly_charges"] = ""
    frame.to_csv(tmp_path / "gaps.csv", index=False)
    data = {"name": "csv", "path": str(tmp_path / "gaps.csv"), "target": "churn", "missing": "median"}
    run = Run(tmp_path / "run", title="churn")
    churn.run(CONFIG, Parts(**{**vars(PARTS), "data": data}), run)
    run.finish()
    assert "7 missing values of &#39;monthly_charges&#39; filled" in (run.folder / "report.html").read_text()


def test_predict_reads_codes_as_the_model_did(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    zone = rng.integers(1, 4, 600)
    frame = pd.DataFrame({"zone": [f"0{z}" for z in zone], "use": rng.normal(size=600), "left": 0})
    frame["left"] = (rng.random(600) < np.array([0.1, 0.4, 0.8])[zone - 1]).astype(int)
    path = tmp_path / "zones.csv"
    frame.to_csv(path, index=False)
    data = {"name": "csv", "path": str(path), "target": "left", "categorical": ["zone"]}
    parts = Parts(**{**vars(PARTS), "data": data})
    analysis = churn.analyse(parts.table(), CONFIG, parts)
    run = Run(tmp_path / "run", title="churn", n_stages=churn.N_STAGES)
    churn.run(CONFIG, parts, run)
    run.finish()
    scored, metrics, _ = score(run.folder, path, tmp_path / "scores")
    np.testing.assert_allclose(scored["probability"].to_numpy(dtype=float), analysis.probability, atol=1e-12)
    assert metrics["n_unknown"] == 0
    coded = frame.assign(left=frame["left"].map({0: "stays", 1: "leaves"}))
    coded.to_csv(path, index=False)
    _, metrics, said = score(run.folder, path, tmp_path / "coded")
    assert "auc" not in metrics
    assert any("holds 'leaves', 'stays' and the model tells '1' from '0'" in line for line in said)


@pytest.mark.parametrize("damage", ["scaler", "coefficient_names", "portraits", "encoder"])
def test_a_damaged_model_is_named(run_folder: Path, new_customers: Path, tmp_path: Path, damage: str) -> None:
    shutil.copytree(run_folder, tmp_path / "copy")
    path = tmp_path / "copy" / "model" / "model.json"
    content = json.loads(path.read_text())
    content["settings"][damage] = (
        content["settings"][damage][:-1] if damage in ("coefficient_names", "portraits") else {}
    )
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="the model folder is damaged"):
        score(tmp_path / "copy", new_customers, tmp_path / "out")


def test_few_churners_are_an_error(telco: Table) -> None:
    few = telco.frame[(telco.frame["churn"] == "No") | (telco.frame.index < 20)].dropna()
    table = Table(few, telco.schema, telco.options, "few")
    with pytest.raises(InputError, match=r"few: \d rows have churn=Yes; portraits need at least 10"):
        churn.analyse(table, CONFIG, PARTS)


def test_a_leak_is_an_error_that_names_the_column(telco: Table, tmp_path: Path) -> None:
    frame = telco.frame.dropna().head(500)
    frame.assign(left_on=np.where(frame["churn"] == "Yes", 30.0, 0.0) + frame["tenure"] / 1000).to_csv(
        tmp_path / "leak.csv", index=False
    )
    parts = Parts(**{**vars(PARTS), "data": {"name": "csv", "path": str(tmp_path / "leak.csv"), "target": "churn"}})
    with pytest.raises(InputError, match=r"complete separation: column 'left_on'"):
        churn.analyse(parts.table(), CONFIG, parts)


@pytest.mark.parametrize(
    ("driver", "action"),
    [
        ("contract", "talk about money"),
        ("Monthly_Charges", "talk about money"),
        ("colour", "call and ask about colour"),
    ],
)
def test_actions_are_chosen_by_words(driver: str, action: str) -> None:
    assert retention_action(driver, CONFIG.actions) == action


def test_segments_count_every_customer_once(analysis: churn.ChurnAnalysis) -> None:
    rows = segments(analysis)
    assert rows["churned"].sum() == analysis.y.sum()
    assert rows["likely"].sum() == analysis.likely.sum()
    assert rows["share"].sum() == pytest.approx(1.0)


@pytest.mark.realdata
def test_iranian_churn(real_data: Path) -> None:
    data = {"name": "csv", "path": str(real_data / "iranian_churn.csv"), "target": "Churn"}
    parts = Parts(**{**vars(PARTS), "data": data})
    analysis = churn.analyse(parts.table(), CONFIG, parts)
    assert analysis.split.n_duplicates >= 300
    test = analysis.split.test
    assert roc_auc_score(analysis.y[test], analysis.probability[test]) == pytest.approx(0.92, abs=0.03)
