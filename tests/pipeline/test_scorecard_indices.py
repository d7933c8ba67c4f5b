"""The scorecard on its own 24 indices: near the best possible error, in the indices' directions, by dimension."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from marketnn.data.index_scores import draw_index_scores
from marketnn.data.index_system import IndexSystem
from marketnn.errors import InputError
from marketnn.pipeline import Parts, scorecard
from marketnn.tracking import Run

PARTS = Parts(
    data={"name": "index_scores", "n": 1250, "target": "score"},
    network={"name": "bp", "hidden_sizes": [10]},
    device="cpu",
)
CONFIG = scorecard.Config(index_system="default", members=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = Run(tmp_path_factory.mktemp("indices") / "run", title="scorecard", n_stages=scorecard.N_STAGES)
    scorecard.run(CONFIG, PARTS, run)
    run.finish()
    return run.folder


def test_the_network_comes_near_what_the_noise_allows(folder: Path) -> None:
    metrics = json.loads((folder / "metrics.json").read_text())
    ceiling = draw_index_scores(1250).ceiling
    assert 0.965 <= metrics["r2"] <= ceiling + 0.01
    assert metrics["r2"] > metrics["r2_linear"]
    assert metrics["mean_direction_share"] >= 0.9


def test_directions_are_counted_over_the_test_rows(folder: Path) -> None:
    found = pd.read_csv(folder / "tables" / "directions.csv", index_col="code")
    system = IndexSystem.load("default")
    assert list(found.index) == system.codes
    slope = pd.read_csv(folder / "tables" / "sensitivities.csv", index_col="index").loc[system.codes]
    # Where the mean slope has the index's sign, so do the rows that have the mean's sign.
    agrees = np.sign(slope["slope"]) == system.signs
    np.testing.assert_allclose(found.loc[agrees, "right_share"], slope.loc[agrees, "sign_share"])
    assert (found["right"] == (found["right_share"] >= 0.9)).all()


def test_dimensions_are_mean_qualities(folder: Path) -> None:
    means = pd.read_csv(folder / "tables" / "dimensions.csv", index_col="dimension")
    drawn = draw_index_scores(1250)
    expected = drawn.system.dimension_scores(drawn.system.quality(drawn.indices)).mean()
    np.testing.assert_allclose(means["all rows"], expected, rtol=1e-9)
    assert (means["best quarter"] > means["all rows"]).all()
    assert (means["all rows"] > means["worst quarter"]).all()
    assert (folder / "figures" / "dimensions.png").stat().st_size > 10_000


def test_the_three_stages_of_figure_3_2_are_timed(folder: Path) -> None:
    stages = list(json.loads((folder / "timings.json").read_text()))
    assert stages == ["data processing", "network construction", "application", "report"]


def test_columns_that_are_no_indices() -> None:
    parts = Parts(data={"name": "index_scores", "n": 100, "target": "score", "system": "green"}, device="cpu")
    with pytest.raises(InputError, match="index PAR1 has no column"):
        scorecard.analyse(parts.table(), CONFIG, parts)
    left_out = Parts(data={"name": "index_scores", "n": 100, "target": "score", "drop": ["FIN1"]}, device="cpu")
    with pytest.raises(InputError, match="take the index out of the index system"):
        scorecard.analyse(left_out.table(), CONFIG, left_out)
    with pytest.raises(InputError, match="index system"):
        scorecard.analyse(parts.table(), scorecard.Config(index_system="nowhere"), parts)


def test_hospital_ratings_by_configuration_alone(real_data: Path, tmp_path: Path) -> None:
    data = {"name": "csv", "path": str(real_data / "hospital_scorecard.csv"), "target": "stars"}
    parts = Parts(data=data, network={"name": "bp", "hidden_sizes": [6]}, device="cpu")
    found = scorecard.analyse(parts.table(), scorecard.Config(members=2, max_epochs=60), parts)
    test = found.split.test
    rmse = {name: np.sqrt(np.mean((values[test] - found.score[test]) ** 2)) for name, values in found.baselines.items()}
    assert (
        np.sqrt(np.mean((found.predicted[test] - found.score[test]) ** 2)) < 1.02 * rmse["linear"] < 0.6 * rmse["mean"]
    )
