"""Many resources under one budget: the quantities with the least sum of expected losses.

    minimise   sum_r E[L1_r (m_r - x_r)^+ + L2_r (x_r - m_r)^+]    subject to   sum_r c_r m_r <= budget,  m_r whole

Every loss is convex in its quantity, so that the units of one resource bring less and less: unit m + 1 saves
``g_r(m) = L2_r - (L1_r + L2_r) F_r(m)``. An answer is therefore a set of units, bought in falling order within each
resource, and the problem is a knapsack of units with gain g and cost c.

**Equal costs: buying the units with the greatest gains is optimal.** A budget buys at most n units, and no n units can gain
more than the n greatest positive gains. These include, with a unit, the earlier ones of its resource, which gain no less.

**Unlike costs** are decided by ``unit_knapsack``, exactly too.

Shapes: R resources, X demands, U units worth buying.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from marketnn.allocation.resource import Cost, check_cost, check_pmf, unit_losses
from marketnn.allocation.unit_knapsack import solve_knapsack
from marketnn.errors import InputError

_ROUNDING = 1e-12  # relative to the budget: what a sum of costs may exceed it by
_PROVED = 1e-9  # relative to the loss of providing nothing: a gap that is rounding


@dataclass(frozen=True)
class ResourceBudgetResult:
    """How much of each resource to provide.

    Attributes:
        quantity: (R,) whole numbers.
        expected_loss: their expected losses, added up.
        lower_bound: no quantities within the budget lose less.
        gap: ``expected_loss - lower_bound``.
        status: ``optimal`` (proved), or ``gap`` where too many partial answers were left.
        spent: ``sum_r c_r m_r``.
        shadow_price: by how much one more unit of budget would lower the relaxed problem's expected loss; 0 where the
            budget does not bind. With equal costs it is the gain of the next unit, per cost.
        losses: (R,) expected loss of each resource.
    """

    quantity: np.ndarray
    expected_loss: float
    lower_bound: float
    gap: float
    status: str
    spent: float
    shadow_price: float
    losses: np.ndarray


def allocate_resources(
    pmf: Tensor | np.ndarray | Sequence, *, surplus_cost: Cost, shortage_cost: Cost, unit_cost: Cost, budget: float
) -> ResourceBudgetResult:
    """Divide a budget among resources by the expected losses of their demands (paper B, eq. 14-20, with p as weights).

    Args:
        pmf: (R, X), the probabilities of the demands 0 .. X-1 of every resource; shorter ones end in zeros.
        surplus_cost: lost per unit that is left over, >= 0; a number or (R,), as are the others.
        shortage_cost: lost per unit that is missing, >= 0.
        unit_cost: what a unit takes of the budget, > 0.
        budget: >= 0.

    Raises:
        InputError: bad probabilities, costs that are negative or of another shape, a negative budget.
    """
    pmf_rx = check_pmf(pmf)
    if pmf_rx.dim() != 2:
        raise InputError(f"pmf has shape {tuple(pmf_rx.shape)}; pass a row of probabilities per resource, (R, X).")
    if not 0 <= budget < np.inf:
        raise InputError(f"budget={budget:g} is not possible; pass a finite number >= 0.")
    surplus_r, shortage_r = (
        check_cost(name, cost, pmf_rx)
        for name, cost in (("surplus_cost", surplus_cost), ("shortage_cost", shortage_cost))
    )
    cost_r = check_cost("unit_cost", unit_cost, pmf_rx).cpu().numpy()
    if not (cost_r > 0).all():
        raise InputError(f"unit_cost=0 of resource {int(np.argmin(cost_r > 0))} is not possible; pass a cost > 0.")

    left_rx, missing_rx = unit_losses(pmf_rx)
    loss_rx = (surplus_r.unsqueeze(-1) * left_rx + shortage_r.unsqueeze(-1) * missing_rx).cpu().numpy()
    gain_rx = loss_rx[:, :-1] - loss_rx[:, 1:]
    # Rounding must not make a unit look better than the one before it.
    gain_rx = np.minimum.accumulate(gain_rx, axis=1) if gain_rx.size else gain_rx
    resource_u, _ = (gain_rx > 0).nonzero()
    units = solve_knapsack(gain_rx[gain_rx > 0], cost_r[resource_u], budget * (1 + _ROUNDING))

    quantity_r = np.bincount(resource_u[units.chosen], minlength=len(cost_r))
    losses_r = np.take_along_axis(loss_rx, quantity_r[:, None], axis=1)[:, 0]
    expected_loss = float(losses_r.sum())
    nothing = float(loss_rx[:, 0].sum())
    lower_bound = min(nothing - units.bound, expected_loss)
    return ResourceBudgetResult(
        quantity=quantity_r,
        expected_loss=expected_loss,
        lower_bound=lower_bound,
        gap=expected_loss - lower_bound,
        status="optimal" if expected_loss - lower_bound <= _PROVED * nothing else "gap",
        spent=float(cost_r @ quantity_r),
        shadow_price=units.price,
        losses=losses_r,
    )
