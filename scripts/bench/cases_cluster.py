"""The cases of the engine ``cluster``: K-means, K-medoids and CLARA against their peers, from 100 rows to 50,000,000."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
from bench import cluster_kernels, cluster_lloyd, cluster_medoids, cluster_optimum, cluster_stream, peer_kmeans
from bench.case import Case, Check, Contender, Goal, Options
from bench.cluster_lloyd import SKLEARN
from bench.cluster_medoids import Distances
from bench.cluster_tasks import Start, blobs, lloyd_start
from bench.machine import MEMORY

from marketnn.seed import child_seed, numpy_generator

OURS = "marketnn"
OURS_64, SKLEARN_64 = f"{OURS}, float64", f"{SKLEARN}, float64"
FAISS, FAST_PYTORCH, TORCH_KMEANS = "faiss", "fast-pytorch-kmeans", "torch-kmeans"
RUST, RUST_RANDOM = "kmedoids", "kmedoids, random order"
R_CLARA = "R, clara"
SAME = 1e-6
_DIFFERENCES = 2**28  # the most numbers (n, k, d) that torch-kmeans may hold at once


def cases(options: Options) -> list[Case]:
    """Return every case of the engine."""
    return [
        lloyd(options, "lloyd_36763_8_k6", 36_763, 8, 6, over_sklearn=1.25, over_faiss=2.5),
        lloyd(options, "lloyd_228778_20_k8", 228_778, 20, 8, over_sklearn=1.1, over_faiss=2.5),
        lloyd(options, "lloyd_1000000_32_k64", 1_000_000, 32, 64, over_sklearn=1.5, over_faiss=1.0, repeats=3),
        *(lloyd_of_any_shape(options, number) for number in (1, 2, 3)),
        restarts_of_few_rows(options),
        restarts_of_many_rows(options),
        seeding(options),
        silhouette(options),
        medoids(options, 5_000, 5, at_least=2),
        medoids(options, 5_000, 20, at_least=2),
        medoids(options, 2_000, 20, at_least=1),
        clara(options, 36_763, at_least=6),
        clara(options, 1_000_000, at_least=14),
        best_known(options),
        parquet(options),
    ]


def lloyd(
    options: Options,
    name: str,
    rows: int,
    columns: int,
    clusters: int,
    *,
    over_sklearn: float | None = None,
    over_faiss: float | None = None,
    rounds: tuple[int, int] = (5, 15),
    repeats: int = 5,
) -> Case:
    """Compare the time of the same rounds from the same centres; the limits are for float32."""
    n, rounds = _rows(options, rows), (1, 3) if options.quick else rounds
    make = _start(options, name, n, columns, clusters)

    def contender(name: str, settings: str, fit: cluster_lloyd.Rounds, **given: Any) -> Contender:
        return cluster_lloyd.rounds_contender(name, settings, make, rounds, fit, **given)

    contenders = [
        contender(OURS, "KMeans.fit", cluster_lloyd.our_rounds),
        contender(OURS_64, "KMeans.fit", cluster_lloyd.our_rounds, dtype=np.float64),
        contender(SKLEARN, "KMeans.fit, lloyd", cluster_lloyd.sklearn_rounds),
        contender(SKLEARN_64, "KMeans.fit, lloyd", cluster_lloyd.sklearn_rounds, dtype=np.float64),
        contender(FAISS, "Kmeans.train, all rows", peer_kmeans.faiss_rounds, requires=("faiss-cpu",)),
        contender(FAST_PYTORCH, "fit", peer_kmeans.fast_pytorch_rounds, requires=(FAST_PYTORCH, "psutil"), repeats=3),
    ]
    text = (
        f"{n:,} x {columns}, k = {clusters}: a fit of {rounds[1]} rounds from the same centres, and the time of a round in it,"
        f" as its difference from a fit of {rounds[0]}."
    )
    if n * columns * clusters <= _DIFFERENCES:
        contenders.append(
            contender(TORCH_KMEANS, "forward", peer_kmeans.torch_kmeans_rounds, requires=(TORCH_KMEANS,), repeats=1)
        )
    else:
        text += f" {TORCH_KMEANS} would hold {4 * n * columns * clusters / 1e9:.0f} GB of differences at once and is left out."
    limits = {SKLEARN: over_sklearn, FAISS: over_faiss}
    peers = [c.name for c in contenders if not c.name.startswith(OURS) and c.name != SKLEARN_64]
    goals = [Goal(cluster_lloyd.PER_ROUND, of=peer, over=OURS, at_least=limits.get(peer)) for peer in peers]
    goals += [Goal(cluster_lloyd.PER_FIT, of=peer, over=OURS) for peer in limits]
    return Case(
        name=name,
        text=text,
        columns=(cluster_lloyd.PER_ROUND, cluster_lloyd.PER_FIT, cluster_lloyd.SSE),
        contenders=tuple(contenders),
        check=Check(cluster_lloyd.SSE, relative=SAME),
        goals=(*goals, Goal(cluster_lloyd.PER_ROUND, of=SKLEARN_64, over=OURS_64)),
        repeats=repeats,
    )


def lloyd_of_any_shape(options: Options, number: int) -> Case:
    """Rows, columns and clusters that come from the seed, against tuning to the shapes above."""
    generator = numpy_generator(child_seed(options.seed, f"lloyd {number}"))
    rows, columns, clusters = (
        int(generator.integers(low, high)) for low, high in ((20_000, 200_000), (8, 33), (3, 33))
    )
    return lloyd(options, f"lloyd_random_{number}", rows, columns, clusters, rounds=(3, 10))  # some rest soon after


def restarts_of_few_rows(options: Options) -> Case:
    """Many starts where one of them is nothing."""
    make = _blobs(options, "few", 100, 2, 4, spread=0.15)
    return Case(
        name="restarts_100_2_k4",
        text="100 starts on 100 x 2, k = 4; the best must be the same in 18 of 20 runs: both miss it at times.",
        columns=(cluster_lloyd.SECONDS, cluster_lloyd.SSE),
        contenders=(
            cluster_lloyd.our_restarts(OURS, make, 4, 100, options.seed),
            cluster_lloyd.sklearn_restarts(SKLEARN, make, 4, 100, options.seed),
        ),
        check=Check(cluster_lloyd.SSE, relative=SAME, share=0.9),
        goals=(Goal(cluster_lloyd.SECONDS, of=SKLEARN, over=OURS, at_least=10),),
        repeats=20,
    )


def restarts_of_many_rows(options: Options) -> Case:
    """Many starts where all of them on all rows are a waste."""
    n, starts = _rows(options, 36_763), 5 if options.quick else 100
    make = _blobs(options, "many", n, 8, 10, spread=0.15)
    return Case(
        name="restarts_36763_8_k6",
        text=f"{starts} starts on {n:,} x 8 in 10 blobs, k = 6; the best must be the same in 19 of 20 runs.",
        columns=(cluster_lloyd.SECONDS, cluster_lloyd.SSE),
        contenders=(
            cluster_lloyd.our_restarts(OURS, make, 6, starts, options.seed),
            cluster_lloyd.sklearn_restarts(SKLEARN, make, 6, starts, options.seed, repeats=3),
        ),
        check=Check(cluster_lloyd.SSE, relative=SAME, share=0.95),
        goals=(Goal(cluster_lloyd.SECONDS, of=SKLEARN, over=OURS, at_least=8),),
        repeats=20,
    )


def seeding(options: Options) -> Case:
    """First centres; both draw 2 + log k candidates for each and keep the best."""
    n = _rows(options, 36_763)
    make, seeds = _blobs(options, "seeding", n, 8, 6, spread=0.3), _seeds(options)
    return Case(
        name="seeding_36763_8_k6",
        text=f"Greedy k-means++ on {n:,} x 8, k = 6, from {len(seeds)} seeds; equally good within 5 % on average.",
        columns=(cluster_kernels.PER_SEEDING, cluster_kernels.MEAN_SSE),
        contenders=(
            cluster_kernels.our_seeding(OURS, make, 6, seeds),
            cluster_kernels.sklearn_seeding(SKLEARN, make, 6, seeds),
        ),
        check=Check(cluster_kernels.MEAN_SSE, relative=0.05),
        goals=(Goal(cluster_kernels.PER_SEEDING, of=SKLEARN, over=OURS, at_least=5),),
    )


def silhouette(options: Options) -> Case:
    """The exact silhouette, all pairs of rows."""
    n = _rows(options, 10_000)
    rows = _blobs(options, "silhouette", n, 8, 6, spread=0.2)

    @cache
    def make() -> tuple[np.ndarray, np.ndarray]:
        x = rows()
        centres = x[:6].astype(np.float64)
        return x, ((x[:, None] - centres) ** 2).sum(2).argmin(1)

    return Case(
        name="silhouette_10000",
        text=f"The exact mean silhouette of {n:,} x 8 in 6 clusters.",
        columns=(cluster_kernels.SECONDS, cluster_kernels.SILHOUETTE),
        contenders=(
            cluster_kernels.our_silhouette(OURS, make),
            cluster_kernels.sklearn_silhouette(SKLEARN, make),
        ),
        check=Check(cluster_kernels.SILHOUETTE, relative=1e-5),
        goals=(
            Goal(cluster_kernels.SECONDS, of=SKLEARN, over=OURS, at_least=6),
            Goal(MEMORY, of=OURS, at_most=64),
        ),
        memory=(OURS, SKLEARN),
    )


def medoids(options: Options, rows: int, clusters: int, at_least: float) -> Case:
    """K-medoids on a matrix of distances that is there already."""
    n, fits = _rows(options, rows, least=100), 1 if options.quick else 20
    points = _blobs(options, f"medoids {rows}", n, 8, clusters, spread=0.3)

    @cache
    def make() -> Distances:
        x = points().astype(np.float64)
        squares = (x**2).sum(1)
        matrix = np.sqrt(np.maximum(squares[:, None] + squares - 2 * x @ x.T, 0)).astype(np.float32)
        np.fill_diagonal(matrix, 0)
        matrix = np.maximum(matrix, matrix.T)
        generator = numpy_generator(child_seed(options.seed, "medoids"))
        return Distances(matrix, [generator.choice(n, clusters, replace=False) for _ in range(fits)])

    return Case(
        name=f"medoids_{rows}_k{clusters}",
        text=f"K-medoids of {n:,} rows, k = {clusters}, from the same {fits} random starts; the mean loss within .3 %.",
        columns=(cluster_medoids.PER_FIT, cluster_medoids.MEAN_LOSS),
        contenders=(
            cluster_medoids.our_medoids(OURS, make),
            cluster_medoids.rust_medoids(RUST, make, None),
            cluster_medoids.rust_medoids(RUST_RANDOM, make, options.seed),
        ),
        check=Check(cluster_medoids.MEAN_LOSS, relative=0.003),
        goals=tuple(
            Goal(cluster_medoids.PER_FIT, of=peer, over=OURS, at_least=at_least) for peer in (RUST, RUST_RANDOM)
        ),
    )


def clara(options: Options, rows: int, at_least: float) -> Case:
    """K-medoids of samples, judged on all rows."""
    n, clusters, samples = _rows(options, rows), 6, 5
    points = _blobs(options, f"clara {rows}", n, 8, clusters, spread=0.3)
    make, seeds = cache(lambda: points().astype(np.float64)), _seeds(options)
    return Case(
        name=f"clara_{rows}",
        text=f"CLARA of {n:,} x 8, k = {clusters}, from {len(seeds)} seeds; the mean loss must not be above R's.",
        columns=(cluster_medoids.PER_FIT, cluster_medoids.MEAN_LOSS),
        contenders=(
            cluster_medoids.our_clara(OURS, make, clusters, samples, seeds),
            cluster_medoids.r_clara(R_CLARA, make, clusters, samples, seeds),
        ),
        goals=(
            Goal(cluster_medoids.PER_FIT, of=R_CLARA, over=OURS, at_least=at_least),
            Goal(cluster_medoids.MEAN_LOSS, of=OURS, over=R_CLARA, at_most=1.0),
        ),
        repeats=3,
    )


def best_known(options: Options) -> Case:
    """The best known sum of squares of a real table, which starts alone hardly find."""
    k, seeds = 4, _seeds(options)
    swap, lloyd = f"{OURS}, swap", f"{OURS}, lloyd"
    reached = cluster_optimum.reached_of(len(seeds))
    return Case(
        name="best_known_rfm_k4",
        text=f"Recency, frequency, monetary value of 4,338 customers of an online shop, min-max, k = {k}; the best known SSE"
        f" is {cluster_optimum.BEST_KNOWN[k]}.",
        columns=(reached, cluster_optimum.EXCESS, cluster_optimum.LONGEST),
        contenders=(
            cluster_optimum.our_ck(swap, k, "swap", seeds),
            cluster_optimum.our_ck(lloyd, k, "lloyd", seeds),
            cluster_optimum.sklearn_starts(SKLEARN, k, 20 if options.quick else 200, seeds),
        ),
        goals=(
            Goal(reached, of=swap, at_least=len(seeds)),
            Goal(cluster_optimum.EXCESS, of=swap, at_most=cluster_optimum.TOLERANCE),
            Goal(cluster_optimum.LONGEST, of=swap, at_most=1),
            Goal(cluster_optimum.EXCESS, of=lloyd, at_most=0.005),
            Goal(cluster_optimum.LONGEST, of=SKLEARN, over=swap),
        ),
        repeats=3,
    )


def parquet(options: Options) -> Case:
    """A file that need not fit into memory, 1.6 GB of it; minutes, and as much disk."""
    n = 1_000_000 if options.quick else 50_000_000
    memory = f"{OURS}, in memory"
    return Case(
        name="parquet_50m",
        text=f"{cluster_stream.ROUNDS} rounds on a Parquet file of {n:,} x {cluster_stream.COLUMNS}, k ="
        f" {cluster_stream.CLUSTERS}, beside 2,000,000 such rows in memory.",
        columns=(cluster_stream.PER_ROW, cluster_stream.SSE_PER_ROW),
        contenders=(
            cluster_stream.streamed(OURS, n, options.seed),
            cluster_stream.in_memory(memory, min(n, 2_000_000), options.seed),
        ),
        check=Check(cluster_stream.SSE_PER_ROW, relative=0.01),
        goals=(
            Goal(MEMORY, of=OURS, at_most=1_000),
            Goal(cluster_stream.PER_ROW, of=OURS, over=memory, at_most=2),
        ),
        repeats=3,
        memory=(OURS,),
        slow=True,
    )


def _start(options: Options, name: str, rows: int, columns: int, clusters: int) -> Callable[[], Start]:
    """Return the function that draws rows and first centres, once in a process."""
    return cache(partial(lloyd_start, rows, columns, clusters, child_seed(options.seed, name)))


def _blobs(
    options: Options, name: str, rows: int, columns: int, clusters: int, spread: float
) -> Callable[[], np.ndarray]:
    return cache(partial(blobs, rows, columns, clusters, spread, child_seed(options.seed, name)))


def _rows(options: Options, rows: int, least: int = 2_000) -> int:
    """Take a fiftieth of the rows when quick, but enough to go through every step."""
    return min(rows, max(least, rows // 50)) if options.quick else rows


def _seeds(options: Options) -> range:
    return range(options.seed, options.seed + (2 if options.quick else 20))
