"""Figure 2.3 of paper A, the procedure of CK: each step that the text names, done again by hand or by scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.cluster import KMeans as ScikitKMeans
from sklearn.metrics import pairwise_distances_argmin

from experiments.claims import Claims
from experiments.experiment import Findings, Picture, Workspace
from experiments.flow import flow_figure
from experiments.ledger import Row, compare
from marketnn.cluster.ck import CK
from marketnn.cluster.clara import CLARA
from marketnn.data.points import draw_points
from marketnn.report.page import FigureBlock
from marketnn.seed import child_seed

NAME = "paper_a/ck_flow"
ITEM = "Figure 2.3"
N, DIMENSIONS, K, SEED = 1000, 3, 5, 0
ROUNDING = 1e-9


@dataclass(frozen=True)
class Flow:
    """CK's steps on one table.

    Attributes:
        holds: of each step in the order of the text, whether doing it again gives the same.
        n_rounds: Lloyd's rounds.
        before, after: total error of the medoids and at the end.
    """

    holds: tuple[bool, ...]
    n_rounds: int
    before: float
    after: float


def run(workspace: Workspace) -> Findings:
    """Go through CK step by step."""
    x, _ = draw_points(N, DIMENSIONS, K, 3.0, seed=SEED)
    flow = follow(x, K, SEED)
    caption = "Figure 2.3, the procedure of CK, with the numbers of one run."
    figure = flow_figure(steps(flow, len(x), K))
    return Findings((ledger_row(workspace.claims, flow),), (Picture((ITEM,), FigureBlock.of(figure, caption)),))


def follow(x: np.ndarray, n_clusters: int, seed: int) -> Flow:
    """Run CK on rows (n, d), and each of its steps by other means."""
    found = CK(n_clusters, random_state=seed).fit(x)
    scaled = (x - x.min(axis=0)) / (x.max(axis=0) - x.min(axis=0))
    on_scaled = CK(n_clusters, random_state=seed, scale=False).fit(scaled)
    medoids = CLARA(n_clusters, random_state=child_seed(seed, "clara")).fit(scaled)
    by_scikit = ScikitKMeans(n_clusters, init=scaled[found.medoid_indices_], n_init=1, tol=0.0).fit(scaled)
    means = np.stack([scaled[found.labels_ == place].mean(axis=0) for place in range(n_clusters)])
    sse = np.square(scaled - means[found.labels_]).sum()
    holds = (
        np.array_equal(found.labels_, on_scaled.labels_) and _equal(found.total_error_, on_scaled.total_error_),
        set(found.medoid_indices_) == set(medoids.medoid_indices_),
        np.array_equal(found.labels_, by_scikit.labels_),
        np.array_equal(found.labels_, pairwise_distances_argmin(scaled, means)),
        _equal(found.total_error_, np.sqrt(sse)),
    )
    return Flow(holds, found.n_iter_, float(found.history_[0]), found.total_error_)


def ledger_row(claims: Claims, flow: Flow) -> Row:
    """Compare the steps with those of the text, 1 for each that holds."""
    steps = claims.printed["A"][ITEM]["steps"]
    ours: dict[str, float] = {step: int(held) for step, held in zip(steps, flow.holds, strict=True)}
    ours |= {"rounds": flow.n_rounds, "total error of the medoids": flow.before, "total error": flow.after}
    return compare(
        "A",
        ITEM,
        NAME,
        ours=ours,
        published=steps,
        tolerance=0.0,
        reason=claims.finding("A", ITEM),
        in_kind=True,
    )


def steps(flow: Flow, n: int, k: int) -> tuple[str, ...]:
    """Name the steps, with the run's numbers."""
    return (
        f"{n:,} rows",
        "normalise\nevery attribute\n(eq. 2.8)",
        f"CLARA:\nmedoids of samples,\n{k} centres",
        f"total error\n{flow.before:.3f}",
        f"K-means\nfrom these centres,\n{flow.n_rounds} rounds",
        f"labels, centres,\ntotal error\n{flow.after:.3f} (eq. 2.9)",
    )


def _equal(ours: float, other: float) -> bool:
    return bool(abs(ours - other) <= ROUNDING * other)
