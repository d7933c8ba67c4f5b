"""Contenders for K-medoids on a given matrix of distances, and for CLARA on rows.

Shapes: n rows, k clusters.
"""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from bench.case import Contender, Measures, Run
from bench.cluster_tasks import distance_sum

PER_FIT = "median s per fit"
MEAN_LOSS = "mean loss"

_R_SCRIPT = Path(__file__).with_name("clara.R")


@dataclass(frozen=True)
class Distances:
    """A matrix of distances and the medoids that every contender begins with.

    Attributes:
        matrix: (n, n) float32.
        starts: random medoids (k,) of every fit.
    """

    matrix: np.ndarray
    starts: Sequence[np.ndarray]


MakeDistances = Callable[[], Distances]
MakeRows = Callable[[], np.ndarray]


def our_medoids(name: str, make: MakeDistances) -> Contender:
    """Swap medoids with ``KMedoids``."""

    def fit(matrix: np.ndarray, start: np.ndarray) -> np.ndarray:
        from marketnn.cluster import KMedoids

        return KMedoids(len(start), init=start, metric="precomputed").fit(matrix).medoid_indices_

    return _medoids(name, "float32, KMedoids(method=fasterpam)", make, fit)


def rust_medoids(name: str, make: MakeDistances, seed: int | None) -> Contender:
    """Swap medoids with the package kmedoids on one core: candidates in order, or in a random order with a seed."""

    def fit(matrix: np.ndarray, start: np.ndarray) -> np.ndarray:
        import kmedoids

        return kmedoids.fasterpam(matrix, start, random_state=seed, n_cpu=1).medoids

    order = "in the order of the rows" if seed is None else "in random order"
    return _medoids(name, f"float32, fasterpam, candidates {order}", make, fit, ("kmedoids",))


def our_clara(name: str, make: MakeRows, clusters: int, samples: int, seeds: range) -> Contender:
    """Sample and swap with ``CLARA``."""

    def prepare() -> Run:
        from marketnn.cluster import CLARA

        x = make()

        def run() -> Measures:
            times, medoids = [], []
            for seed in seeds:
                began = time.perf_counter()
                fitted = CLARA(clusters, n_samples=samples, sample_size=sample_size(clusters), random_state=seed).fit(x)
                times.append(time.perf_counter() - began)
                medoids.append(fitted.medoid_indices_)
            return _clara_measures(x, times, medoids)

        return run

    return Contender(name, f"float64, {samples} samples of {sample_size(clusters)}", prepare)


def r_clara(name: str, make: MakeRows, clusters: int, samples: int, seeds: range) -> Contender:
    """Sample and swap with R's clara, which takes its own time in its own process."""

    def prepare() -> Run:
        x = make()

        def run() -> Measures:
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "rows"
                x.tofile(path)
                numbers = (*x.shape, clusters, samples, sample_size(clusters), *seeds)
                ended = subprocess.run(
                    ["Rscript", str(_R_SCRIPT), str(path), *map(str, numbers)],
                    capture_output=True,
                    text=True,
                    check=True,
                )
            lines = [[float(number) for number in line.split()] for line in ended.stdout.splitlines()]
            return _clara_measures(x, [line[0] for line in lines], [np.array(line[1:], int) - 1 for line in lines])

        return run

    settings = f"float64, {samples} samples of {sample_size(clusters)}, pamLike, rngR"
    return Contender(name, settings, prepare, requires=("R/cluster",))


def sample_size(clusters: int) -> int:
    """Return the rows of a sample by Kaufman and Rousseeuw's rule."""
    return 40 + 2 * clusters


def _medoids(
    name: str,
    settings: str,
    make: MakeDistances,
    fit: Callable[[np.ndarray, np.ndarray], np.ndarray],
    requires: tuple[str, ...] = (),
) -> Contender:
    def prepare() -> Run:
        distances = make()

        def run() -> Measures:
            times, losses = [], []
            for start in distances.starts:
                began = time.perf_counter()
                medoids = fit(distances.matrix, start.copy())
                times.append(time.perf_counter() - began)
                losses.append(distances.matrix[:, medoids].min(axis=1).sum(dtype=np.float64))
            return {PER_FIT: statistics.median(times), MEAN_LOSS: float(np.mean(losses))}

        return run

    return Contender(name, settings, prepare, requires)


def _clara_measures(x: np.ndarray, times: Sequence[float], medoids: Sequence[np.ndarray]) -> Measures:
    losses = [distance_sum(x, x[rows]) for rows in medoids]
    return {PER_FIT: statistics.median(times), MEAN_LOSS: float(np.mean(losses))}
