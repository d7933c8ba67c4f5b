"""Points for TensorBoard's projector: tab-separated text, which TensorBoard reads without TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

CONFIG = "projector_config.pbtxt"
FOLDER = "projector"


def points_text(points: np.ndarray) -> str:
    """Write points (n, d) one per line."""
    return "".join("\t".join(f"{value:.7g}" for value in point) + "\n" for point in points)


def labels_text(labels: pd.DataFrame) -> str:
    """Write what is known of each point (n rows, at least two columns, or TensorBoard takes the header for a point)."""
    lines = [map(str, labels.columns), *(map(str, row) for row in labels.itertuples(index=False))]
    return "".join("\t".join(" ".join(cell.split()) for cell in line) + "\n" for line in lines)


def config_text(names: Sequence[str]) -> str:
    """Write TensorBoard's list of sets of points; paths are relative to the run folder."""
    return "".join(
        f'embeddings {{\n  tensor_name: "{name}"\n'
        f'  tensor_path: "{FOLDER}/{name}_points.tsv"\n  metadata_path: "{FOLDER}/{name}_labels.tsv"\n}}\n'
        for name in names
    )
