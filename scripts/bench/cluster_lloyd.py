"""Contenders that take the same rounds of Lloyd from the same centres, and contenders that take many starts."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from bench.case import Contender, Measures, Run
from bench.cluster_tasks import Start, sse

PER_ROUND = "ms per round"
PER_FIT = "ms per fit"
SSE = "SSE"
SECONDS = "s"
SKLEARN = "scikit-learn"

MakeStart = Callable[[], Start]
Rounds = Callable[[Start, int], np.ndarray]


def rounds_contender(
    name: str,
    settings: str,
    make: MakeStart,
    rounds: tuple[int, int],
    fit: Rounds,
    *,
    dtype: type = np.float32,
    requires: tuple[str, ...] = (),
    repeats: int | None = None,
) -> Contender:
    """Time a fit of few and one of more rounds; the difference is what the rounds themselves take.

    Args:
        name: unique within the case.
        settings: for the table.
        make: the rows and first centres.
        rounds: of the two fits; the sum of squares is that of the second.
        fit: takes the rounds and returns the centres.
        dtype: of the rows that it is given.
        requires: distributions.
        repeats: of a slow peer.
    """

    def prepare() -> Run:
        given = make()
        start = Start(given.x.astype(dtype, copy=False), given.centres.astype(dtype))

        def run() -> Measures:
            times = []
            for count in rounds:
                began = time.perf_counter()
                centres = fit(start, count)
                times.append(1e3 * (time.perf_counter() - began))
            per_round = (times[1] - times[0]) / (rounds[1] - rounds[0])
            return {PER_ROUND: per_round, PER_FIT: times[1], SSE: sse(start.x, centres)}

        return run

    settings = f"{np.dtype(dtype).name}, {settings}"
    return Contender(name, settings, prepare, requires, repeats=repeats, warm_up=repeats != 1)


def our_rounds(start: Start, rounds: int) -> np.ndarray:
    """Take the rounds with ``KMeans.fit``."""
    from marketnn.cluster import KMeans

    return _centres(KMeans(len(start.centres), init=start.centres, n_init=1, max_iter=rounds, tol=0), start, rounds)


def sklearn_rounds(start: Start, rounds: int) -> np.ndarray:
    """Take the rounds with scikit-learn's ``KMeans.fit``."""
    from sklearn.cluster import KMeans

    kmeans = KMeans(len(start.centres), init=start.centres, n_init=1, max_iter=rounds, tol=0, algorithm="lloyd")
    return _centres(kmeans, start, rounds)


def our_restarts(name: str, make: Callable[[], np.ndarray], clusters: int, starts: int, seed: int) -> Contender:
    """Take the best of many starts with ``KMeans``."""

    def fit(x: np.ndarray, seed: int) -> np.ndarray:
        from marketnn.cluster import KMeans

        return KMeans(clusters, n_init=starts, tol=0, random_state=seed).fit(x).cluster_centers_

    return _restarts(name, f"KMeans(n_init={starts}, tol=0), k-means++", make, fit, seed)


def sklearn_restarts(
    name: str, make: Callable[[], np.ndarray], clusters: int, starts: int, seed: int, repeats: int | None = None
) -> Contender:
    """Take the best of many starts with scikit-learn, one after another."""

    def fit(x: np.ndarray, seed: int) -> np.ndarray:
        from sklearn.cluster import KMeans

        return KMeans(clusters, n_init=starts, tol=0, random_state=seed).fit(x).cluster_centers_

    return _restarts(name, f"KMeans(n_init={starts}, tol=0), k-means++", make, fit, seed, repeats)


def _centres(kmeans: Any, start: Start, rounds: int) -> np.ndarray:
    """Fit an estimator, which must take exactly the rounds."""
    kmeans.fit(start.x)
    if kmeans.n_iter_ != rounds:
        raise RuntimeError(f"{kmeans.n_iter_} rounds were taken instead of {rounds}")
    return kmeans.cluster_centers_


def _restarts(
    name: str,
    settings: str,
    make: Callable[[], np.ndarray],
    fit: Callable[[np.ndarray, int], np.ndarray],
    seed: int,
    repeats: int | None = None,
) -> Contender:
    def prepare() -> Run:
        x, seeds = make(), itertools.count(seed)

        def run() -> Measures:
            began = time.perf_counter()
            centres = fit(x, next(seeds))
            return {SECONDS: time.perf_counter() - began, SSE: sse(x, centres)}

        return run

    return Contender(name, f"float32, {settings}, a new seed every run", prepare, repeats=repeats, warm_up=not repeats)
