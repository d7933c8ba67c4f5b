"""Contenders that allocate: marketnn, OR-tools, SciPy's HiGHS and SLSQP, and a loop of NumPy."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from bench.allocation_tasks import Channels, Offers
from bench.case import Contender, Measures, Run

SECONDS = "s"
VALUE = "value"
GAP = "proven gap"

_UNITS = 1_000_000  # OR-tools' flow counts whole units: values are rounded to millionths of the largest


def ours(name: str, make: Callable[[], Offers], *, budgets: bool = False, repeats: int | None = None) -> Contender:
    """Assign with ``assign_offers``; its value is in float64 and proven."""

    def prepare() -> Run:
        from marketnn.allocation import assign_offers

        given = make()
        limits: dict[str, Any] = {"capacity": given.capacity}
        if budgets:
            limits |= {"channel": given.channel, "channel_budget": given.budget, "cost": given.cost}

        def run() -> Measures:
            began = time.perf_counter()
            found = assign_offers(given.value, **limits)
            seconds = time.perf_counter() - began
            return {SECONDS: seconds, VALUE: worth(given, found.offer, budgets=budgets), GAP: found.gap}

        return run

    return Contender(name, "float32, assign_offers", prepare, repeats=repeats)


def ortools_flow(name: str, make: Callable[[], Offers], *, repeats: int | None = None) -> Contender:
    """Assign with OR-tools' min-cost flow, on whole units of a millionth of the largest value."""

    def prepare() -> Run:
        given = make()
        n, k = given.value.shape
        unit = float(given.value.max()) / _UNITS
        whole = np.round(given.value / unit).astype(np.int64)

        def run() -> Measures:
            from ortools.graph.python import min_cost_flow

            began = time.perf_counter()
            flow = min_cost_flow.SimpleMinCostFlow()
            person, offer = np.divmod(np.arange(n * k), k)
            worthwhile = whole.ravel() > 0
            edges = flow.add_arcs_with_capacity_and_unit_cost(
                person[worthwhile],
                n + offer[worthwhile],
                np.ones(worthwhile.sum(), np.int64),
                -whole.ravel()[worthwhile],
            )
            flow.add_arcs_with_capacity_and_unit_cost(
                n + np.arange(k), np.full(k, n + k), given.capacity, np.zeros(k, np.int64)
            )
            flow.add_arcs_with_capacity_and_unit_cost(
                np.arange(n), np.full(n, n + k), np.ones(n, np.int64), np.zeros(n, np.int64)
            )
            flow.set_nodes_supplies(
                np.arange(n + k + 1), np.concatenate([np.ones(n), np.zeros(k), [-n]]).astype(np.int64)
            )
            if flow.solve() != flow.OPTIMAL:
                raise RuntimeError("OR-tools found no optimum")
            used = flow.flows(edges) > 0
            assigned = np.full(n, -1)
            assigned[person[worthwhile][used]] = offer[worthwhile][used]
            seconds = time.perf_counter() - began
            return {SECONDS: seconds, VALUE: worth(given, assigned)}

        return run

    settings = "whole numbers, SimpleMinCostFlow, arcs of positive value"
    return Contender(name, settings, prepare, ("ortools",), repeats=repeats, warm_up=repeats != 1)


def highs(name: str, make: Callable[[], Offers], *, repeats: int | None = None) -> Contender:
    """Solve the linear relaxation under channel budgets with SciPy's HiGHS; in whole numbers it took more than 15 minutes."""

    def prepare() -> Run:
        from scipy import sparse
        from scipy.optimize import linprog

        given = make()
        n, k = given.value.shape
        person, offer = np.nonzero(given.value > 0)
        arcs = np.arange(len(person))
        spent = given.cost[offer]
        rows = np.concatenate([person, n + offer, n + k + given.channel[offer]])
        amounts = np.concatenate([np.ones(2 * len(arcs)), spent.astype(float)])
        shape = (n + k + len(given.budget), len(arcs))
        limits = sparse.csr_matrix((amounts, (rows, np.tile(arcs, 3))), shape=shape)
        most = np.concatenate([np.ones(n), given.capacity, given.budget])
        value = given.value[person, offer].astype(float)

        def run() -> Measures:
            began = time.perf_counter()
            found = linprog(-value, A_ub=limits, b_ub=most, bounds=(0, None), method="highs-ipm")
            seconds = time.perf_counter() - began
            if found.status != 0:
                raise RuntimeError(found.message)
            return {SECONDS: seconds, VALUE: -float(found.fun)}

        return run

    settings = "float64, linprog, interior point: only the linear relaxation, arcs of positive value"
    return Contender(name, settings, prepare, repeats=repeats, warm_up=repeats != 1)


def worth(given: Offers, assigned: np.ndarray, *, budgets: bool = False) -> float:
    """Return the value of an assignment in float64; infinite against itself where it breaks a limit."""
    rows = np.flatnonzero(assigned >= 0)
    counts = np.bincount(assigned[rows], minlength=len(given.capacity))
    spent = np.bincount(given.channel, counts * given.cost.astype(float), minlength=len(given.budget))
    if (counts > given.capacity).any() or (budgets and (spent > given.budget * (1 + 1e-9)).any()):
        raise RuntimeError("an assignment breaks its limits")
    return float(given.value[rows, assigned[rows]].astype(float).sum())


def our_plan(name: str, make: Callable[[], Channels]) -> Contender:
    """Plan with ``plan_budget``."""

    def prepare() -> Run:
        from marketnn.allocation import LogCurve, plan_budget

        given = make()
        curves = [LogCurve(float(scale), float(rate)) for scale, rate in zip(given.scale, given.rate, strict=True)]

        def run() -> Measures:
            began = time.perf_counter()
            found = plan_budget(curves, given.budget, given.periods, adstock=given.adstock)
            seconds = time.perf_counter() - began
            return {SECONDS: seconds, VALUE: response(given, found.spend), GAP: found.gap / found.total}

        return run

    return Contender(name, "float64, plan_budget", prepare)


def slsqp(name: str, make: Callable[[], Channels]) -> Contender:
    """Plan with SciPy's SLSQP, gradients given, from an even plan."""

    def prepare() -> Run:
        from scipy.optimize import LinearConstraint, minimize

        given = make()
        k, t = len(given.scale), given.periods

        def slope(spend: np.ndarray) -> np.ndarray:
            stock = adstocked(given, spend.reshape(t, k))
            back = given.scale * given.rate / (1 + given.rate * stock)
            for period in range(t - 2, -1, -1):
                back[period] += given.adstock * back[period + 1]
            return -back.ravel()

        def run() -> Measures:
            began = time.perf_counter()
            found = minimize(
                lambda spend: -response(given, spend.reshape(t, k)),
                np.full(t * k, given.budget / (t * k)),
                jac=slope,
                bounds=[(0, None)] * (t * k),
                constraints=LinearConstraint(np.ones((1, t * k)), ub=given.budget),
                method="SLSQP",
                options={"maxiter": 1_000, "ftol": 1e-9},
            )
            return {SECONDS: time.perf_counter() - began, VALUE: response(given, found.x.reshape(t, k))}

        return run

    return Contender(name, "float64, minimize(method=SLSQP), ftol 1e-9", prepare, warm_up=False, repeats=3)


def adstocked(given: Channels, spend: np.ndarray) -> np.ndarray:
    """Carry spends (t, k) over from period to period."""
    stock = spend.astype(float).copy()
    for period in range(1, given.periods):
        stock[period] += given.adstock * stock[period - 1]
    return stock


def response(given: Channels, spend: np.ndarray) -> float:
    """Return what a plan (t, k) brings."""
    return float((given.scale * np.log1p(given.rate * adstocked(given, spend))).sum())


def our_max_plus(name: str, make: Callable[[], np.ndarray]) -> Contender:
    """Share units among channels for all scenarios at once."""

    def prepare() -> Run:
        import torch

        from marketnn.allocation.max_plus import allocate_levels

        reward = torch.from_numpy(make())

        def run() -> Measures:
            began = time.perf_counter()
            value, _ = allocate_levels(reward)
            return {SECONDS: time.perf_counter() - began, VALUE: float(value.double().sum())}

        return run

    return Contender(name, "float32, allocate_levels", prepare)


def numpy_max_plus(name: str, make: Callable[[], np.ndarray]) -> Contender:
    """Share units among channels, scenario by scenario and channel by channel, a row of the table at a time."""

    def prepare() -> Run:
        reward = make()

        def best(scenario: np.ndarray) -> float:
            table = np.maximum.accumulate(scenario[0])
            for row in scenario[1:]:
                following = np.full_like(table, -np.inf)
                for units in range(len(row)):
                    np.maximum(following[units:], table[: len(table) - units] + row[units], out=following[units:])
                table = following
            return float(table[-1])

        def run() -> Measures:
            began = time.perf_counter()
            values = [best(scenario) for scenario in reward]
            return {SECONDS: time.perf_counter() - began, VALUE: float(np.sum(values))}

        return run

    return Contender(name, "float32, a loop over scenarios, channels and units", prepare, warm_up=False, repeats=3)
