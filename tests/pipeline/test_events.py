"""What TensorBoard alone shows of a run: the numbers behind its curves and histograms are the analysis's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.util import tensor_util

from marketnn.pipeline import Parts, churn, segment
from marketnn.tracking import Run

CLUSTERS = segment.Config(n_clusters=3, compare=("ck", "clara"))


def events(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder)).Reload()


def charts(read: EventAccumulator) -> dict[str, list[str]]:
    layout = layout_pb2.Layout()
    layout.ParseFromString(read.Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0])
    (category,) = layout.category
    return {chart.title: list(chart.multiline.tag) for chart in category.chart}


def test_a_churn_run_shows_precision_and_recall_and_both_kinds_probabilities(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3))
    left = np.where(x[:, 0] + rng.logistic(size=400) > 1, "yes", "no")
    pd.DataFrame(x, columns=["calls", "price", "age"]).assign(left=left).to_csv(tmp_path / "c.csv", index=False)
    parts = Parts(data={"name": "csv", "path": str(tmp_path / "c.csv"), "target": "left"}, device="cpu")
    config = churn.Config(candidates=(2,))
    analysis = churn.analyse(parts.table(), config, parts)
    run = Run(tmp_path / "run", title="churn", n_stages=churn.N_STAGES)
    churn.run(config, parts, run)
    run.finish()
    read = events(run.folder)
    test = analysis.split.test
    y, probability = analysis.y[test], analysis.probability[test]
    for outcome, name in enumerate(("stayed", "left")):
        histogram = read.Histograms(f"probability/{name}")[0].histogram_value
        assert histogram.num == (y == outcome).sum()
        assert histogram.sum == pytest.approx(probability[y == outcome].sum(), rel=1e-6)
    # Rows of the curve: true and false positives, true and false negatives, precision, recall; columns: thresholds from 0.
    curve = tensor_util.make_ndarray(read.Tensors("test/churn")[0].tensor_proto)
    middle = curve.shape[1] // 2
    assert curve[:4, middle].tolist() == [
        run.metrics["tp"],
        run.metrics["fp"],
        run.metrics["tn"],
        run.metrics["fn"],
    ], "at one half, the run's own threshold"
    assert curve[4:, middle] == pytest.approx([run.metrics["precision"], run.metrics["recall"]])
    errors = [event.value for event in read.Scalars("portraits/total_error")]
    assert errors == pytest.approx(analysis.portraits.history)
    assert charts(read) == {"total error by round": ["^portraits/total_error$"]}


@pytest.mark.parametrize("cluster", ["kmeans", "clara"])
def test_segment_runs_lay_their_curves_out_alike(tmp_path: Path, cluster: str) -> None:
    parts = Parts(data={"name": "points", "n": 90, "groups": 3}, cluster={"name": cluster}, device="cpu")
    run = Run(tmp_path / "run", title="segment", n_stages=segment.N_STAGES)
    segment.run(CLUSTERS, parts, run)
    run.finish()
    read = events(run.folder)
    expected = {"total error by round": ["^total_error/"], "sum of distances by round": ["^sum_of_distances/"]}
    assert charts(read) == expected
    assert [event.value for event in read.Scalars("total_error/ck")][-1] == pytest.approx(
        run.metrics["total_error_ck"], rel=1e-5
    )
    histogram = read.Histograms("distance/to_own_centre")[0].histogram_value
    assert histogram.num == 90
    assert histogram.sum == pytest.approx(run.metrics["sum_distances"], rel=1e-6)
    assert histogram.sum_squares == pytest.approx(run.metrics["sse"], rel=1e-6)
