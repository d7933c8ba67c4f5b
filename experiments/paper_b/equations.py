"""Equations 1-20 of paper B: the library's values against a term-by-term evaluation of the repaired formulas."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import torch

from experiments import by_hand_b as by_hand
from experiments.by_hand_b import Projects
from experiments.claims import Claims, read_yaml
from experiments.experiment import Findings, Workspace
from experiments.ledger import Row, compare
from marketnn.allocation import ProjectIntroduction, allocate_resource, compare_projects, introduce_project
from marketnn.preprocess import DecimalScaler, MinMaxScaler, StandardScaler

NAME = "paper_b/equations"
SETTINGS = Path(__file__).with_suffix(".yaml")
TOLERANCE = 1e-10
Numbers = dict[str, float]
Constants = Mapping[str, float]
Evaluation = tuple[Numbers, Numbers]  # ours, published


@dataclass(frozen=True)
class Case:
    """The numbers at which the equations are evaluated.

    Attributes:
        columns: of eq. 1-3.
        projects: of eq. 4-13.
        constant: revenues of A and of B that are alike for all customers.
        sweep: factors tried.
        pmf: of the demand.
        surplus, shortage: components of the losses.
    """

    columns: Mapping[str, list[float]]
    projects: Projects
    constant: tuple[float, float]
    sweep: int
    pmf: list[float]
    surplus: list[float]
    shortage: list[float]

    @property
    def costs(self) -> tuple[float, float]:
        """L1 and L2."""
        return sum(self.surplus), sum(self.shortage)


def load_case() -> Case:
    """Read the numbers from the YAML beside this file."""
    chosen = read_yaml(SETTINGS)
    return Case(
        chosen["columns"],
        Projects(**chosen["projects"]),
        (chosen["constant"]["r_a"], chosen["constant"]["r_b"]),
        chosen["sweep"],
        chosen["pmf"],
        chosen["surplus"],
        chosen["shortage"],
    )


def run(workspace: Workspace) -> Findings:
    """Evaluate every equation both ways."""
    case = load_case()
    return Findings(tuple(_row(workspace.claims, case, item) for item in EQUATIONS))


def min_max(case: Case, printed: Constants, repaired: Constants) -> Evaluation:
    """Eq. 1."""
    return _scaled(case, MinMaxScaler(), lambda column: by_hand.min_max(column, **repaired))


def z_score(case: Case, printed: Constants, repaired: Constants) -> Evaluation:
    """Eq. 2."""
    return _scaled(case, StandardScaler(), lambda column: by_hand.z_score(column, **repaired))


def decimal(case: Case, printed: Constants, repaired: Constants) -> Evaluation:
    """Eq. 3; the smallest integer k is negative for a column below .1."""
    return _scaled(case, DecimalScaler(), lambda column: by_hand.decimal(column, **repaired))


def benefit(case: Case, printed: Constants, repaired: Constants) -> Evaluation:
    """Eq. 4: W of both projects."""
    return {"W": _introduced(case.projects).benefit.item()}, {"W": by_hand.benefit(case.projects, **repaired)}


def benefit_without(case: Case, printed: Constants, repaired: Constants) -> Evaluation:
    """Eq. 5: W0, everybody marketed A."""
    ours = {"W0": _introduced(case.projects).benefit_without.item()}
    return ours, {"W0": by_hand.benefit_without(case.projects, **repaired)}


def gain(case: Case, printed: Constants, repaired: Constants) -> Evaluation:
    """Eq. 6: S = W - W0; the printed index set looks at the score of A."""
    ours = {
        "S": _introduced(case.projects).gain.item(),
        "S of the printed formula": by_hand.gain(case.projects, **printed),
    }
    return ours, {"S": by_hand.gain(case.projects, **repaired)}


def launch_condition(case: Case, printed: Constants, repaired: Constants) -> Evaluation:
    """Eq. 7: B pays above its break-even fixed cost, not at it."""
    even = by_hand.uplift(case.projects)
    introduced = _introduced(replace(case.projects, c_b=_introduced(case.projects).break_even_fixed_cost.item()))
    ours = {
        "break-even fixed cost": introduced.break_even_fixed_cost.item(),
        "launched there": float(introduced.launch),
    }
    return ours, {"break-even fixed cost": even, "launched there": float(repaired["strict"] == 0)}


def worthwhile_customers(case: Case, printed: Constants, repaired: Constants) -> Evaluation:
    """Eq. 8: exactly the customers whose term is not negative make S greatest."""
    terms = [
        repaired["income_b"] * p_b * r_b - repaired["income_a"] * p_a * r_a
        for p_a, r_a, p_b, r_b in case.projects.terms
    ]
    chosen = _compared(case.projects)
    published = {f"customer {place} to B": float(term >= 0) for place, term in enumerate(terms, start=1)}
    published["greatest S before costs"] = sum(max(term, 0.0) for term in terms)
    ours = {f"customer {place} to B": float(project == 1) for place, project in enumerate(chosen, start=1)}
    ours["greatest S before costs"] = _greatest_uplift(case.projects)
    return ours, published


def sufficient_condition(case: Case, printed: Constants, repaired: Constants) -> Evaluation:
    """Eq. 9: where it holds for all customers of B, the sum of its left sides bounds their uplift from below."""
    given = replace(case.projects, k=_factor_for_all(case.projects))
    sides = [
        repaired["income_b"] * f * r_b - repaired["income_a"] * p_a * r_a
        for (p_a, r_a, _, r_b), f in zip(given.terms, given.threshold, strict=True)
    ]
    introduced = _introduced(given)
    ours = {f"left side {place}": value for place, value in enumerate(_left_sides(given), start=1)}
    ours["the uplift reaches their sum"] = float(
        introduced.break_even_fixed_cost.item() >= sum(_of_b(given, _left_sides(given)))
    )
    published = {f"left side {place}": value for place, value in enumerate(sides, start=1)}
    return ours, {**published, "the uplift reaches their sum": 1}


def proportional_rule(case: Case, printed: Constants, repaired: Constants) -> Evaluation:
    """Eq. 10: f = k P_a; with a k below 0, which is printed as possible, everybody would be marketed B."""
    factors = {"k": case.projects.k, "-k": -case.projects.k}
    ours: Numbers = {}
    published: Numbers = {}
    for name, k in factors.items():
        ours[f"customers of B at {name}"] = float(_introduced(replace(case.projects, k=k)).n_b)
        threshold = [repaired["factor"] * k * p for p in case.projects.p_a]
        published[f"customers of B at {name}"] = sum(p >= f for p, f in zip(case.projects.p_b, threshold, strict=True))
    ours["a k below 0 tells customers apart"] = float(ours["customers of B at -k"] < len(case.projects.p_a))
    published["a k below 0 tells customers apart"] = 1 - repaired["positive"]
    return ours, published


def substituted_condition(case: Case, printed: Constants, repaired: Constants) -> Evaluation:
    """Eq. 11: eq. 9 with eq. 10 in it."""
    given = case.projects
    published = [
        (given.k * repaired["revenue_b"] * r_b - repaired["revenue_a"] * r_a) * p_a for p_a, r_a, _, r_b in given.terms
    ]
    ours = {f"left side {place}": value for place, value in enumerate(_left_sides(given), start=1)}
    ours["equation whose left side that is"] = 9
    sides = {f"left side {place}": value for place, value in enumerate(published, start=1)}
    return ours, {**sides, "equation whose left side that is": repaired["substituted_into"]}


def best_factor(case: Case, printed: Constants, repaired: Constants) -> Evaluation:
    """Eq. 12: with equal revenues W is greatest at k = R_a / R_b; a larger k gives profitable customers up."""
    r_a, r_b = case.constant
    given = replace(case.projects, r_a=[r_a] * len(case.projects.p_a), r_b=[r_b] * len(case.projects.p_a))
    factors = torch.linspace(0, 2, case.sweep, dtype=torch.float64)
    p_a = torch.tensor(given.p_a, dtype=torch.float64)
    swept = introduce_project(p_a, given.p_b, r_a, r_b, given.c_a, given.c_b, factors[:, None] * p_a)
    at_ratio = _introduced(replace(given, k=repaired["ratio"] * r_a / r_b)).benefit.item()
    larger = _introduced(replace(given, k=4 * r_a / r_b)).benefit.item()
    ours = {
        "greatest W": swept.benefit.max().item(),
        "a larger k is as good": float(larger >= swept.benefit.max().item()),
    }
    return ours, {"greatest W": at_ratio, "a larger k is as good": 1 - repaired["equality"]}


def best_rule(case: Case, printed: Constants, repaired: Constants) -> Evaluation:
    """Eq. 13: the rule customer by customer, and against all ways of dividing the customers."""
    terms = case.projects.terms
    by_rule = [p_b >= repaired["factor"] * r_a * p_a / r_b for p_a, r_a, p_b, r_b in terms]
    incomes = [_income(terms, way) for way in product((False, True), repeat=len(terms))]
    chosen = _compared(case.projects)
    ours = {f"customer {place} to B": float(project == 1) for place, project in enumerate(chosen, start=1)}
    ours["income"] = _income(terms, [project == 1 for project in chosen])
    published = {f"customer {place} to B": float(to_b) for place, to_b in enumerate(by_rule, start=1)}
    return ours, {**published, "income": max(incomes)}


def surplus(case: Case, printed: Constants, repaired: Constants) -> Evaluation:
    """Eq. 14: the surplus part of the loss at every quantity."""
    cost = case.costs[0]
    ours = _numbered("m =", cost * (_curve(case, 2, 1) - _curve(case, 1, 1)))
    ours["m = 4 of the printed formula"] = by_hand.surplus_loss(case.pmf, cost, 4, **printed)
    return ours, _numbered("m =", [by_hand.surplus_loss(case.pmf, cost, m, **repaired) for m in range(len(case.pmf))])


def shortage(case: Case, printed: Constants, repaired: Constants) -> Evaluation:
    """Eq. 15: the shortage part; the printed one repeats eq. 14's sum, with a loss below 0."""
    cost = case.costs[1]
    ours = _numbered("m =", cost * (_curve(case, 1, 2) - _curve(case, 1, 1)))
    ours["m = 4 of the printed formula"] = by_hand.shortage_loss(case.pmf, cost, 4, **printed)
    return ours, _numbered("m =", [by_hand.shortage_loss(case.pmf, cost, m, **repaired) for m in range(len(case.pmf))])


def loss(case: Case, printed: Constants, repaired: Constants) -> Evaluation:
    """Eq. 16: the whole loss at every quantity."""
    published = [by_hand.total_loss(case.pmf, case.costs, m, **repaired) for m in range(len(case.pmf))]
    return _numbered("m =", _curve(case, *case.costs)), _numbered("m =", published)


def stationarity(case: Case, printed: Constants, repaired: Constants) -> Evaluation:
    """Eq. 17: demand is counted, so that the first difference changes sign at m*, where a derivative would be 0."""
    curve = _curve(case, *case.costs)
    m = allocate_resource(case.pmf, surplus_cost=case.costs[0], shortage_cost=case.costs[1]).entropy
    before, after = curve[m] - curve[m - 1], curve[m + 1] - curve[m]
    w = by_hand.weights(case.pmf)
    (l1, l2), h0 = case.costs, sum(w)
    ours = {"difference before m*": before, "difference after m*": after, "changes sign": float(before < 0 <= after)}
    published = {
        "difference before m*": (l1 + l2) * sum(w[:m]) - l2 * h0 + repaired["value"],
        "difference after m*": (l1 + l2) * sum(w[: m + 1]) - l2 * h0 + repaired["value"],
        "changes sign": repaired["difference"],
    }
    return ours, published


def entropy(case: Case, printed: Constants, repaired: Constants) -> Evaluation:
    """Eq. 18: what is left of it is the balance (L1 + L2) W(m) = L2 H0, whose terms are not negative."""
    l1, l2 = case.costs
    found = allocate_resource(case.pmf, surplus_cost=l1, shortage_cost=l2)
    h0 = sum(by_hand.weights(case.pmf, sign=repaired["sign"]))
    ours = {"H0": float(found.demand_entropy), "right side": l2 * float(found.demand_entropy) / (l1 + l2)}
    return ours, {"H0": h0, "right side": repaired["shortage"] * l2 * h0 / (l1 + l2)}


def quantity(case: Case, printed: Constants, repaired: Constants) -> Evaluation:
    """Eq. 19: the quantity m*, which also minimises eq. 16."""
    l1, l2 = case.costs
    curve = [by_hand.total_loss(case.pmf, case.costs, m, surplus=1, shortage=1) for m in range(len(case.pmf))]
    ours = {"m*": float(allocate_resource(case.pmf, surplus_cost=l1, shortage_cost=l2).entropy)}
    ours |= {"quantity of the least loss": float(np.argmin(_curve(case, l1, l2)))}
    ours["m* of the printed formula, -1 for none"] = by_hand.quantity(case.pmf, case.costs, **printed)
    return ours, {
        "m*": by_hand.quantity(case.pmf, case.costs, **repaired),
        "quantity of the least loss": curve.index(min(curve)),
    }


def components(case: Case, printed: Constants, repaired: Constants) -> Evaluation:
    """Eq. 20: both losses as sums of two components."""
    found = allocate_resource(case.pmf, surplus_cost=case.surplus, shortage_cost=case.shortage)
    costs = sum(case.surplus[: int(repaired["surplus_parts"])]), sum(case.shortage[: int(repaired["shortage_parts"])])
    published = {"m*": by_hand.quantity(case.pmf, costs, sign=-1, first=1), "share of H0": costs[1] / sum(costs)}
    published |= {"surplus components": repaired["surplus_parts"], "shortage components": repaired["shortage_parts"]}
    sides = found.components()["side"].value_counts()
    ours = {"m*": float(found.entropy), "share of H0": float(found.critical_ratio)}
    return {**ours, "surplus components": sides["surplus"], "shortage components": sides["shortage"]}, published


EQUATIONS: Mapping[str, Callable[[Case, Constants, Constants], Evaluation]] = {
    "Equation 1": min_max,
    "Equation 2": z_score,
    "Equation 3": decimal,
    "Equation 4": benefit,
    "Equation 5": benefit_without,
    "Equation 6": gain,
    "Equation 7": launch_condition,
    "Equation 8": worthwhile_customers,
    "Equation 9": sufficient_condition,
    "Equation 10": proportional_rule,
    "Equation 11": substituted_condition,
    "Equation 12": best_factor,
    "Equation 13": best_rule,
    "Equation 14": surplus,
    "Equation 15": shortage,
    "Equation 16": loss,
    "Equation 17": stationarity,
    "Equation 18": entropy,
    "Equation 19": quantity,
    "Equation 20": components,
}


def _row(claims: Claims, case: Case, item: str) -> Row:
    printed, repairs = claims.constants("B", item), claims.repairs("B", item)
    ours, published = EQUATIONS[item](case, printed, claims.repaired("B", item))
    for name, (expected, _) in repairs.items():
        # A repair stands only on the print that it was made for.
        ours[f"{name} as printed"], published[f"{name} as printed"] = expected, printed[name]
    reason = claims.finding("B", item)
    return compare("B", item, NAME, ours=ours, published=published, tolerance=TOLERANCE, reason=reason)


def _scaled(
    case: Case, scaler: MinMaxScaler | StandardScaler | DecimalScaler, hand: Callable[[list[float]], list[float]]
) -> Evaluation:
    """Scale every column both ways."""
    table = np.column_stack(list(case.columns.values()))
    scaled = np.asarray(scaler.fit_transform(table))
    ours: Numbers = {}
    published: Numbers = {}
    for place, (name, column) in enumerate(case.columns.items()):
        ours |= _numbered(name, scaled[:, place])
        published |= _numbered(name, hand(column))
    return ours, published


def _introduced(given: Projects) -> ProjectIntroduction:
    threshold = torch.tensor(given.threshold, dtype=torch.float64)
    return introduce_project(given.p_a, given.p_b, given.r_a, given.r_b, given.c_a, given.c_b, threshold)


def _compared(given: Projects) -> list[int]:
    """Return each customer's project by the library, 0 for A; equal incomes go to B, as in eq. 13."""
    probability, revenue = np.column_stack([given.p_b, given.p_a]), np.column_stack([given.r_b, given.r_a])
    return (1 - compare_projects(probability, revenue, [given.c_b, given.c_a]).choice).tolist()


def _income(terms: Sequence[tuple[float, float, float, float]], to_b: Sequence[bool]) -> float:
    """Sum the incomes of customers, each marketed B or A."""
    return sum(p_b * r_b if b else p_a * r_a for b, (p_a, r_a, p_b, r_b) in zip(to_b, terms, strict=True))


def _greatest_uplift(given: Projects) -> float:
    ratio = [r_a / r_b for r_a, r_b in zip(given.r_a, given.r_b, strict=True)]
    threshold = torch.tensor(ratio, dtype=torch.float64) * torch.tensor(given.p_a, dtype=torch.float64)
    return introduce_project(
        given.p_a, given.p_b, given.r_a, given.r_b, given.c_a, given.c_b, threshold
    ).break_even_fixed_cost.item()


def _factor_for_all(given: Projects) -> float:
    """Return the least k for which eq. 9 holds for every customer, a little enlarged."""
    return 1.01 * max(r_a / r_b for r_a, r_b in zip(given.r_a, given.r_b, strict=True))


def _left_sides(given: Projects) -> list[float]:
    """Return f(P_a) R_b - P_a R_a of every customer."""
    f, r_b = np.array(given.threshold), np.array(given.r_b)
    return (f * r_b - np.array(given.p_a) * np.array(given.r_a)).tolist()


def _of_b(given: Projects, values: list[float]) -> list[float]:
    return [value for value, to_b in zip(values, given.to_b, strict=True) if to_b]


def _curve(case: Case, l1: float, l2: float) -> np.ndarray:
    return allocate_resource(case.pmf, surplus_cost=l1, shortage_cost=l2).entropy_curve.numpy()


def _numbered(name: str, values: Iterable[float]) -> Numbers:
    return {f"{name} {place}": float(value) for place, value in enumerate(values)}
