"""Ward's merging (1963): trees of a sample, the number of clusters that they suggest, and merging weighted centres.

Joining clusters a and b raises the SSE by exactly ``n_a n_b / (n_a + n_b) ||c_a - c_b||^2``; each step joins the pair for which
that is least (paper B, section II.B, step 4).

Shapes: n rows, d columns, k clusters, K cells before merging, m merges.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage


@dataclass(frozen=True)
class Merged:
    """Weighted centres after merging.

    Attributes:
        centres_kd: the means of what was joined.
        mass_k: their weights.
        group_n: (K,) the place in ``centres_kd`` of every cell.
        pairs_m2: cells joined in each step, as row numbers of the cells; the first goes on as both.
        costs_m: what each step added to the SSE.
    """

    centres_kd: np.ndarray
    mass_k: np.ndarray
    group_n: np.ndarray
    pairs_m2: np.ndarray
    costs_m: np.ndarray


def ward_tree(x_nd: np.ndarray) -> np.ndarray:
    """Return SciPy's Ward linkage (n-1, 4) of the rows; column 2 holds the heights, ``sqrt(2 x rise of the SSE)``."""
    return linkage(np.asarray(x_nd, dtype=np.float64), method="ward") if len(x_nd) > 1 else np.empty((0, 4))


def cut_centres(x_nd: np.ndarray, tree: np.ndarray, k: int) -> np.ndarray:
    """Return the means (k, d) of the clusters that the tree has when k are left (fewer where merges are tied)."""
    label_n = fcluster(tree, k, criterion="maxclust") - 1 if len(tree) else np.zeros(1, dtype=np.int64)
    counts = np.bincount(label_n)
    sums = np.stack([np.bincount(label_n, weights=column) for column in np.asarray(x_nd, dtype=np.float64).T], axis=1)
    return sums / counts[:, None]


def largest_jump(heights: np.ndarray, k_min: int, k_max: int) -> int:
    """Return the k from ``k_min`` to ``k_max`` whose next merge is highest in relation to the merge that made k.

    Args:
        heights: (n-1,) nondecreasing heights of the merges of n rows.
        k_min: at least 2; of so few rows that nothing can be compared, k_min (or n) is returned.
        k_max: n - 1 at most counts.
    """
    n = len(heights) + 1
    if n <= k_min:
        return min(n, k_min)
    candidates = np.arange(k_min, min(k_max, n - 1) + 1)
    last, following = heights[n - candidates - 1], heights[n - candidates]
    # Equal rows merge at height 0: every merge after those is an infinite jump, and the first of them is meant.
    jump = np.divide(following, last, out=np.where(following > 0, np.inf, 1.0), where=last > 0)
    return int(candidates[jump.argmax()])


def ward_cost(mass_a: np.ndarray, mass_b: np.ndarray, squared: np.ndarray) -> np.ndarray:
    """Return by how much the SSE rises when clusters of these weights and squared distance of centres are joined."""
    return mass_a * mass_b / (mass_a + mass_b) * squared


def merge_nearest(centres_kd: np.ndarray, mass_k: np.ndarray, n_clusters: int) -> Merged:
    """Join the pair of least Ward cost, the first on a tie, until ``n_clusters`` are left.

    Args:
        centres_kd: (K, d) cells' means, float64.
        mass_k: (K,) their positive weights.
        n_clusters: how many stay; K or more leaves everything as it is.
    """
    centres, mass = centres_kd.copy(), mass_k.astype(np.float64)
    group = np.arange(len(mass))
    alive = np.ones(len(mass), dtype=bool)
    cost = np.stack([_costs_from(place, centres, mass, alive) for place in range(len(mass))])
    nearest = cost.argmin(axis=1)
    pairs, costs = [], []
    for _ in range(len(mass) - n_clusters):
        least = cost[np.arange(len(mass)), nearest]
        a = int(least.argmin())
        a, b = sorted((a, int(nearest[a])))
        pairs.append((a, b))
        costs.append(cost[a, b])
        total = mass[a] + mass[b]
        centres[a] += (centres[b] - centres[a]) * (mass[b] / total)
        mass[a] = total
        group[group == b] = a
        alive[b] = False
        cost[b], cost[:, b] = np.inf, np.inf
        cost[a] = _costs_from(a, centres, mass, alive)
        cost[:, a] = cost[a]
        stale = np.flatnonzero((nearest == a) | (nearest == b))
        nearest[stale] = cost[stale].argmin(axis=1)
        nearest[a] = cost[a].argmin()
        closer = cost[:, a] < cost[np.arange(len(mass)), nearest]
        nearest[closer] = a
    place = np.cumsum(alive) - 1
    return Merged(
        centres[alive],
        mass[alive],
        place[group],
        np.array(pairs, dtype=np.int64).reshape(-1, 2),
        np.array(costs, dtype=np.float64),
    )


def _costs_from(place: int, centres: np.ndarray, mass: np.ndarray, alive: np.ndarray) -> np.ndarray:
    """Return the Ward costs (K,) of joining a cluster to every other; infinite for itself and what is gone."""
    cost = ward_cost(mass[place], mass, ((centres - centres[place]) ** 2).sum(axis=1))
    cost[~alive] = np.inf
    cost[place] = np.inf
    return cost
