"""The BP network of paper A term by term: plain Python numbers, loops and ``math.exp``, one hidden layer, one output.

An independent evaluation of eq. 2.1-2.7 and, for clusters, eq. 2.9, each with the constants that the paper prints or the
errata repair as arguments. Letters are the paper's: inputs i, hidden units j, patterns p, learning rate eta, damping mu. A
parameter vector is w_ji row by row, then w_jo, W_kj and W_ko.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

Vector = Sequence[float]


@dataclass(frozen=True)
class Weights:
    """The parameters of a network.

    Attributes:
        hidden: w_ji, one list per hidden unit.
        hidden_bias: w_jo.
        output: W_kj.
        output_bias: W_ko.
    """

    hidden: Sequence[Vector]
    hidden_bias: Vector
    output: Vector
    output_bias: float

    def flat(self) -> list[float]:
        """Return all parameters as one list."""
        return [*(w for unit in self.hidden for w in unit), *self.hidden_bias, *self.output, self.output_bias]

    @property
    def n_hidden_parameters(self) -> int:
        """How many of the parameters come first because they belong to the hidden layer."""
        return sum(map(len, self.hidden)) + len(self.hidden_bias)


def net_input(weights: Vector, bias: float, inputs: Vector, *, first_index: float, added_biases: float) -> float:
    """Evaluate eq. 2.2 or 2.4: the sum from ``first_index``, whose term 0 is the bias, plus ``added_biases`` biases."""
    terms = [bias, *(w * x for w, x in zip(weights, inputs, strict=True))]
    total = added_biases * bias
    for term in terms[int(first_index) :]:
        total += term
    return total


def sigmoid(net: float, *, numerator: float = 1, addend: float = 1, sign: float = -1) -> float:
    """Evaluate eq. 2.3, ``numerator / (addend + e^(sign net))``."""
    return numerator / (addend + math.exp(sign * net))


def half_sse(residuals: Vector, *, factor: float, exponent: float) -> float:
    """Evaluate eq. 2.1, ``factor sum e^exponent``."""
    total = 0.0
    for e in residuals:
        total += e**exponent
    return factor * total


def forward(weights: Weights, inputs: Vector) -> tuple[list[float], float]:
    """Return the hidden units' outputs and the network's, each bias counted once."""
    hidden = [
        sigmoid(net_input(w, bias, inputs, first_index=1, added_biases=1))
        for w, bias in zip(weights.hidden, weights.hidden_bias, strict=True)
    ]
    return hidden, sigmoid(net_input(weights.output, weights.output_bias, hidden, first_index=1, added_biases=1))


def output_derivatives(weights: Weights, inputs: Vector) -> list[float]:
    """Return d yhat / d w for every parameter, by the chain rule with g' = g (1 - g)."""
    hidden, yhat = forward(weights, inputs)
    at_output = yhat * (1 - yhat)
    at_hidden = [at_output * w * h * (1 - h) for w, h in zip(weights.output, hidden, strict=True)]
    return [
        *(delta * x for delta in at_hidden for x in inputs),
        *at_hidden,
        *(at_output * h for h in hidden),
        at_output,
    ]


def error_gradient(residuals: Vector, jacobian: Sequence[Vector], *, factor: float, exponent: float) -> list[float]:
    """Differentiate eq. 2.1: ``factor exponent sum e^(exponent-1) de/dw``, with de/dw (patterns by parameters)."""
    gradient = [0.0] * len(jacobian[0])
    for e, row in zip(residuals, jacobian, strict=True):
        for place, derivative in enumerate(row):
            gradient[place] += factor * exponent * e ** (exponent - 1) * derivative
    return gradient


def levenberg_marquardt_step(
    residuals: Vector, jacobian: Sequence[Vector], mu: float, *, sign: float, damping: float
) -> list[float]:
    """Evaluate eq. 2.7, ``sign [J^T J + damping mu I]^-1 J^T e``, solved exactly in fractions."""
    exact = [[Fraction(value) for value in row] for row in jacobian]
    columns = range(len(exact[0]))
    system = [
        [
            sum((row[a] * row[b] for row in exact), Fraction(0)) + Fraction(damping) * Fraction(mu) * (a == b)
            for b in columns
        ]
        for a in columns
    ]
    right = [sum((row[a] * Fraction(e) for row, e in zip(exact, residuals, strict=True)), Fraction(0)) for a in columns]
    return [float(Fraction(sign) * value) for value in _solve(system, right)]


def total_error(
    points: Sequence[Vector],
    labels: Sequence[int],
    centres: Sequence[Vector],
    *,
    exponent: float,
    root: float,
    own_points: float,
) -> float:
    """Evaluate eq. 2.9, ``(sum_i sum_j (C_j - c_i)^exponent)^root``; j counts cluster i's own points, or the first km of all."""
    total = 0.0
    for cluster, centre in enumerate(centres):
        own = [point for point, label in zip(points, labels, strict=True) if label == cluster]
        for point in own if own_points == 1 else points[: len(own)]:
            for coordinate, middle in zip(point, centre, strict=True):
                total += abs(coordinate - middle) ** exponent
    return total**root


def _solve(matrix: Sequence[Sequence[Fraction]], right: Sequence[Fraction]) -> list[Fraction]:
    """Solve a positive definite system by elimination; its pivots are never zero."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    size = len(rows)
    for pivot in range(size):
        for other in range(size):
            if other != pivot:
                ratio = rows[other][pivot] / rows[pivot][pivot]
                rows[other] = [a - ratio * b for a, b in zip(rows[other], rows[pivot], strict=True)]
    return [row[-1] / row[place] for place, row in enumerate(rows)]
