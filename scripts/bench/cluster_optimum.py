"""Contenders for the best known K-means of a real table: the customers of an online shop by recency, frequency, value.

The best known sums of squares come from long random-swap searches and have never been beaten.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from bench.case import Contender, Measures, Run
from bench.cluster_tasks import min_max, retail_rfm, sse

BEST_KNOWN = {4: 27.215131}
EXCESS = "highest SSE / best known - 1"
LONGEST = "longest s"

TOLERANCE = 1e-6


def reached_of(seeds: int) -> str:
    """Name the measure that counts the seeds that end at the best known sum."""
    return f"seeds of {seeds} at the best known"


def our_ck(name: str, clusters: int, refine: str, seeds: range) -> Contender:
    """Fit ``CK`` to the table as it is; the scaling is its own."""

    def prepare() -> Run:
        from marketnn.cluster import CK

        x = retail_rfm()
        return _fits(
            clusters, seeds, lambda seed: float(CK(clusters, refine=refine, random_state=seed).fit(x).inertia_)
        )

    return Contender(name, f"float64, CK(refine={refine})", prepare)


def sklearn_starts(name: str, clusters: int, starts: int, seeds: range) -> Contender:
    """Take the best of many starts on the scaled table with scikit-learn."""

    def prepare() -> Run:
        from sklearn.cluster import KMeans

        x = min_max(retail_rfm())

        def fit(seed: int) -> float:
            return sse(x, KMeans(clusters, n_init=starts, tol=0, random_state=seed).fit(x).cluster_centers_)

        return _fits(clusters, seeds, fit)

    return Contender(name, f"float64, KMeans(n_init={starts}, tol=0)", prepare, repeats=1, warm_up=False)


def _fits(clusters: int, seeds: range, fit: Callable[[int], float]) -> Run:
    def run() -> Measures:
        times, sums = [], []
        for seed in seeds:
            began = time.perf_counter()
            sums.append(fit(seed))
            times.append(time.perf_counter() - began)
        excess = np.array(sums) / BEST_KNOWN[clusters] - 1
        return {
            reached_of(len(seeds)): float((excess <= TOLERANCE).sum()),
            EXCESS: float(excess.max()),
            LONGEST: max(times),
        }

    return run
