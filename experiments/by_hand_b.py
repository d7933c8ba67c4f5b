"""Paper B's equations term by term: plain numbers and loops, with the constants that the paper prints or the errata repair.

Letters are the paper's: customers i, projects A and B, probabilities P, revenues R, fixed costs C, losses L1 (surplus) and L2
(shortage), demands x, quantity m. An independent evaluation: nothing of the library is used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Vector = Sequence[float]


@dataclass(frozen=True)
class Projects:
    """Two projects and the customers.

    Attributes:
        p_a, p_b: probabilities of an order.
        r_a, r_b: revenues of one.
        c_a, c_b: fixed costs.
        k: of the rule f(P_a) = k P_a.
    """

    p_a: Vector
    p_b: Vector
    r_a: Vector
    r_b: Vector
    c_a: float
    c_b: float
    k: float

    @property
    def threshold(self) -> list[float]:
        """f(P_ai)."""
        return [self.k * p for p in self.p_a]

    @property
    def to_b(self) -> list[bool]:
        """Whether P_bi >= f(P_ai)."""
        return [p >= f for p, f in zip(self.p_b, self.threshold, strict=True)]

    @property
    def terms(self) -> list[tuple[float, float, float, float]]:
        """P_ai, R_ai, P_bi, R_bi of every customer."""
        return list(zip(self.p_a, self.r_a, self.p_b, self.r_b, strict=True))


def min_max(column: Vector, *, subtracted_minima: float, range_minima: float) -> list[float]:
    """Evaluate eq. 1."""
    low, high = min(column), max(column)
    return [(x - subtracted_minima * low) / (high - range_minima * low) for x in column]


def z_score(column: Vector, *, subtracted_means: float, power: float) -> list[float]:
    """Evaluate eq. 2, sigma that of the population."""
    mean = sum(column) / len(column)
    sigma = math.sqrt(sum((u - mean) ** 2 for u in column) / len(column))
    return [(u - subtracted_means * mean) / sigma**power for u in column]


def decimal(column: Vector, *, base: float, limit: float) -> list[float]:
    """Evaluate eq. 3: the smallest integer k with all |u'| below the limit."""
    k = -20
    while max(abs(u) for u in column) / base**k >= limit:
        k += 1
    return [u / base**k for u in column]


def benefit(given: Projects, *, income_a: float, income_b: float, cost_a: float, cost_b: float) -> float:
    """Evaluate eq. 4, W."""
    total = -cost_a * given.c_a - cost_b * given.c_b
    for (p_a, r_a, p_b, r_b), to_b in zip(given.terms, given.to_b, strict=True):
        total += income_b * p_b * r_b if to_b else income_a * p_a * r_a
    return total


def benefit_without(given: Projects, *, income: float, cost: float) -> float:
    """Evaluate eq. 5, W0."""
    return income * sum(p_a * r_a for p_a, r_a, _, _ in given.terms) - cost * given.c_a


def gain(given: Projects, *, score_of_b: float, given_up: float, cost: float) -> float:
    """Evaluate eq. 6, S, over the customers whose score of B (or, as printed, of A) reaches f."""
    scores = given.p_b if score_of_b == 1 else given.p_a
    total = -cost * given.c_b
    for (p_a, r_a, p_b, r_b), score, f in zip(given.terms, scores, given.threshold, strict=True):
        if score >= f:
            total += p_b * r_b - given_up * p_a * r_a
    return total


def uplift(given: Projects) -> float:
    """Evaluate the left side of eq. 7."""
    return sum(
        p_b * r_b - p_a * r_a for (p_a, r_a, p_b, r_b), to_b in zip(given.terms, given.to_b, strict=True) if to_b
    )


def weights(pmf: Vector, *, base: float = 2, sign: float = -1) -> list[float]:
    """Return w(x) = sign p log p; 0 where p is."""
    return [sign * p * math.log(p, base) if p > 0 else 0.0 for p in pmf]


def surplus_loss(pmf: Vector, cost: float, m: int, *, base: float, sign: float, inside: float) -> float:
    """Evaluate eq. 14; ``inside`` 0 leaves m - x before the sum, as printed, where x has no value: its first is taken."""
    w = weights(pmf, base=base, sign=sign)[: m + 1]
    return cost * sum((m - (x if inside == 1 else 0)) * weight for x, weight in enumerate(w))


def shortage_loss(pmf: Vector, cost: float, m: int, *, difference: float, to_the_end: float) -> float:
    """Evaluate eq. 15: ``difference`` 1 has x - m, -1 m - x; the sum is over x >= m, or over x <= m as printed."""
    w = weights(pmf)
    demands = range(m, len(pmf)) if to_the_end == 1 else range(m + 1)
    return cost * sum(difference * (x - m) * w[x] for x in demands)


def total_loss(pmf: Vector, costs: tuple[float, float], m: int, *, surplus: float, shortage: float) -> float:
    """Evaluate eq. 16."""
    return surplus * surplus_loss(pmf, costs[0], m, base=2, sign=-1, inside=1) + shortage * shortage_loss(
        pmf, costs[1], m, difference=1, to_the_end=1
    )


def quantity(pmf: Vector, costs: tuple[float, float], *, sign: float, first: float) -> int:
    """Evaluate eq. 19: the first m whose sum reaches the share of H0; with ``first`` 0 the m where both are equal, or -1."""
    h0 = sum(weights(pmf))
    target = costs[1] * h0 / (costs[0] + costs[1])
    total = 0.0
    for m, weight in enumerate(weights(pmf, sign=sign)):
        total += weight
        if (first == 1 and total >= target) or total == target:
            return m
    return -1
