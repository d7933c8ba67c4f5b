"""Where a demand's probabilities come from: data, Poisson, negative binomial, a table; always 0 .. X-1, tail reported.

An unbounded demand is cut at a largest value. What lies beyond is counted there, which leaves ``F(m)`` as it is for every
smaller m, so that the newsvendor does not move; how much it was is ``tail_mass``.

Shapes: X demands; any dimensions before them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.stats
import torch
from torch import Tensor

from marketnn.allocation.numbers import Numbers, column
from marketnn.allocation.resource import check_pmf
from marketnn.errors import InputError, rows_text

_TAIL = 1e-9  # probability beyond the largest demand, unless that is given
_LARGEST = 1_000_000  # demands at most; more are to be counted in larger units


@dataclass(frozen=True)
class Demand:
    """A demand's distribution, ready for ``allocate_resource``.

    Attributes:
        pmf: (..., X), the probabilities of 0 .. X-1 units.
        tail_mass: (...), the probability of more, counted at X-1.
        unit: what one step stands for, in the units of the data.
    """

    pmf: Tensor
    tail_mass: float | Tensor
    unit: float = 1.0


def empirical(demand: Numbers, *, unit: float = 1.0, largest: int | None = None) -> Demand:
    """The relative frequencies of observed demands.

    Args:
        demand: (n,) observations >= 0.
        unit: the size of one unit of the resource; a demand needs ``ceil(demand / unit)`` of them. The entropy rule's
            answer depends on it, the newsvendor's only by the rounding up.
        largest: the largest number of units told apart; ``None`` is the largest observed.

    Raises:
        InputError: no observations, some negative or not finite, or too many units.
    """
    observed = column("demand", demand).numpy()
    if not observed.size:
        raise InputError("demand has no observations; pass at least one.")
    if (observed < 0).any():
        raise InputError(f"demand is negative in {rows_text(observed < 0)}; drop these or repair them.")
    if not 0 < unit < np.inf:
        raise InputError(f"unit={unit:g} is not possible; pass the size of one unit, > 0.")
    needed = np.ceil(np.round(observed / unit, 9))  # 0.3 / 0.1 is three units, not four
    top = _check_largest(needed.max() if largest is None else largest)
    counts = np.bincount(np.minimum(needed, top).astype(np.int64), minlength=top + 1)
    return Demand(torch.from_numpy(counts / observed.size), float((needed > top).mean()), unit)


def poisson(mean: float | np.ndarray, *, largest: int | None = None) -> Demand:
    """Poisson demand.

    Args:
        mean: > 0; a number, or (...) for many.
        largest: the largest demand told apart; ``None`` leaves a tail of at most 1e-9.

    Raises:
        InputError: a mean that is not positive, or too large a demand.
    """
    return _counted(scipy.stats.poisson(_positive("mean", mean)[..., None]), largest)


def negative_binomial(mean: float | np.ndarray, variance: float | np.ndarray, *, largest: int | None = None) -> Demand:
    """Negative binomial demand: more scattered than Poisson, as where customers differ in their rates.

    Args:
        mean: > 0; a number, or (...) for many.
        variance: > mean.
        largest: the largest demand told apart; ``None`` leaves a tail of at most 1e-9.

    Raises:
        InputError: a mean that is not positive, a variance not above it, or too large a demand.
    """
    means, variances = np.broadcast_arrays(_positive("mean", mean), _positive("variance", variance))
    if not (variances > means).all():
        first = np.unravel_index(np.argmin(variances > means), means.shape)
        raise InputError(
            f"variance={variances[first]:g} is not above mean={means[first]:g}; use poisson, or another variance."
        )
    number = means**2 / (variances - means)
    return _counted(scipy.stats.nbinom(number[..., None], (means / variances)[..., None]), largest)


def table(values: Sequence[int] | np.ndarray, probabilities: Sequence[float] | np.ndarray) -> Demand:
    """The demand that a table of values and probabilities describes; values without a row have probability 0.

    Raises:
        InputError: columns of unlike length, values that are no whole numbers >= 0, occur twice or are too large.
    """
    demands, chances = np.asarray(values, dtype=np.float64), np.asarray(probabilities, dtype=np.float64)
    if demands.ndim != 1 or demands.shape != chances.shape or not demands.size:
        raise InputError(f"values {demands.shape} and probabilities {chances.shape} disagree; pass two columns (n,).")
    wrong = ~((demands >= 0) & (demands == np.floor(demands)) & (demands < np.inf))
    if wrong.any():
        raise InputError(f"the demand in {rows_text(wrong)} is {demands[wrong][0]:g}; pass whole numbers >= 0.")
    if len(np.unique(demands)) < len(demands):
        raise InputError("a demand occurs twice in the table; add the probabilities up in one row.")
    pmf = np.zeros(_check_largest(demands.max()) + 1)
    pmf[demands.astype(np.int64)] = chances
    return Demand(check_pmf(pmf), 0.0)


def _counted(distribution: scipy.stats.rv_discrete, largest: int | None) -> Demand:
    top = _check_largest(np.max(distribution.isf(_TAIL)) if largest is None else largest)
    demands = np.arange(top + 1)
    pmf, beyond = distribution.pmf(demands), distribution.sf(top)[..., 0]
    pmf[..., -1] += beyond
    return Demand(torch.from_numpy(pmf), float(beyond) if pmf.ndim == 1 else torch.from_numpy(beyond))


def _positive(name: str, given: float | np.ndarray) -> np.ndarray:
    numbers = np.asarray(given, dtype=np.float64)
    wrong = ~((numbers > 0) & (numbers < np.inf))
    if wrong.any():
        raise InputError(f"{name}={numbers[wrong].flat[0]:g} is not possible; pass a finite number > 0.")
    return numbers


def _check_largest(largest: float) -> int:
    if not 0 <= largest <= _LARGEST:
        raise InputError(f"the largest demand, {largest:g}, is not in 0 .. {_LARGEST:,}; count it in larger units.")
    return int(largest)
