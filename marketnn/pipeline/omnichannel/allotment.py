"""Who is marketed which project: compared freely (paper B, eq. 4-13), then within capacities and budgets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from marketnn.allocation import AssignmentResult, ProjectComparison, assign_offers, compare_projects
from marketnn.data.projects import Project
from marketnn.pipeline.omnichannel.config import Config
from marketnn.pipeline.parts import Parts
from marketnn.seed import child_seed

NOBODY = -1


@dataclass(frozen=True)
class Allotment:
    """Projects to customers.

    Attributes:
        projects: J.
        comparison: without limits and contact costs, as the paper has it.
        worth: (n, J) P R less the cost of the contact.
        assigned: within the limits, fixed costs and contact costs counted.
        benefits: today, the paper's plans and the assignment, all counted alike.
    """

    projects: tuple[Project, ...]
    comparison: ProjectComparison
    worth: np.ndarray
    assigned: AssignmentResult
    benefits: pd.DataFrame

    @property
    def offer(self) -> np.ndarray:
        """(n,) position of each customer's project, -1 for none."""
        return self.assigned.offer

    @property
    def customer_worth(self) -> np.ndarray:
        """(n,) what each customer's project is worth, 0 without one."""
        return chosen_entries(self.worth, self.offer)

    @property
    def customer_probability(self) -> np.ndarray:
        """(n,) probability of an order with the customer's project, 0 without one."""
        return chosen_entries(self.comparison.probability, self.offer)

    @property
    def used(self) -> np.ndarray:
        """(J,) whether anybody is marketed it."""
        return np.isin(np.arange(len(self.projects)), self.offer)


def allot(
    probability: np.ndarray, projects: Sequence[Project], current: int, config: Config, parts: Parts
) -> Allotment:
    """Compare the projects and assign them.

    Args:
        probability: (n, J).
        projects: J.
        current: today's project.
        config: the channels' budgets.
        parts: device and seed.

    Raises:
        InputError: as ``compare_projects`` and ``assign_offers``.
    """
    revenue = np.array([project.revenue for project in projects])
    cost = np.array([project.cost for project in projects])
    fixed = np.array([project.fixed_cost for project in projects])
    names = [project.name for project in projects]
    comparison = compare_projects(probability, revenue, fixed, names, current=current)
    worth = comparison.worth - cost
    assigned = assign_offers(
        worth,
        capacity=[np.inf if project.capacity is None else project.capacity for project in projects],
        channel=[project.channel for project in projects],
        channel_budget=config.channel_budget,
        cost=cost if config.channel_budget else None,
        fixed_cost=fixed,
        seed=child_seed(parts.seed, "assignment"),
        device=parts.torch_device(),
    )
    n = len(probability)
    plans = {
        "today": np.full(n, current),
        "all projects, no limits (eq. 13)": comparison.choice,
        "best set of projects (eq. 7)": comparison.launch.offer,
        "within the limits": assigned.offer,
    }
    rows = [{"plan": name, **benefit(comparison.worth, cost, fixed, offer)} for name, offer in plans.items()]
    return Allotment(tuple(projects), comparison, worth, assigned, pd.DataFrame(rows))


def benefit(income: np.ndarray, cost: np.ndarray, fixed: np.ndarray, offer: np.ndarray) -> dict[str, float]:
    """Count what a plan brings.

    Args:
        income: (n, J) products P R.
        cost: (J,) of a contact.
        fixed: (J,) of a project that anybody is marketed.
        offer: (n,) position of each customer's project, -1 for none.

    Returns:
        ``customers, expected_revenue, contact_cost, fixed_cost, benefit``.
    """
    count = np.bincount(offer[offer != NOBODY], minlength=len(cost))
    revenue, contacts = float(chosen_entries(income, offer).sum()), float(count @ cost)
    launched = float(fixed[count > 0].sum())
    return {
        "customers": int(count.sum()),
        "expected_revenue": revenue,
        "contact_cost": contacts,
        "fixed_cost": launched,
        "benefit": revenue - contacts - launched,
    }


def chosen_entries(table: np.ndarray, offer: np.ndarray) -> np.ndarray:
    """Return each row's (n, J) entry of its project (n,), 0 where that is -1."""
    entries = np.take_along_axis(table, np.maximum(offer, 0)[:, None].astype(np.int64), axis=1)[:, 0]
    return np.where(offer == NOBODY, 0.0, entries)
