"""Which project each customer is marketed, and which projects are worth their fixed cost (paper B, eq. 4-13, any number of them).

A customer's worth with a project is P R: the fitness score P (probability of an order) times the value R of one. Where the paper
divides (P_b >= R_a P_a / R_b, eq. 13) the products are compared (P_b R_b >= P_a R_a), so that a revenue of 0 is no exception.

Shapes: n customers, j projects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from marketnn.allocation.launch_problem import LaunchSet
from marketnn.allocation.launch_set import choose_launch_set
from marketnn.errors import InputError, rows_text, unknown_name


@dataclass(frozen=True)
class ProjectComparison:
    """Projects compared on the same customers; money in the unit of ``revenue`` and ``fixed_cost``.

    Attributes:
        names: of the J projects.
        probability: (n, J) fitness scores P.
        worth: (n, J) products P R.
        fixed_cost: (J,) cost of each project, whoever is marketed it.
        current: index of the project that all customers are marketed today (the paper's A), ``None`` for none.
        choice: (n,) project of each customer when all are launched: the largest P R, the first of equal ones (eq. 13).
        benefit: W, all launched and each customer marketed the choice (eq. 4).
        benefit_alone: (J,) each project launched alone and marketed to everybody (eq. 5).
        current_benefit: W0, ``benefit_alone`` of the current project, 0 without one (eq. 5).
        launch: the set of projects with the largest benefit, the current one kept, and who is marketed what in it.
        break_even_fixed_cost: (J,) what each project adds to the others of ``launch``, its fixed cost apart: one below it pays
            (eq. 7).
    """

    names: tuple[str, ...]
    probability: np.ndarray
    worth: np.ndarray
    fixed_cost: np.ndarray
    current: int | None
    choice: np.ndarray
    benefit: float
    benefit_alone: np.ndarray
    current_benefit: float
    launch: LaunchSet
    break_even_fixed_cost: np.ndarray

    @property
    def gain(self) -> float:
        """S = W - W0, what launching all projects adds to today's benefit (eq. 6)."""
        return self.benefit - self.current_benefit

    @property
    def launch_gain(self) -> float:
        """What launching the best set adds to today's benefit; never below S."""
        return self.launch.value - self.current_benefit

    @property
    def n_customers(self) -> np.ndarray:
        """(J,) customers of each project when all are launched (the paper's N_a, N_b)."""
        return np.bincount(self.choice, minlength=len(self.names))

    @property
    def go(self) -> np.ndarray:
        """(J,) whether each project adds more than it costs (eq. 7, strictly), the other decisions as in ``launch``."""
        return self.fixed_cost < self.break_even_fixed_cost

    @property
    def offline(self) -> tuple[str, ...]:
        """Projects better left or taken offline: too few customers gain by them, or too little (paper B, II.B)."""
        return tuple(name for name, go in zip(self.names, self.go, strict=True) if not go)

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row per project: benefit alone, customers, launched customers, fixed cost, its break-even, launch and go."""
        return pd.DataFrame(
            {
                "benefit_alone": self.benefit_alone,
                "customers": self.n_customers,
                "launched_customers": np.bincount(self.launch.offer + 1, minlength=len(self.names) + 1)[1:],
                "fixed_cost": self.fixed_cost,
                "break_even_fixed_cost": self.break_even_fixed_cost,
                "launch": self.launch.open,
                "go": self.go,
            },
            index=pd.Index(self.names, name="project"),
        )

    @cached_property
    def moves(self) -> pd.DataFrame:
        """Customers by project: rows when all are launched, columns in the best set, where those of a dropped one move on."""
        counts = np.zeros((len(self.names), len(self.names) + 1), dtype=np.int64)
        np.add.at(counts, (self.choice, self.launch.offer), 1)
        index = pd.Index(self.names, name="all launched")
        return pd.DataFrame(counts, index=index, columns=pd.Index([*self.names, "none"], name="best set"))

    def movers(self, a: int | str, b: int | str) -> np.ndarray:
        """Return the positions of the customers worth more with project b than with a (eq. 8, strictly)."""
        a, b = _position(a, self.names), _position(b, self.names)
        return np.flatnonzero(self.worth[:, b] > self.worth[:, a])

    def key_users(
        self, a: int | str, b: int | str, *, low: float | None = None, high: float | None = None
    ) -> np.ndarray:
        """Return the positions of the movers from a to b with a low P in a and a high P in b (paper B, II.B, c).

        Args:
            a: project, by index or name.
            b: project, by index or name.
            low: highest P in a; ``None`` is the median of all customers.
            high: lowest P in b; ``None`` is the median of all customers.

        Raises:
            InputError: an unknown project.
        """
        movers = self.movers(a, b)
        in_a, in_b = self.probability[:, _position(a, self.names)], self.probability[:, _position(b, self.names)]
        low = float(np.median(in_a)) if low is None else low
        high = float(np.median(in_b)) if high is None else high
        return movers[(in_a[movers] <= low) & (in_b[movers] >= high)]


def compare_projects(
    probability: Any,
    revenue: Any,
    fixed_cost: Any,
    names: Sequence[str] | None = None,
    *,
    current: int | str | None = 0,
) -> ProjectComparison:
    """Compare projects on the same customers: who is marketed what, what each project adds, which to launch.

    Args:
        probability: (n, J) fitness scores, each in [0, 1]; NumPy or torch.
        revenue: (n, J), or (J,) for the same value of an order from every customer; 0 or more.
        fixed_cost: (J,) 0 or more.
        names: of the projects; ``None`` numbers them from 0.
        current: the project that everybody is marketed today, the paper's A: its fixed cost is paid and it stays. ``None`` if
            there is none.

    Raises:
        InputError: shapes that disagree, probabilities outside [0, 1], negative or non-finite money, unknown or repeated names.
    """
    probability_nj = _matrix(probability)
    revenue_nj = _revenue(revenue, probability_nj)
    j = probability_nj.shape[1]
    labels = tuple(str(number) for number in range(j)) if names is None else tuple(map(str, names))
    if len(labels) != j or len(set(labels)) != j:
        raise InputError(f"{len(labels)} names ({len(set(labels))} distinct) for {j} projects; give one to each.")
    kept = None if current is None else _position(current, labels)
    worth_nj = probability_nj * revenue_nj
    launch = choose_launch_set(worth_nj, fixed_cost, required=[] if kept is None else [kept])
    cost_j = np.asarray(torch.as_tensor(fixed_cost).cpu(), dtype=np.float64)
    best_n, choice_n = worth_nj.max(1)
    benefit_alone = worth_nj.sum(0).cpu().numpy() - cost_j
    return ProjectComparison(
        names=labels,
        probability=probability_nj.cpu().numpy(),
        worth=worth_nj.cpu().numpy(),
        fixed_cost=cost_j,
        current=kept,
        choice=choice_n.cpu().numpy(),
        benefit=float(best_n.sum()) - float(cost_j.sum()),
        benefit_alone=benefit_alone,
        current_benefit=0.0 if kept is None else float(benefit_alone[kept]),
        launch=launch,
        break_even_fixed_cost=_uplift(worth_nj, launch.open).cpu().numpy(),
    )


def _uplift(worth_nj: Tensor, is_open: np.ndarray) -> Tensor:
    """Return by how much each project (j,), open or not, raises what the open ones are worth to the customers."""
    open_j = torch.as_tensor(is_open, device=worth_nj.device)
    open_nj = worth_nj.masked_fill(~open_j, 0.0)
    best_n = open_nj.amax(1, keepdim=True)
    first_nj = torch.zeros_like(open_nj).scatter_(1, open_nj.argmax(1, keepdim=True), 1.0) > 0
    without_n = open_nj.masked_fill(first_nj, 0.0).amax(1, keepdim=True)
    lost_nj = (best_n - without_n).where(first_nj, 0.0)
    won_nj = (worth_nj - best_n).clamp(min=0)
    return torch.where(open_j, lost_nj.sum(0), won_nj.sum(0))


def _matrix(probability: Any) -> Tensor:
    probability_nj = torch.as_tensor(probability, dtype=torch.float64)
    if probability_nj.ndim != 2 or 0 in probability_nj.shape:
        raise InputError(f"probability has shape {tuple(probability_nj.shape)}; give (customers, projects).")
    wrong = ~((probability_nj >= 0) & (probability_nj <= 1)).all(1).cpu().numpy()
    if wrong.any():
        row = int(wrong.argmax())
        raise InputError(
            f"probability is outside [0, 1] or NaN in {rows_text(wrong)}, first {probability_nj[row].tolist()};\n"
            "calibrate the scores, or divide percentages by 100."
        )
    return probability_nj


def _revenue(revenue: Any, probability_nj: Tensor) -> Tensor:
    revenue_nj = torch.as_tensor(revenue, dtype=torch.float64, device=probability_nj.device)
    n, j = probability_nj.shape
    if revenue_nj.shape not in ((n, j), (j,)):
        raise InputError(f"revenue has shape {tuple(revenue_nj.shape)}; probability asks for {(n, j)} or {(j,)}.")
    revenue_nj = revenue_nj.expand(n, j)
    wrong = ~((revenue_nj >= 0) & revenue_nj.isfinite()).all(1).cpu().numpy()
    if wrong.any():
        raise InputError(
            f"revenue is negative, NaN or infinite in {rows_text(wrong)}; it is the value of one order, 0 or more.\n"
            "Where a contact may lose money, use assign_offers: it contacts nobody at a loss."
        )
    return revenue_nj


def _position(project: int | str, names: tuple[str, ...]) -> int:
    if isinstance(project, str) and project in names:
        return names.index(project)
    if isinstance(project, (int, np.integer)) and 0 <= project < len(names):
        return int(project)
    raise unknown_name("project", project, names)
