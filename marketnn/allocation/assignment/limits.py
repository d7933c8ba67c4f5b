"""What limits an assignment, as rows of one linear system, and how prices of the rows become prices of a contact.

An assignment uses each offer j by n_j contacts and by the cost c_j = sum_i cost_ij of these contacts. Every capacity, minimum
volume and budget is a row of

    sum_j A_rj n_j + sum_j A_r(k+j) c_j <= b_r,    y_r >= 0 its price,

so that at prices y a contact of customer i with offer j costs (A^T y)_j + (A^T y)_(k+j) cost_ij.

Shapes: k offers, r rows, u uses: k, or 2 k where contacts differ in cost.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Limits:
    """Rows of limits.

    Attributes:
        row_ru: A, the rows' coefficients.
        bound_r: b.
        closed_k: offers nobody may get.
        capacity_k, minimum_k, budget_c: which offers and channels have a row, in that order.
    """

    row_ru: np.ndarray
    bound_r: np.ndarray
    closed_k: np.ndarray
    capacity_k: np.ndarray
    minimum_k: np.ndarray
    budget_c: np.ndarray

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
        unit = np.eye(len(capacity_k))
        open_k, limited_k, demanding_k = capacity_k > 0, (capacity_k > 0) & (capacity_k < n), minimum_k > 0
        row_ru = np.vstack([unit[limited_k], -unit[demanding_k]])
        bound_r = np.concatenate([capacity_k[limited_k], -minimum_k[demanding_k]]).astype(float)
        if channel_k is None or budget_c is None:
            return cls(row_ru, bound_r, ~open_k, limited_k, demanding_k, np.zeros(0, dtype=bool))
        finite_c = np.isfinite(budget_c)
        member_ck = (channel_k == np.arange(len(budget_c))[:, None]).astype(float)[finite_c]
        if cost_k is None:
            row_ru = np.block([[row_ru, np.zeros_like(row_ru)], [np.zeros_like(member_ck), member_ck]])
        else:
            row_ru = np.vstack([row_ru, member_ck * cost_k])
        bound_r = np.concatenate([bound_r, budget_c[finite_c]])
        return cls(row_ru, bound_r, ~open_k, limited_k, demanding_k, finite_c)

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
        return not self.budget_c.any()

    def price(self, y_r: np.ndarray) -> np.ndarray:
        """Return the prices of the uses (u,) at row prices (r,); a closed offer is beyond all prices."""
        price_u = self.row_ru.T @ y_r
        price_u[: self.k][self.closed_k] = np.inf
        return price_u

    def less(self, use_u: np.ndarray) -> Limits:
        """Return what remains of the limits after some uses (u,)."""
        return replace(self, bound_r=self.bound_r - self.row_ru @ use_u)

    def share(self, part: float) -> Limits:
        """Return the limits of a sample of the customers."""
        return replace(self, bound_r=self.bound_r * part)

    def split(self, y_r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the prices of a contact (k,), those of minimum volumes negative, and of the budgets (c,)."""
        n_capacities, n_minima = int(self.capacity_k.sum()), int(self.minimum_k.sum())
        count_k, budget_c = np.zeros(self.k), np.zeros(len(self.budget_c))
        count_k[self.capacity_k] = y_r[:n_capacities]
        count_k[self.minimum_k] -= y_r[n_capacities : n_capacities + n_minima]
        budget_c[self.budget_c] = y_r[n_capacities + n_minima :]
        return count_k, budget_c

    def join(self, count_k: np.ndarray, budget_c: np.ndarray) -> np.ndarray:
        """Return row prices (r,) from those of contacts and budgets, the reverse of `split`."""
        rows = [count_k[self.capacity_k], -count_k[self.minimum_k], budget_c[self.budget_c]]
        return np.maximum(np.concatenate(rows), 0.0)
