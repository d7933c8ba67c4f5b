"""Made-up points in Gaussian groups whose centres are known: what a clustering must find, from easy to hard.

The plane's kinds follow the layouts of Fränti and Sieranoja, "K-means properties on six clustering benchmark datasets", Applied
Intelligence 48, 2018, with centres drawn anew for every seed. Coordinates are shares of the square that holds the centres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from marketnn.errors import InputError, unknown_name
from marketnn.seed import numpy_generator

_MAX_DRAWS = 100_000


@dataclass(frozen=True)
class GaussianMixture:
    """Points of which it is known where they come from.

    Attributes:
        x: (n, d) points, in random order.
        labels: (n,) the group of each.
        centres: (k, d) the groups' centres.
        columns: (d,) names.
    """

    x: np.ndarray
    labels: np.ndarray
    centres: np.ndarray
    columns: tuple[str, ...]

    @property
    def overlap(self) -> float:
        """The share of the points that lie nearer to another group's centre than to their own, in X's units."""
        squared = ((self.x[:, None] - self.centres) ** 2).sum(axis=2)
        return float((squared.argmin(axis=1) != self.labels).mean())


@dataclass(frozen=True)
class _Layout:
    """Groups of equal spread in a box: how many, of what size and spread, how far apart at least."""

    groups: int
    points: int
    spread: float
    apart: float
    low: tuple[float, float] = (0.0, 0.0)
    high: tuple[float, float] = (1.0, 1.0)


# Spread and least distance of centres, as shares of the square that holds them.
_LAYOUTS: dict[str, tuple[_Layout, ...]] = {
    "S1": (_Layout(15, 5_000, 0.030, 0.15),),
    "S2": (_Layout(15, 5_000, 0.037, 0.15),),
    "S3": (_Layout(15, 5_000, 0.047, 0.15),),
    "S4": (_Layout(15, 5_000, 0.055, 0.15),),
    "A1": (_Layout(20, 20 * 150, 0.022, 0.09),),
    "A2": (_Layout(35, 35 * 150, 0.022, 0.09),),
    "A3": (_Layout(50, 50 * 150, 0.022, 0.09),),
    "unbalance": (
        _Layout(3, 3 * 2_000, 0.008, 0.10, (0.0, 0.3), (0.3, 0.7)),
        _Layout(5, 5 * 100, 0.020, 0.12, (1.0, 0.2), (1.4, 0.8)),
    ),
}
KINDS = (*_LAYOUTS, "six_segments")

# Each segment stands high on one column: name, mean, standard deviation, least value.
_CUSTOMERS = (
    ("age", 35.0, 8.0, 18.0),
    ("monthly_income", 6_000.0, 1_500.0, 0.0),
    ("quantity", 120.0, 30.0, 0.0),
    ("amount", 9_000.0, 2_000.0, 0.0),
    ("positive_feedback_rate", 0.5, 0.08, 0.0),
    ("orders", 24.0, 5.0, 0.0),
)
_CUSTOMERS_SIZE = 3_000
_CUSTOMERS_RISE = 5.0  # of a segment's own column, in standard deviations


def draw_gaussian_mixture(kind: str, *, seed: int = 0) -> GaussianMixture:
    """Draw a benchmark.

    Args:
        kind: ``S1`` to ``S4``: 5,000 points in 15 round groups of the plane, overlap 0.2, 0.9, 3.3 and 6.5 % on average.
            ``A1``, ``A2``, ``A3``: 20, 35, 50 groups of 150 points, overlap 0.5 to 1.2 %.
            ``unbalance``: three dense groups of 2,000 points and, far away, five sparse ones of 100.
            ``six_segments``: 3,000 customers with six columns, each segment high on one of them.
        seed: of all draws.

    Raises:
        InputError: an unknown kind, or a negative seed.
    """
    if kind not in KINDS:
        raise unknown_name("kind of mixture", kind, KINDS)
    if seed < 0:
        raise InputError(f"seed={seed} is not possible; use 0 or more.")
    rng = numpy_generator(seed)
    if kind == "six_segments":
        return _customers(rng)
    drawn = [_draw_layout(layout, rng) for layout in _LAYOUTS[kind]]
    centres = np.concatenate([centres for centres, _, _ in drawn])
    offsets = np.cumsum([0, *(len(centres) for centres, _, _ in drawn[:-1])])
    labels = np.concatenate([label + offset for (_, _, label), offset in zip(drawn, offsets, strict=True)])
    x = np.concatenate([x for _, x, _ in drawn])
    return _shuffled(x, labels, centres, ("x1", "x2"), rng)


def _draw_layout(layout: _Layout, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return centres (k, 2), points (n, 2) and labels (n,) of one layout; group sizes differ by one at most."""
    centres = _spaced(layout, rng)
    labels = np.arange(layout.points) % layout.groups
    return centres, centres[labels] + layout.spread * rng.normal(size=(layout.points, 2)), labels


def _spaced(layout: _Layout, rng: np.random.Generator) -> np.ndarray:
    """Draw centres (k, 2) evenly over the box, refusing one that lies too near to those before."""
    centres: list[np.ndarray] = []
    for candidate in rng.uniform(layout.low, layout.high, size=(_MAX_DRAWS, 2)):
        if all(np.hypot(*(candidate - centre)) >= layout.apart for centre in centres):
            centres.append(candidate)
        if len(centres) == layout.groups:
            break
    return np.array(centres)


def _customers(rng: np.random.Generator) -> GaussianMixture:
    names, mean, spread, least = zip(*_CUSTOMERS, strict=True)
    centres = np.array(mean) + _CUSTOMERS_RISE * np.diag(spread)
    labels = np.arange(_CUSTOMERS_SIZE) % len(names)
    x = np.maximum(centres[labels] + np.array(spread) * rng.normal(size=(_CUSTOMERS_SIZE, len(names))), least)
    x[:, names.index("positive_feedback_rate")] = np.minimum(x[:, names.index("positive_feedback_rate")], 1.0)
    return _shuffled(x, labels, centres, names, rng)


def _shuffled(
    x: np.ndarray, labels: np.ndarray, centres: np.ndarray, columns: tuple[str, ...], rng: np.random.Generator
) -> GaussianMixture:
    order = rng.permutation(len(x))
    return GaussianMixture(x[order], labels[order], centres, columns)
