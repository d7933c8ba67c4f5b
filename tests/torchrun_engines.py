"""Run by ``torchrun``: K-means and XGBoost on this process's rows together with the others', written to a folder.

Arguments: the folder to write to. Imported by the test for the data.
"""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from safetensors.torch import save_file

from marketnn.classify.classifiers import xgboost
from marketnn.cluster import KMeans
from marketnn.processes import Processes

SPLIT = 1300  # rows of the first process, the others are the second's
BOOSTED = {"rounds": 60, "eta": 0.1}


def blobs() -> np.ndarray:
    """Rows (4,000, 3) of six overlapping clusters, sorted by cluster, far from the origin."""
    rng = np.random.default_rng(0)
    centre_kd = rng.normal(scale=4, size=(6, 3))
    return centre_kd[np.sort(rng.integers(6, size=4000))] + rng.normal(size=(4000, 3)) + 100


def lattice() -> np.ndarray:
    """Rows (3,000, 2) with many ties about a mean that is exactly 0."""
    x_nd = np.random.default_rng(1).integers(0, 4, size=(1500, 2)).astype(float)
    return np.concatenate([x_nd, -x_nd])


def buyers() -> tuple[np.ndarray, np.ndarray]:
    """Rows (4,000, 8) and who bought."""
    rng = np.random.default_rng(2)
    x_nd = rng.normal(size=(4000, 8))
    score_n = x_nd[:, 0] * x_nd[:, 1] + np.sin(2 * x_nd[:, 2]) + 0.5 * x_nd[:, 3]
    return x_nd, (score_n + rng.logistic(size=4000) > 0.5).astype(int)


def far() -> np.ndarray:
    """First centres of which two lie where no row is."""
    return np.concatenate([blobs()[[0, 700, 3999]], np.full((2, 3), 900.0)])


KMEANS = {
    "seeded": lambda: (KMeans(6, n_init=40, tol=0, random_state=3), blobs()),
    "swapped": lambda: (KMeans(4, refine="swap", tol=0, random_state=3), blobs()),
    "tolerance": lambda: (KMeans(5, tol=1e-3, init=blobs()[:5]), blobs()),
    "empty": lambda: (KMeans(5, tol=0, init=far()), blobs()),
    "ties": lambda: (KMeans(4, tol=0, init=np.unique(lattice(), axis=0)[3:7]), lattice()),
}


def main() -> None:
    folder = Path(sys.argv[1])
    dist.init_process_group(timeout=timedelta(seconds=20))
    group, rank = dist.group.WORLD, dist.get_rank()
    own = slice(0, SPLIT) if rank == 0 else slice(SPLIT, None)
    for name, case in KMEANS.items():
        model, x_nd = case()
        model.fit_shard(x_nd[own], process_group=group)
        found = {
            "labels": model.labels_,
            "centres": model.cluster_centers_,
            "history": model.history_,
            "rounds": np.array(model.n_iter_),
        }
        save_file({key: torch.from_numpy(value) for key, value in found.items()}, folder / f"{name}-{rank}.safetensors")
    x_nd, y_n = buyers()
    boosted = xgboost.build(xgboost.Config(**BOOSTED)).fit_shard(x_nd[own], y_n[own], process_group=group, seed=4)
    probability = torch.from_numpy(boosted.predict_proba(x_nd))
    save_file({"probability": probability}, folder / f"xgboost-{rank}.safetensors")
    unequal = Processes(group).gather(torch.full((rank, 2), rank, dtype=torch.int32))
    assert unequal.tolist() == [[1, 1]]
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
