"""How much of a resource to provide for an uncertain demand (paper B, eq. 14-20), and the newsvendor beside it.

The paper weighs each demand x by its share of the entropy, ``w(x) = -p(x) log2 p(x)``, in place of its probability. Its
equations, in the form that can be computed: with ``W(m)`` the sum of w over x <= m, and ``H0`` over all x,

    DH(m) = L1 sum_{x <= m} (m - x) w(x) + L2 sum_{x > m} (x - m) w(x)     (eq. 16)
    m* = the smallest m with W(m) >= L2 / (L1 + L2) H0                     (eq. 19)

where L1 is the loss per unit of surplus and L2 per unit of shortage, each a sum of components (eq. 20). DH is discretely
convex, since its differences ``(L1 + L2) W(m) - L2 H0`` never fall, so that m* minimises it.

**The entropy rule is not the cost optimum.** The expected loss has p in the place of w, and its minimiser is the classical
newsvendor, the smallest m with ``F(m) >= L2 / (L1 + L2)``; it is never dearer than the entropy rule. The entropy weights
overrate rare demands, and **depend on how demand is binned**: splitting a bin in two changes w, and can move m*, while the
newsvendor stays. Both are returned, with the expected loss of each.

Shapes: X demands 0 .. X-1, last; any dimensions before them, such as segments x channels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from marketnn.errors import InputError

Cost = float | Tensor | np.ndarray
Costs = Cost | Sequence[Cost]

_SUM_TOLERANCE = 1e-8  # by which a pmf's sum may miss 1
_TIE = 1e-12  # relative rounding of the cumulative sums, within which a fractile counts as reached


class ByRule(NamedTuple):
    """The entropy rule's number and the newsvendor's: plain for one pmf, tensors (...) for a batch."""

    entropy: Any
    newsvendor: Any


@dataclass(frozen=True)
class ResourceAllocation:
    """How much to provide; for pmfs (..., X) every number is a tensor (...).

    Attributes:
        entropy: the quantity m* of the paper's entropy rule.
        newsvendor: the quantity with the least expected loss.
        expected_loss: of both, ``E[L1 (m - x)^+ + L2 (x - m)^+]``.
        surplus: of both, the expected units left over: by so much the expected loss rises with any surplus cost.
        shortage: of both, the expected units missing: by so much it rises with any shortage cost.
        largest: of both, the largest quantity that is as good as theirs, which is the smallest.
        stays: of both, (low, high): the quantity stays while ``low < L2 / (L1 + L2) <= high``.
        critical_ratio: ``L2 / (L1 + L2)``.
        demand_entropy: H0 in bits.
        entropy_curve: DH(m), (..., X).
        loss_curve: the expected loss of every m, (..., X).
        surplus_costs: the components of L1.
        shortage_costs: the components of L2.
    """

    entropy: int | Tensor
    newsvendor: int | Tensor
    expected_loss: ByRule
    surplus: ByRule
    shortage: ByRule
    largest: ByRule
    stays: ByRule
    critical_ratio: float | Tensor
    demand_entropy: float | Tensor
    entropy_curve: Tensor
    loss_curve: Tensor
    surplus_costs: tuple[Cost, ...]
    shortage_costs: tuple[Cost, ...]

    def components(self) -> pd.DataFrame:
        """One row per loss component (eq. 20): what it costs under both rules, and when it would move their quantities.

        Columns: ``side``, ``cost`` per unit, and for each rule its expected ``loss``, the ``units`` that it is paid on
        (the derivative of the expected loss by this cost), and the range ``from`` .. ``to`` of this cost, the others as
        they are, in which the rule's quantity stays.

        Raises:
            InputError: the result of many pmfs.
        """
        if isinstance(self.entropy, Tensor):
            raise InputError("components() describes one pmf; the batch has surplus and shortage per pmf.")
        sides = {
            side: [float(cost) for cost in costs]
            for side, costs in (("surplus", self.surplus_costs), ("shortage", self.shortage_costs))
        }
        totals = {side: sum(costs) for side, costs in sides.items()}
        rows = []
        for side, costs in sides.items():
            for cost in costs:
                row: dict[str, Any] = {"side": side, "cost": cost}
                for rule in ByRule._fields:
                    units = getattr(getattr(self, side), rule)
                    bounds = _cost_range(side, totals, *getattr(self.stays, rule))
                    low, high = (max(bound - totals[side] + cost, 0.0) for bound in bounds)
                    row |= {f"{rule}_loss": cost * units, f"{rule}_units": units}
                    row |= {f"{rule}_from": low, f"{rule}_to": high}
                rows.append(row)
        return pd.DataFrame(rows)


def allocate_resource(
    pmf: Tensor | np.ndarray | Sequence, *, surplus_cost: Costs, shortage_cost: Costs
) -> ResourceAllocation:
    """Find the quantities that the entropy rule and the newsvendor provide (paper B, eq. 14-20).

    The paper's rule is not the cost optimum and depends on how demand is binned: see the module's text.

    Args:
        pmf: (X,), the probabilities of the demands 0 .. X-1, or (..., X) for many resources at once.
        surplus_cost: L1 > 0, lost per unit that is left over; a list has its components (eq. 20), which are added, each a
            number or, for many pmfs, a tensor that broadcasts against (...).
        shortage_cost: L2 > 0, lost per unit that is missing; likewise.

    Raises:
        InputError: probabilities that are negative, NaN or do not sum to one; a cost that is negative, or a sum of 0.
    """
    pmf_x = check_pmf(pmf)
    single = pmf_x.dim() == 1
    surplus_costs, surplus = _add_up("surplus_cost", surplus_cost, pmf_x)
    shortage_costs, shortage = _add_up("shortage_cost", shortage_cost, pmf_x)
    ratio = shortage / (surplus + shortage)

    weight_x = entropy_weights(pmf_x)
    demand_entropy = weight_x.sum(-1)
    # A certain demand has no entropy; weighed by p, the rule returns its atom.
    found = [fractile(torch.where(demand_entropy.unsqueeze(-1) > 0, weight_x, pmf_x), ratio), fractile(pmf_x, ratio)]
    left_x, missing_x = unit_losses(pmf_x)
    surplus_1, shortage_1 = surplus.unsqueeze(-1), shortage.unsqueeze(-1)
    loss_x = surplus_1 * left_x + shortage_1 * missing_x
    left_w, missing_w = unit_losses(weight_x)

    def plain(tensor: Tensor) -> Any:
        return tensor.tolist() if single else tensor

    def of_both(curve_x: Tensor) -> ByRule:
        return ByRule(*(plain(curve_x.gather(-1, each.smallest.unsqueeze(-1)).squeeze(-1)) for each in found))

    quantities = ByRule(*(plain(each.smallest) for each in found))
    return ResourceAllocation(
        entropy=quantities.entropy,
        newsvendor=quantities.newsvendor,
        expected_loss=of_both(loss_x),
        surplus=of_both(left_x),
        shortage=of_both(missing_x),
        largest=ByRule(*(plain(each.largest) for each in found)),
        stays=ByRule(*((plain(each.low), plain(each.high)) for each in found)),
        critical_ratio=plain(ratio),
        demand_entropy=plain(demand_entropy),
        entropy_curve=surplus_1 * left_w + shortage_1 * missing_w,
        loss_curve=loss_x,
        surplus_costs=surplus_costs,
        shortage_costs=shortage_costs,
    )


def entropy_weights(pmf_x: Tensor) -> Tensor:
    """``w(x) = -p(x) log2 p(x)``, 0 where p is 0, in bits; never below 0, also where rounding has p above 1."""
    return torch.special.entr(pmf_x).clamp(min=0) / math.log(2)


def unit_losses(weight_x: Tensor) -> tuple[Tensor, Tensor]:
    """For every quantity m: ``sum_{x <= m} (m - x) w(x)`` and ``sum_{x > m} (x - m) w(x)``, by sums of positive terms."""
    up_to = weight_x.cumsum(-1)
    from_on = weight_x.flip(-1).cumsum(-1).flip(-1)
    left = up_to.cumsum(-1) - up_to
    missing = from_on.flip(-1).cumsum(-1).flip(-1) - from_on
    return left, missing


def check_pmf(pmf: Tensor | np.ndarray | Sequence) -> Tensor:
    """Return probabilities (..., X) as a float64 tensor.

    Raises:
        InputError: not numbers, empty, NaN, negative, or a sum other than one; the message names the first.
    """
    try:
        pmf_x = torch.as_tensor(pmf, dtype=torch.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError("pmf is no table of numbers; pass probabilities (X,) or (..., X).") from error
    if not pmf_x.dim() or not pmf_x.numel():
        raise InputError(f"pmf has shape {tuple(pmf_x.shape)}; pass probabilities (X,) or (..., X), not empty.")
    wrong = ~(pmf_x >= 0)
    if bool(wrong.any()):
        *row, x = wrong.nonzero()[0].tolist()
        raise InputError(
            f"pmf{_row_text(row)}: the probability of demand {x} is {pmf_x[wrong][0]:g}; pass numbers >= 0."
        )
    total = pmf_x.sum(-1)
    missed = ~((total - 1).abs() <= _SUM_TOLERANCE)
    if bool(missed.any()):
        value = float(total[missed][0])
        surfeit = f"{value - 1:.6g} too much" if value > 1 else f"{1 - value:.6g} is missing"
        raise InputError(
            f"pmf{_row_text(missed.nonzero()[0].tolist())} sums to {value:.6g}: {surfeit}; "
            "divide it by its sum, or add what is missing to the largest demand."
        )
    return pmf_x


def check_cost(name: str, cost: Cost, pmf_x: Tensor) -> Tensor:
    """Return a cost per unit, one for every pmf (...).

    Raises:
        InputError: not a finite number >= 0, or not one per pmf.
    """
    batch = pmf_x.shape[:-1]
    try:
        tensor = torch.as_tensor(cost, dtype=torch.float64, device=pmf_x.device)
        tensor = tensor.expand(batch)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{name}={cost!r} is neither a number nor one per pmf {tuple(batch)}.") from error
    wrong = ~((tensor >= 0) & (tensor < math.inf))
    if bool(wrong.any()):
        raise InputError(f"{name}={tensor[wrong][0].tolist():g} is not possible; pass a finite loss per unit, > 0.")
    return tensor


class Fractile(NamedTuple):
    """The quantities whose weight up to them reaches a share of all: the first, the last that is as good, and the range
    of shares for which the first stays."""

    smallest: Tensor
    largest: Tensor
    low: Tensor
    high: Tensor


def fractile(weight_x: Tensor, share: Tensor) -> Fractile:
    """Find where the weights (..., X) up to a quantity reach a share (...) of their sum, as eq. 19 asks."""
    up_to = weight_x.cumsum(-1)
    up_to = up_to / up_to[..., -1:]
    last = weight_x.shape[-1] - 1
    smallest = (up_to < share.unsqueeze(-1) - _TIE).sum(-1).clamp(max=last)
    largest = (up_to <= share.unsqueeze(-1) + _TIE).sum(-1).clamp(max=last)
    high = up_to.gather(-1, smallest.unsqueeze(-1)).squeeze(-1)
    before = up_to.gather(-1, (smallest - 1).clamp(min=0).unsqueeze(-1)).squeeze(-1)
    return Fractile(smallest, torch.maximum(smallest, largest), torch.where(smallest > 0, before, 0.0), high)


def _add_up(name: str, costs: Costs, pmf_x: Tensor) -> tuple[tuple[Cost, ...], Tensor]:
    """Return the components and their sum (...)."""
    components = tuple(costs) if isinstance(costs, (list, tuple)) else (costs,)
    if not components:
        raise InputError(f"{name} is an empty list; pass a number, or a list of loss components.")
    total = torch.stack([check_cost(name, cost, pmf_x) for cost in components]).sum(0)
    if not bool((total > 0).all()):
        raise InputError(f"{name}=0 is not possible: any quantity would be as good; pass a loss per unit, > 0.")
    return components, total


def _cost_range(side: str, totals: dict[str, float], low: float, high: float) -> tuple[float, float]:
    """Between which totals of one side's costs the critical ratio stays within (low, high]."""
    if side == "surplus":
        other = totals["shortage"]
        return other * (1 - high) / high, other * (1 - low) / low if low else math.inf
    other = totals["surplus"]
    return other * low / (1 - low), other * high / (1 - high) if high < 1 else math.inf


def _row_text(row: list[int]) -> str:
    return f"[{', '.join(map(str, row))}]" if row else ""
