"""How paper B's planning is run: every choice in one place, checked before anything is computed."""

from __future__ import annotations

from dataclasses import dataclass

from marketnn.errors import InputError


@dataclass(frozen=True)
class Config:
    """How customers are segmented, marketed and planned for; money in any one unit.

    Attributes:
        outcome: the column with what came of today's marketing, which the rule's scores learn and the selection of features looks
            at; ``None`` is the table's target, or without one the current project's column.
        outcome_above: a number column counts as an order where it exceeds this; ``None`` takes it as it is.
        strong_correlation: ``|r|`` from which the less important feature of a pair goes.
        negligible: share of the importance below which a feature goes.
        n_segments: number of segments; ``None`` takes it from the merge heights.
        candidates: numbers of segments that the criteria compare; those above the number of distinct rows are passed over.
        value: a column whose concentration is shown; ``None`` is the planned benefit.
        top_share: share of the customers whose share of it is told.
        projects: a file as ``read_projects`` takes it; ``None`` is the rule: everybody is marketed ``current`` today, and orders
            at the segment's rate; ``targeted`` is a second project, with the customer's own score.
        current: the project that everybody is marketed today; ``None`` is the first.
        current_revenue, current_cost: the rule's first project: revenue of an order, cost of a contact.
        targeted_revenue, targeted_cost, targeted_fixed_cost: likewise its second, and what it costs as such.
        targeted_share: share of the customers that it can reach.
        channel_budget: channel -> what the contacts through it may cost together; ``None`` is no limit.
        test_share, validation_share: shares of the customers that test the scores, and that stop the training.
        members: restarts trained side by side.
        max_epochs, max_fail: epochs at most; epochs in a row without a better validation loss that end a restart.
        demand: a column with each customer's demand for the resource, from 0 on; ``None`` is the orders of a segment.
        demand_unit: size of one unit of it.
        surplus_cost, shortage_cost: components of what a unit left over and a unit missing cost (paper B, eq. 20).
        resource_limit: most units for all segments together; ``None`` is no limit.
        periods: quarters planned.
        budget: to spend over all of them; ``None`` is ``budget_share`` of the planned benefit.
        budget_share: used without ``budget``.
        period_budget: most in one quarter; ``None`` is no limit.
        response_ceiling: most that spending adds to a segment's benefit in a quarter, as a share of that benefit.
        half_saturation: spend per customer that brings half of the ceiling, as a share of the mean benefit of a customer.
        slope: of the Hill curve; above 1 it is S-shaped.
        carry_over: share of a spend's effect that lasts into the next quarter.
        discount: per quarter.
        case: whether the calibration to tables 3 and 4 of paper B is shown.
        case_advertising, case_promotion, case_price, case_quantity: of its products A1 and A2.
        case_profit_rate: profit of A2 over its revenue.
    """

    outcome: str | None = None
    outcome_above: float | None = None
    strong_correlation: float = 0.5
    negligible: float = 0.01
    n_segments: int | None = 6
    candidates: tuple[int, ...] = (2, 3, 4, 5, 6, 7, 8)
    value: str | None = None
    top_share: float = 0.2
    projects: str | None = None
    current: str | None = None
    current_revenue: float = 40.0
    current_cost: float = 1.0
    targeted_revenue: float = 36.0
    targeted_cost: float = 2.0
    targeted_fixed_cost: float = 1000.0
    targeted_share: float = 0.2
    channel_budget: dict[str, float] | None = None
    test_share: float = 0.2
    validation_share: float = 0.15
    members: int = 3
    max_epochs: int = 300
    max_fail: int = 15
    demand: str | None = None
    demand_unit: float = 1.0
    surplus_cost: tuple[float, ...] = (0.6, 0.4)
    shortage_cost: tuple[float, ...] = (3.0, 1.0)
    resource_limit: int | None = None
    periods: int = 4
    budget: float | None = None
    budget_share: float = 0.05
    period_budget: float | None = None
    response_ceiling: float = 0.2
    half_saturation: float = 0.1
    slope: float = 1.0
    carry_over: float = 0.3
    discount: float = 0.0
    case: bool = True
    case_advertising: tuple[float, ...] = (1800.0, 750.0)
    case_promotion: tuple[float, ...] = (600.0, 1350.0)
    case_price: tuple[float, ...] = (40.0, 36.0)
    case_quantity: tuple[float, ...] = (80.0, 150.0)
    case_profit_rate: float = 0.161

    def check(self) -> None:
        """Refuse numbers that no engine would name by their keys.

        Raises:
            InputError: naming the key, its value and what it may be.
        """
        for key in ("n_segments", "members", "max_epochs", "max_fail", "periods"):
            if getattr(self, key) is not None and getattr(self, key) < 1:
                raise InputError(f"pipeline.{key}={getattr(self, key)} must be at least 1.")
        if not self.candidates or min(self.candidates) < 2:
            raise InputError(
                f"pipeline.candidates={list(self.candidates)} must be numbers of segments, each at least 2."
            )
        for key in ("top_share", "targeted_share", "budget_share", "case_profit_rate"):
            if not 0 < getattr(self, key) < 1:
                raise InputError(f"pipeline.{key}={getattr(self, key):g} must lie between 0 and 1.")
        rule = ("current_revenue", "current_cost", "targeted_revenue", "targeted_cost", "targeted_fixed_cost")
        for key in (*rule, "resource_limit", "budget", "period_budget"):
            if getattr(self, key) is not None and getattr(self, key) < 0:
                raise InputError(f"pipeline.{key}={getattr(self, key):g} must be 0 or more.")
        for key in ("demand_unit", "response_ceiling", "half_saturation", "slope"):
            if getattr(self, key) <= 0:
                raise InputError(f"pipeline.{key}={getattr(self, key):g} must be above 0.")
        for key in ("case_advertising", "case_promotion", "case_price", "case_quantity"):
            if len(getattr(self, key)) != 2 or min(getattr(self, key)) <= 0:
                raise InputError(
                    f"pipeline.{key}={list(getattr(self, key))} must be two numbers above 0: of A1 and of A2."
                )
