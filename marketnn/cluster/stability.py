"""Whether a clustering comes out the same on other rows of the same table (Ben-Hur, Elisseeff and Guyon 2002)."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.metrics import adjusted_rand_score

from marketnn.seed import numpy_generator

_SHARE = 0.8


def stability(x: np.ndarray, estimator: Any, *, n_resamples: int, seed: int) -> float:
    """Return the mean adjusted Rand index between the labels that fits to different rows give to all rows.

    It is 0 where a draw holds fewer distinct rows than clusters: such a k depends on single rows.

    Args:
        x: (n, d) the table.
        estimator: a clustering estimator with ``predict``; it is cloned, not fitted.
        n_resamples: fits, at least 2, each on four fifths of the rows, drawn without replacement.
        seed: of the draws.
    """
    rng = numpy_generator(seed)
    draws = [x[rng.permutation(len(x))[: int(_SHARE * len(x))]] for _ in range(n_resamples)]
    if any(len(np.unique(drawn, axis=0)) < estimator.n_clusters for drawn in draws):
        return 0.0
    fits = [clone(estimator).fit(drawn) for drawn in draws]
    labels = [fitted.predict(x) for fitted in fits]
    return float(np.mean([adjusted_rand_score(one, other) for one, other in combinations(labels, 2)]))
