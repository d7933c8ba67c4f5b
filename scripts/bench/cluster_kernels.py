"""Contenders for the parts of a clustering that are not its rounds: k-means++ seeding and the silhouette."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from bench.case import Contender, Measures, Run
from bench.cluster_tasks import sse

from marketnn.seed import torch_generator

PER_SEEDING = "ms per seeding"
MEAN_SSE = "mean SSE of the seedings"
SILHOUETTE = "mean silhouette"
SECONDS = "s"

MakeRows = Callable[[], np.ndarray]
MakeLabelled = Callable[[], tuple[np.ndarray, np.ndarray]]


def our_seeding(name: str, make: MakeRows, clusters: int, seeds: range) -> Contender:
    """Seed with ``greedy_kmeans_plus_plus``, one start at a time."""

    def prepare() -> Run:
        from marketnn.cluster.seeding import greedy_kmeans_plus_plus

        x = make()
        x_nd = torch.from_numpy(x)
        weight_n = torch.ones(len(x))
        return _seedings(
            x,
            seeds,
            lambda seed: greedy_kmeans_plus_plus(x_nd, weight_n, clusters, 1, torch_generator(seed))[0].numpy(),
        )

    return Contender(name, "float32, greedy_kmeans_plus_plus, one start", prepare)


def sklearn_seeding(name: str, make: MakeRows, clusters: int, seeds: range) -> Contender:
    """Seed with scikit-learn's ``kmeans_plusplus``, greedy as well, with as many candidates."""

    def prepare() -> Run:
        from sklearn.cluster import kmeans_plusplus

        x = make()
        return _seedings(x, seeds, lambda seed: kmeans_plusplus(x, clusters, random_state=seed)[0])

    return Contender(name, "float32, kmeans_plusplus", prepare)


def our_silhouette(name: str, make: MakeLabelled) -> Contender:
    """Compute the exact mean silhouette, a block of rows at a time."""

    def prepare() -> Run:
        from marketnn.cluster.silhouette import silhouette

        x, labels = make()
        x_nd, label_n = torch.from_numpy(x), torch.from_numpy(labels)
        return _silhouette(lambda: silhouette(x_nd, label_n))

    return Contender(name, "float32, exact", prepare)


def sklearn_silhouette(name: str, make: MakeLabelled) -> Contender:
    """Compute scikit-learn's ``silhouette_score``."""

    def prepare() -> Run:
        from sklearn.metrics import silhouette_score

        x, labels = make()
        return _silhouette(lambda: silhouette_score(x, labels))

    return Contender(name, "float32, silhouette_score", prepare)


def _seedings(x: np.ndarray, seeds: range, seeding: Callable[[int], np.ndarray]) -> Run:
    """Seed from every seed; the mean of the sums of squares says whether the seedings are equally good."""

    def run() -> Measures:
        began = time.perf_counter()
        found = [seeding(seed) for seed in seeds]
        spent = time.perf_counter() - began
        return {PER_SEEDING: 1e3 * spent / len(seeds), MEAN_SSE: float(np.mean([sse(x, centres) for centres in found]))}

    return run


def _silhouette(compute: Callable[[], float]) -> Run:
    def run() -> Measures:
        began = time.perf_counter()
        value = float(compute())
        return {SECONDS: time.perf_counter() - began, SILHOUETTE: value}

    return run
