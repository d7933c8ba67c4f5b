"""How unequally a value is spread over customers: Pareto and Lorenz curves, Gini, top groups (paper B, fig. 3).

Everything is read off one curve, the share of the value that the greatest share of the rows holds; straight between rows, so
that a fifth of six rows is one row and a fifth of the next.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from marketnn.errors import InputError, rows_text


@dataclass(frozen=True)
class Group:
    """Some rows and what they hold.

    Attributes:
        row_share: their share of the rows.
        value_share: their share of the value.
    """

    row_share: float
    value_share: float


@dataclass(frozen=True)
class Concentration:
    """A value's spread over rows.

    Attributes:
        row_share: (n + 1,) shares of the rows, greatest values first, from 0 to 1.
        value_share: (n + 1,) the shares of the value that they hold: concave, from 0 to 1.
        mean: of the value.
        above_mean: the rows whose value exceeds the mean (paper B's main target group).
    """

    row_share: np.ndarray
    value_share: np.ndarray
    mean: float
    above_mean: Group

    @property
    def gini(self) -> float:
        """Gini coefficient: 0 for equal values, (n - 1) / n where one row holds everything."""
        return float(2 * np.trapezoid(self.value_share, self.row_share) - 1)

    def top(self, row_share: float) -> Group:
        """Return what the greatest ``row_share`` of the rows holds."""
        return Group(row_share, float(np.interp(row_share, self.row_share, self.value_share)))

    def rows_for(self, value_share: float) -> Group:
        """Return the smallest group of the greatest rows that holds ``value_share``."""
        return Group(float(np.interp(value_share, self.value_share, self.row_share)), value_share)


def concentration(values: np.ndarray, *, name: str = "the value") -> Concentration:
    """Describe how a value is spread.

    Args:
        values: (n,) numbers from 0 on, in any unit.
        name: for messages.

    Raises:
        InputError: no values, one that is negative or not finite, or all of them 0.
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 1 or not len(values):
        raise InputError(f"{name} must be one number per row, not an array of shape {values.shape}.")
    wrong = ~((values >= 0) & np.isfinite(values))
    if wrong.any():
        raise InputError(
            f"{name} is {values[wrong][0]:g} in {rows_text(wrong)}; shares need numbers from 0 on: choose another column."
        )
    if not values.any():
        raise InputError(f"{name} is 0 in every row; there is nothing to share: choose another column.")
    total = values.sum()
    held = np.concatenate([[0.0], np.cumsum(np.sort(values)[::-1])]) / total
    above = values > values.mean()
    return Concentration(
        row_share=np.linspace(0, 1, len(values) + 1),
        value_share=held / held[-1],
        mean=float(values.mean()),
        above_mean=Group(float(above.mean()), float(values[above].sum() / total)),
    )
