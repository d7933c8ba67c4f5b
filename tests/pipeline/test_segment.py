"""The segment pipeline: groups that are there are found, every number follows from the labels, and new rows are placed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans as ScikitKMeans
from sklearn.metrics import silhouette_score
from sklearn.preprocessing import minmax_scale
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from marketnn import cli, registry
from marketnn.errors import InputError
from marketnn.pipeline import Parts, segment
from marketnn.tracking import load_model

N = 300
SIZES = (150, 90, 60)


def customers() -> pd.DataFrame:
    """Three kinds of customers, apart in two numbers; a third number and the plan say nothing."""
    rng = np.random.default_rng(0)
    kind = np.repeat([0, 1, 2], SIZES)
    frame = pd.DataFrame(
        {
            "customer_id": [f"C{place:03}" for place in range(N)],
            "visits": np.array([2.0, 20.0, 50.0])[kind] + rng.normal(size=N),
            "revenue": np.array([10.0, 900.0, 100.0])[kind] + rng.uniform(0, 5, size=N),
            "luck": rng.uniform(size=N),
        }
    )
    return frame.round(3)


def table(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / "tables" / f"{name}.csv")


def metrics(folder: Path) -> dict[str, float]:
    return json.loads((folder / "metrics.json").read_text())


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "customers.csv"
    customers().to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def folder(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("segment") / "run"
    words = ["pipeline=segment", "data=csv", f"data.path='{file}'", "data.drop=[luck]", "pipeline.value=revenue"]
    words += ["pipeline.candidates=[2,3,4]", "pipeline.compare=[ck,clara]", "device=cpu", f"hydra.run.dir='{run}'"]
    assert cli.main(words) == 0
    return run


def test_the_groups_that_are_there_are_found(folder: Path) -> None:
    labels = table(folder, "labels")
    assert labels["segment"].tolist() == [f"segment {kind + 1}" for kind in np.repeat([0, 1, 2], SIZES)]
    assert labels["row"].tolist() == list(range(1, N + 1))
    assert list(labels) == ["row", "segment"]
    found = metrics(folder)
    assert found["n_clusters"] == 3
    assert [found[f"segment_{place}_size"] for place in (1, 2, 3)] == list(SIZES)


def test_every_measure_follows_from_the_labels(folder: Path) -> None:
    found, frame = metrics(folder), customers()[["visits", "revenue"]]
    scaled, labels = minmax_scale(frame), table(folder, "labels")["segment"].to_numpy()
    other = ScikitKMeans(3, n_init=10, random_state=0).fit(scaled)
    assert found["sse"] == pytest.approx(other.inertia_, rel=1e-9)
    assert found["total_error"] == pytest.approx(other.inertia_**0.5, rel=1e-9)
    assert found["silhouette"] == pytest.approx(silhouette_score(scaled, labels), rel=1e-6)
    distances = np.linalg.norm(scaled - other.cluster_centers_[other.labels_], axis=1)
    assert found["sum_distances"] == pytest.approx(distances.sum(), rel=1e-9)


def test_a_segment_is_its_rows(folder: Path) -> None:
    segments, frame = table(folder, "segments").set_index("segment"), customers()
    labels = table(folder, "labels")["segment"].to_numpy()
    means = frame.groupby(labels)[["visits", "revenue"]].mean()
    np.testing.assert_allclose(segments[["mean_visits", "mean_revenue"]], means, rtol=1e-12)
    z = (means - frame[means.columns].mean()) / frame[means.columns].std(ddof=0)
    np.testing.assert_allclose(segments[["z_visits", "z_revenue"]], z, rtol=1e-9)
    np.testing.assert_allclose(segments["total_revenue"], frame.groupby(labels)["revenue"].sum(), rtol=1e-12)
    assert segments["share_of_revenue"].sum() == pytest.approx(1)
    assert segments["label"].tolist() == ["revenue", "revenue", "visits"]
    assert segments["share"].tolist() == [0.5, 0.3, 0.2]


def test_who_holds_the_value(folder: Path) -> None:
    found, revenue = metrics(folder), np.sort(customers()["revenue"])[::-1]
    assert found["top_value_share"] == pytest.approx(revenue[: N // 5].sum() / revenue.sum())
    assert found["above_mean_row_share"] == pytest.approx(0.3)
    differences = np.abs(revenue[:, None] - revenue).mean()
    assert found["gini"] == pytest.approx(differences / (2 * revenue.mean()))
    tenths = table(folder, "concentration")
    assert tenths["share_of_revenue"].sum() == pytest.approx(1)
    assert tenths["mean_revenue"].iloc[0] == pytest.approx(revenue[:30].mean())


def test_algorithms_are_measured_alike(folder: Path) -> None:
    algorithms, found = table(folder, "algorithms").set_index("algorithm"), metrics(folder)
    assert list(algorithms.index) == ["kmeans", "ck", "clara"]
    assert algorithms.at["ck", "sse"] == pytest.approx(algorithms.at["kmeans", "sse"], rel=1e-9)
    assert algorithms.at["clara", "sse"] > algorithms.at["ck", "sse"]
    assert found["sse_clara"] == pytest.approx(algorithms.at["clara", "sse"])
    timings = json.loads((folder / "timings.json").read_text())
    assert {f"clustering: {name}" for name in algorithms.index} < set(timings)


def test_the_folder_holds_pictures_words_and_events(folder: Path) -> None:
    pictures = {path.stem for path in (folder / "figures").glob("*.png")}
    assert pictures == {"n_clusters", "segments", "map", "pareto", "lorenz", "rounds", "errors"}
    page = (folder / "report.html").read_text()
    for heading in ("Rows", "How many segments", "The segments", "Where the value lies", "Algorithms"):
        assert f"<h2>{heading}</h2>" in page
    assert "300 rows fall into 3 segments; the largest has 50% of them" in page
    events = EventAccumulator(str(folder))
    events.Reload()
    errors = [event.value for event in events.Scalars("total_error/kmeans")]
    assert len(errors) == metrics(folder)["rounds"]
    assert errors[-1] == pytest.approx(metrics(folder)["total_error"], rel=1e-5)
    distances = [event.value for event in events.Scalars("sum_of_distances/clara")]
    assert distances[-1] == pytest.approx(metrics(folder)["sum_distances_clara"], rel=1e-5)
    medoids = [event.value for event in events.Scalars("total_error/clara")]
    assert len(medoids) == len(distances)
    assert medoids[-1] == pytest.approx(metrics(folder)["total_error_clara"], rel=1e-5)
    points = np.loadtxt(folder / "projector" / "segments_points.tsv", delimiter="\t")
    np.testing.assert_allclose(points, minmax_scale(customers()[["visits", "revenue"]]), atol=1e-6)


def test_new_rows_are_placed_as_the_old_ones_were(folder: Path, file: Path, tmp_path: Path) -> None:
    words = [
        "pipeline=predict",
        f"model='{folder}'",
        "data=csv",
        f"data.path='{file}'",
        f"hydra.run.dir='{tmp_path}/new'",
    ]
    assert cli.main(words) == 0
    placed = table(tmp_path / "new", "predictions")
    assert placed["segment"].tolist() == table(folder, "labels")["segment"].tolist()
    assert placed["row"].tolist() == list(range(1, N + 1))
    assert (placed["distance"] ** 2).sum() == pytest.approx(metrics(folder)["sse"], rel=1e-9)
    assert table(tmp_path / "new", "segments")["rows"].tolist() == list(SIZES)
    assert metrics(tmp_path / "new")["segment_1_size"] == SIZES[0]


def test_a_fixed_number_and_its_own_algorithm(file: Path) -> None:
    parts = Parts(data={"name": "csv", "path": str(file)}, scaler={"name": "standard"}, device="cpu", seed=3)
    analysis = segment.analyse(parts.table(), segment.Config(n_clusters=2, compare=("kmeans",)), parts)
    assert [found.name for found in analysis.clusterings] == ["kmeans"], "the main one is not compared with itself"
    assert analysis.criteria.empty
    assert analysis.concentration is None
    sizes = np.bincount(analysis.labels)
    assert len(sizes) == 2
    assert sizes[0] >= sizes[1]
    np.testing.assert_allclose(sizes @ analysis.clusterings[0].centres, 0, atol=1e-9 * N)
    again = segment.analyse(parts.table(), segment.Config(n_clusters=2), parts)
    np.testing.assert_array_equal(again.labels, analysis.labels)


@pytest.mark.parametrize("name", registry.names("cluster"))
def test_every_algorithm_finds_groups_that_are_apart(file: Path, name: str) -> None:
    parts = Parts(
        data={"name": "csv", "path": str(file), "drop": ["luck"]}, cluster={"name": name}, device="cpu", seed=1
    )
    analysis = segment.analyse(parts.table(), segment.Config(n_clusters=3), parts)
    np.testing.assert_array_equal(analysis.labels, np.repeat([0, 1, 2], SIZES))
    found = analysis.clusterings[0]
    final = found.total_error if found.lowered == "total error" else found.sum_distances
    assert found.history[-1] == pytest.approx(final, rel=1e-6)
    assert len(found.errors) == len(found.history)
    assert found.errors[-1] == pytest.approx(found.total_error, rel=1e-6)
    placed, _ = analysis.model.predict(analysis.table.frame, source="again", fill_missing=False)
    assert placed["segment"].tolist() == [f"segment {place + 1}" for place in analysis.labels]


def test_one_segment_is_the_mean(file: Path) -> None:
    parts = Parts(data={"name": "csv", "path": str(file)}, device="cpu")
    analysis = segment.analyse(parts.table(), segment.Config(n_clusters=1), parts)
    np.testing.assert_allclose(analysis.clusterings[0].centres, [analysis.scaled.mean(axis=0)], rtol=1e-12)
    assert "silhouette" not in analysis.clusterings[0].as_metrics()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"value": "revenu"}, "unknown column in pipeline.value 'revenu'. Did you mean 'revenue'"),
        ({"value": "customer_id"}, "pipeline.value=customer_id is text; name a number"),
        ({"n_clusters": 0}, "pipeline.n_clusters=0 must be at least 1"),
        ({"candidates": (1, 2)}, r"pipeline.candidates=\[1, 2\] must be numbers of segments"),
        ({"top_share": 1.0}, "pipeline.top_share=1 must lie between 0 and 1"),
        ({"compare": ("kmean",)}, "unknown cluster 'kmean'. Did you mean 'kmeans'"),
        ({"n_clusters": 301}, "customers.csv: n_samples=300 with only 300 distinct rows"),
    ],
)
def test_what_cannot_be_done_is_named(file: Path, config: dict[str, object], message: str) -> None:
    parts = Parts(data={"name": "csv", "path": str(file)}, device="cpu")
    with pytest.raises(InputError, match=message):
        segment.analyse(parts.table(), segment.Config(**config), parts)


def test_a_damaged_model_is_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "run")
    saved = load_model(tmp_path / "run")
    rebuilt = segment.SegmentModel.from_saved(saved)
    assert [found.name for found in rebuilt.segments] == ["segment 1", "segment 2", "segment 3"]
    saved.settings["segments"].pop()
    with pytest.raises(InputError, match=r"the model folder is damaged .*do not fit"):
        segment.SegmentModel.from_saved(saved)


def test_text_columns_take_part(tmp_path: Path) -> None:
    frame = customers().assign(plan=np.repeat(["basic", "gold", "basic"], SIZES))
    frame.to_csv(tmp_path / "plans.csv", index=False)
    parts = Parts(data={"name": "csv", "path": str(tmp_path / "plans.csv")}, device="cpu")
    analysis = segment.analyse(parts.table(), segment.Config(n_clusters=3), parts)
    assert analysis.scaled.shape[1] == 4
    assert analysis.model.segments[1].label in ("plan = gold", "revenue")


def test_real_customers_reach_the_best_known_error(real_data: Path) -> None:
    roles = {"customer": "CustomerID", "date": "InvoiceDate", "invoice": "InvoiceNo", "quantity": "Quantity"}
    data = {
        "name": "rfm",
        "path": str(real_data / "online_retail.parquet"),
        **roles,
        "price": "UnitPrice",
        "cancelled": "C",
    }
    parts = Parts(data=data, device="cpu")
    table = parts.table()
    for k, best in ((2, 74.176236), (3, 40.888202), (4, 27.215131)):
        analysis = segment.analyse(table, segment.Config(n_clusters=k, value="monetary"), parts)
        assert analysis.clusterings[0].sse == pytest.approx(best, rel=1e-4)
    assert analysis.concentration is not None
    assert analysis.concentration.gini == pytest.approx(0.715140, abs=1e-6)
    assert analysis.concentration.top(0.2).value_share == pytest.approx(0.746079, abs=1e-6)


def test_as_many_segments_as_rows_have_no_error(tmp_path: Path) -> None:
    customers().iloc[[0, 1, 150, 299]].to_csv(tmp_path / "four.csv", index=False)
    words = ["pipeline=segment", "data=csv", f"data.path='{tmp_path}/four.csv'", "pipeline.n_clusters=4"]
    assert cli.main([*words, "pipeline.compare=[ck]", "device=cpu", f"hydra.run.dir='{tmp_path}/run'"]) == 0
    assert metrics(tmp_path / "run")["total_error"] == pytest.approx(0, abs=1e-12)
    assert table(tmp_path / "run", "segments")["size"].tolist() == [1, 1, 1, 1]
