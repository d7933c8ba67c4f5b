"""What limits an assignment, as rows of one linear system, and how prices of the rows become prices of a contact.

An assignment uses each offer j by n_j contacts and by the cost c_j = sum_i cost_ij of these contacts. Every capacity, minimum
volume and budget is a row of

    sum_j A_rj n_j + sum_j A_r(k+j) c_j <= b_r,    y_r >= 0 its price,

so that at prices y a contact of customer i with offer j costs (A^T y)_j + (A^T y)_(k+j) cost_ij.

Shapes: k offers, r rows, u uses: k, or 2 k where contacts differ in cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Limits:
    """Rows of limits.

    Attributes:
        row_ru: A, the rows' coefficients.
        bound_r: b.
        closed_k: offers nobody may get.
    """

    row_ru: np.ndarray
    bound_r: np.ndarray
    closed_k: np.ndarray

    @classmethod
    def of(
        cls,
        n: int,
        capacity_k: np.ndarray,
        minimum_k: np.ndarray,
        *,
        channel_k: np.ndarray | None = None,
        budget_c: np.ndarray | None = None,
        cost_k: np.ndarray | None = None,
    ) -> Limits:
        """Write down the rows that can bind.

        Args:
            n: customers.
            capacity_k, minimum_k: most and fewest contacts of each offer.
            channel_k: index of each offer's channel.
            budget_c: what each channel may spend; infinite for no limit.
            cost_k: of a contact; ``None`` where it differs by customer.
        """
        k = len(capacity_k)
        unit = np.eye(k)
        open_k = capacity_k > 0
        rows, bounds = [unit[open_k & (capacity_k < n)]], [capacity_k[open_k & (capacity_k < n)]]
        rows.append(-unit[minimum_k > 0])
        bounds.append(-minimum_k[minimum_k > 0])
        if channel_k is not None and budget_c is not None:
            finite_c = np.isfinite(budget_c)
            member_ck = (channel_k == np.arange(len(budget_c))[:, None]).astype(float)[finite_c]
            if cost_k is None:
                rows = [np.hstack([row, np.zeros_like(row)]) for row in rows]
                rows.append(np.hstack([np.zeros_like(member_ck), member_ck]))
            else:
                rows.append(member_ck * cost_k)
            bounds.append(budget_c[finite_c])
        return cls(np.vstack(rows), np.concatenate(bounds).astype(float), ~open_k)

    @property
    def k(self) -> int:
        """How many offers."""
        return len(self.closed_k)

    @property
    def n_rows(self) -> int:
        """How many rows."""
        return len(self.bound_r)

    @cached_property
    def only_counts(self) -> bool:
        """Whether all rows are capacities and minimum volumes: then the linear programme has whole solutions."""
        return self.row_ru.shape[1] == self.k and bool(((self.row_ru != 0).sum(1) == 1).all() and self._whole)

    @property
    def _whole(self) -> bool:
        return bool((np.abs(self.row_ru).max(1, initial=0) == 1).all() and (self.bound_r == np.round(self.bound_r)).all())

    def price(self, y_r: np.ndarray) -> np.ndarray:
        """Return the prices of the uses (u,) at row prices (r,); a closed offer is beyond all prices."""
        price_u = self.row_ru.T @ y_r
        price_u[: self.k][self.closed_k] = np.inf
        return price_u

    def less(self, use_u: np.ndarray) -> Limits:
        """Return what remains of the limits after some uses (u,)."""
        return Limits(self.row_ru, self.bound_r - self.row_ru @ use_u, self.closed_k)

    def share(self, part: float) -> Limits:
        """Return the limits of a sample of the customers."""
        return Limits(self.row_ru, self.bound_r * part, self.closed_k)
