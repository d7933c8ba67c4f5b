"""What TensorBoard's projector reads from a run folder is what was given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from google.protobuf import text_format
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

from marketnn.tracking import Run

POINTS = np.random.default_rng(0).normal(size=(5, 3))
LABELS = pd.DataFrame({"segment": ["a", "b\tb", "c\nc", "d", "e"], "row": [1, 2, 3, 4, 5]})


def fill(folder: Path, names: list[str]) -> None:
    run = Run(folder, title="points")
    for name in names:
        run.projector(name, POINTS, LABELS)
    run.timing("elsewhere", 1.25)
    run.finish()


def test_points_and_labels_are_where_the_configuration_says(tmp_path: Path) -> None:
    fill(tmp_path / "run", ["first", "second"])
    config = text_format.Parse((tmp_path / "run" / "projector_config.pbtxt").read_text(), ProjectorConfig())
    assert [embedding.tensor_name for embedding in config.embeddings] == ["first", "second"]
    for embedding in config.embeddings:
        points = np.loadtxt(tmp_path / "run" / embedding.tensor_path, delimiter="\t")
        np.testing.assert_allclose(points, POINTS, rtol=1e-6)
        labels = pd.read_csv(tmp_path / "run" / embedding.metadata_path, sep="\t")
        assert labels["segment"].tolist() == ["a", "b b", "c c", "d", "e"]
        assert labels["row"].tolist() == LABELS["row"].tolist()
    assert '"elsewhere": 1.25' in (tmp_path / "run" / "timings.json").read_text()


def test_a_second_run_replaces_the_points(tmp_path: Path) -> None:
    fill(tmp_path / "run", ["first"])
    fill(tmp_path / "run", ["second"])
    assert sorted(file.name for file in (tmp_path / "run" / "projector").iterdir()) == [
        "second_labels.tsv",
        "second_points.tsv",
    ]
