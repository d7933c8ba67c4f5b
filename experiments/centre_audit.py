"""What a printed table of cluster centres says of the data it came from: where clusters stand highest, and whether any do.

Centres of z-scored data have a weighted mean of 0 in every feature, the weights being the clusters' shares. Whether such
weights exist at all is a linear programme; where they do not, its dual gives a direction in which every centre lies on the
same side of 0, and that is checked in exact fractions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from scipy.optimize import linprog


@dataclass(frozen=True)
class Centres:
    """A printed table.

    Attributes:
        features: (d,) names.
        cells: (d, k) as printed.
    """

    features: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]

    @staticmethod
    def of(printed: Mapping[str, Sequence[str]]) -> Centres:
        """Read feature -> cells."""
        return Centres(tuple(printed), tuple(tuple(cells) for cells in printed.values()))

    @property
    def numbers(self) -> np.ndarray:
        """(d, k)."""
        return np.array(self.cells, dtype=float)

    def highest(self, cluster: int) -> tuple[str, str]:
        """Return the feature on which a cluster (from 1) stands highest, and the cell."""
        place = int(self.numbers[:, cluster - 1].argmax())
        return self.features[place], self.cells[place][cluster - 1]


@dataclass(frozen=True)
class ZeroMean:
    """Whether weights from 0 on can make all features' weighted means 0.

    Attributes:
        least_mean: the smallest greatest absolute weighted mean that any weights reach; 0 where they can.
        direction: (d,) of absolute sum 1, the dual solution.
        least_projection: the smallest product of the direction with a centre, exact; positive proves that there are none.
    """

    least_mean: float
    direction: tuple[float, ...]
    least_projection: Fraction


def zero_mean(centres: Centres) -> ZeroMean:
    """Solve ``min t`` subject to ``|sum_k w_k mu_kj| <= t`` for every feature j, ``sum_k w_k = 1``, ``w >= 0``."""
    mu = centres.numbers
    n_features, n_clusters = mu.shape
    ones = np.ones((n_features, 1))
    solved = linprog(
        c=[*[0.0] * n_clusters, 1.0],
        A_ub=np.block([[mu, -ones], [-mu, -ones]]),
        b_ub=np.zeros(2 * n_features),
        A_eq=[[*[1.0] * n_clusters, 0.0]],
        b_eq=[1.0],
        method="highs",
    )
    upper, lower = np.split(-solved.ineqlin.marginals, 2)
    direction = upper - lower
    exact = [Fraction(value) for value in direction]
    projections = [
        sum((Fraction(cells[k]) * value for cells, value in zip(centres.cells, exact, strict=True)), Fraction(0))
        for k in range(n_clusters)
    ]
    return ZeroMean(float(solved.fun), tuple(direction.tolist()), min(projections))


def greatest_share(z: float) -> float:
    """Return the greatest share of the rows that a cluster with its centre at z can have in z-scored data: 1 / (1 + z^2).

    With mean 0 and variance 1, the share p and the rest balance: the variance between the two is at least ``p z^2 / (1 - p)``.
    """
    return 1 / (1 + z * z)
