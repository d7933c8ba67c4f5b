"""A budget over periods and channels, where past spends work on: the sound reading of paper B's "dynamic planning".

    maximise   sum_t (1 + discount)^-t sum_k f_k(a_tk),    a_tk = spend_tk + rate_k a_(t-1)k

within bounds on every spend, a budget for each period and a total. Concave curves are solved to a proved gap; curves with a
convex start get a good plan and, from their concave envelopes, an honest bound.

Shapes: B scenarios, T periods, K channels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from marketnn.allocation.curves import CurveSet, ResponseCurve
from marketnn.allocation.numbers import Numbers, adstock_rate
from marketnn.allocation.plan_concave import Plan, Problem, by_channel, fill_up, solve_concave
from marketnn.allocation.plan_grid import solve_by_exchange
from marketnn.allocation.plan_scenarios import MeanCurve
from marketnn.errors import InputError

PerChannel = Numbers | Mapping[str, float]
Curves = ResponseCurve | CurveSet | MeanCurve

METHODS = ("auto", "convex", "exchange")
SPENDS = ("up_to", "all")
_ROUNDING = 1e-9  # relative: by how much sums of bounds may miss a budget
_BINDS = 1e-5  # relative: a budget is binding when no more than this is left of it
_TAIL_ENDS = 1e-9  # carry-over below this share is gone
_MAX_STEPS = 100
_MAX_ROUNDS = 300


@dataclass(frozen=True)
class PlanResult:
    """A plan; with scenarios every array has a leading B, and ``total``, ``upper_bound``, ``gap`` are (B,) arrays.

    Attributes:
        spend: (T, K).
        response: (T,) undiscounted response of each period.
        total: the objective: discounted responses, the tail's included where it counts.
        upper_bound: no plan brings more.
        gap: ``upper_bound - total``.
        status: ``optimal`` when every gap is within the tolerance, else ``gap``.
        shadow_price: what one more unit of the total budget would bring, by the envelopes for curves that are not concave;
            NaN where the bounds leave nothing to decide, as with no budget at all.
        period_shadow_price: (T,) what one more unit of each period's own budget would; 0 where there are none.
        binding: the budgets of which nothing is left, by name (``total``, ``period 3``), in every scenario.
        carry_out: (K,) effective spend of the last period: the ``carry_in`` of a plan that follows.
        tail: discounted response to what is left after the last period; part of ``total`` only with ``tail=True``.
        channels: their names, in the order of the columns; ``None`` without names.
    """

    spend: np.ndarray
    response: np.ndarray
    total: float | np.ndarray
    upper_bound: float | np.ndarray
    gap: float | np.ndarray
    status: str
    shadow_price: float | np.ndarray
    period_shadow_price: np.ndarray
    binding: tuple[str, ...]
    carry_out: np.ndarray
    tail: float | np.ndarray
    channels: tuple[str, ...] | None


def plan_budget(
    curves: Curves | Sequence[ResponseCurve] | Mapping[str, ResponseCurve],
    budget: float,
    periods: int,
    *,
    adstock: PerChannel | None = None,
    carry_in: PerChannel | None = None,
    per_period: Numbers | None = None,
    lower: PerChannel | None = None,
    upper: PerChannel | None = None,
    discount: float = 0.0,
    tail: bool = False,
    spend: str = "up_to",
    method: str = "auto",
    tolerance: float = 1e-6,
) -> PlanResult:
    """Divide a budget among periods and channels.

    Args:
        curves: K curves, or one with parameters (K,); (B, K) plans B scenarios; ``MeanCurve`` one plan for all of them.
            A mapping names the channels, and mappings of numbers are aligned by name.
        budget: in total, >= 0.
        periods: T, 1 or more.
        adstock: rate per channel, in [0, 1): the share of an effective spend that lasts into the next period.
        carry_in: effective spend per channel in the period before the first.
        per_period: what each period may spend; a number or (T,).
        lower, upper: bounds of the spends; a number, (K,) or (T, K).
        discount: per period, > -1; period t counts ``(1 + discount)^-t``, t from 0.
        tail: whether the response to what is left after the last period, to nothing else spent, counts.
        spend: ``up_to`` the budget, or ``all`` of it. As no curve falls, both bring the same.
        method: ``convex`` for concave curves, ``exchange`` for any, ``auto`` chooses.
        tolerance: relative gap up to which a plan is called optimal.

    Raises:
        InputError: numbers that are out of range or of another shape, bounds that contradict a budget, a convex method
            asked on curves that are not concave.
    """
    curve, names = _joined(curves)
    n_channels, batched = curve.shape[-1], len(curve.shape) == 2
    n_scenarios = curve.shape[0] if batched else 1
    _check_choices(budget, periods, discount, spend, method, tolerance, concave=curve.concave)
    device = next(curve.buffers()).device
    rate_k = adstock_rate(_aligned("adstock", adstock, names, (n_channels,), 0.0))
    carry_k = _checked("carry_in", _aligned("carry_in", carry_in, names, (n_channels,), 0.0))
    lower_kt, upper_kt, budget_r = _limits(budget, periods, per_period, lower, upper, names, n_channels, spend)

    rows_rt = torch.ones(1, periods, dtype=torch.float64)
    if per_period is not None:
        rows_rt = torch.cat([rows_rt, torch.eye(periods, dtype=torch.float64)])
    after_m = torch.arange(1, _tail_length(rate_k) + 1, dtype=torch.float64)
    period = torch.arange(periods + (len(after_m) if tail else 0), dtype=torch.float64)
    lag_pt = period[:, None] - period[:periods]
    effect_kpt = torch.where(lag_pt >= 0, rate_k[:, None, None] ** lag_pt.clamp(min=0), 0.0)
    problem = Problem(
        value=curve,
        slope=curve.derivative,
        effect_kpt=effect_kpt.to(device),
        carried_kp=(carry_k[:, None] * rate_k[:, None] ** (period + 1)).to(device),
        weight_p=((1 + discount) ** -period).to(device),
        lower_kt=lower_kt.to(device),
        upper_kt=upper_kt.to(device),
        rows_rt=rows_rt.to(device),
        budget_r=budget_r.to(device),
    )
    if method == "exchange" or not curve.concave:
        plan = _by_exchange(problem, curve, batched, tolerance)
    else:
        plan = solve_concave(problem, n_scenarios, tolerance=tolerance, max_steps=_MAX_STEPS)
    if spend == "all":
        plan = fill_up(problem, plan)
    fading_km = (rate_k[:, None] ** after_m).to(device)
    after_weight_m = ((1 + discount) ** -(periods - 1 + after_m)).to(device)
    left_bkm = problem.effective(plan.spend_bkt)[..., periods - 1, None] * fading_km
    tail_b = (by_channel(curve, left_bkm) * after_weight_m).sum((1, 2))
    return _result(problem, plan, tail_b, tolerance, names, squeeze=not batched)


def _result(
    problem: Problem, plan: Plan, tail_b: Tensor, tolerance: float, names: tuple[str, ...] | None, *, squeeze: bool
) -> PlanResult:
    periods = plan.spend_bkt.shape[-1]
    response_bp = problem.responses(plan.spend_bkt).sum(1)
    left_br = problem.budget_r - plan.spend_bkt.sum(1) @ problem.rows_rt.mT
    tight_r = (left_br <= _BINDS * problem.budget_r.clamp(min=_ROUNDING)).all(0).tolist()
    rows = ["total", *(f"period {t + 1}" for t in range(periods))]
    price_bt = plan.price_br[:, 1:] if len(tight_r) > 1 else torch.zeros_like(response_bp[:, :periods])
    gap_b = plan.bound_b - plan.value_b
    closed = bool((gap_b <= tolerance * plan.bound_b.abs()).all())

    def out(tensor: Tensor) -> np.ndarray:
        array = tensor.cpu().numpy()
        return array[0] if squeeze else array

    def number(tensor: Tensor) -> float | np.ndarray:
        return float(tensor[0]) if squeeze else tensor.cpu().numpy()

    return PlanResult(
        spend=out(plan.spend_bkt.mT),
        response=out((response_bp / problem.weight_p)[:, :periods]),
        total=number(plan.value_b),
        upper_bound=number(plan.bound_b),
        gap=number(gap_b),
        status="optimal" if closed else "gap",
        shadow_price=number(plan.price_br[:, 0]),
        period_shadow_price=out(price_bt),
        binding=tuple(name for name, tight in zip(rows, tight_r, strict=False) if tight),
        carry_out=out(problem.effective(plan.spend_bkt)[..., periods - 1]),
        tail=number(tail_b),
        channels=names,
    )


def _by_exchange(problem: Problem, curve: Curves, batched: bool, tolerance: float) -> Plan:
    """Search scenario by scenario."""
    if isinstance(curve, MeanCurve):
        raise InputError("one plan for the mean needs concave curves; plan each scenario, or use slopes up to 1.")
    singles: list[ResponseCurve | CurveSet] = [curve]
    if batched and isinstance(curve, ResponseCurve):
        singles = [type(curve)(*(number[b] for number in curve.values())) for b in range(curve.shape[0])]
    plans = [
        solve_by_exchange(
            replace(problem, value=single, slope=single.derivative),
            single,
            tolerance=tolerance,
            max_steps=_MAX_STEPS,
            max_rounds=_MAX_ROUNDS,
        )
        for single in singles
    ]
    return Plan(
        torch.cat([plan.spend_bkt for plan in plans]),
        torch.cat([plan.value_b for plan in plans]),
        torch.cat([plan.bound_b for plan in plans]),
        torch.cat([plan.price_br for plan in plans]),
    )


def _tail_length(rate_k: Tensor) -> int:
    """Periods after which the slowest carry-over is gone."""
    slowest = float(rate_k.max())
    return math.ceil(math.log(_TAIL_ENDS) / math.log(slowest)) if slowest > 0 else 0


def _joined(
    curves: Curves | Sequence[ResponseCurve] | Mapping[str, ResponseCurve],
) -> tuple[Curves, tuple[str, ...] | None]:
    names = None
    if isinstance(curves, Mapping):
        names, curves = tuple(curves), list(curves.values())
        if any(curve.scale.numel() != 1 for curve in curves):
            raise InputError("a named channel has several curves; pass one curve per name.")
    if isinstance(curves, ResponseCurve):
        if len(curves.shape) > 2:
            raise InputError(f"the curves have parameters of shape {tuple(curves.shape)}; pass (K,) or (B, K).")
        return (curves if curves.shape else CurveSet([curves])), None
    return (curves if isinstance(curves, CurveSet | MeanCurve) else CurveSet(curves)), names


def _check_choices(
    budget: float, periods: int, discount: float, spend: str, method: str, tolerance: float, *, concave: bool
) -> None:
    if not 0 <= budget < math.inf:
        raise InputError(f"budget={budget:g} is not possible; pass a finite number >= 0.")
    if isinstance(periods, bool) or not isinstance(periods, int | np.integer) or periods < 1:
        raise InputError(f"periods={periods!r} is not possible; pass a whole number, 1 or more.")
    if not -1 < discount < math.inf:
        raise InputError(f"discount={discount:g} is not possible; pass a finite rate above -1.")
    if not 0 < tolerance < 1:
        raise InputError(f"tolerance={tolerance:g} is not possible; pass a relative gap in (0, 1).")
    for name, given, existing in (("spend", spend, SPENDS), ("method", method, METHODS)):
        if given not in existing:
            raise InputError(f"{name}={given!r} does not exist; pass one of {', '.join(existing)}.")
    if method == "convex" and not concave:
        raise InputError("method='convex' needs concave curves, and some start convex; pass method='auto'.")


def _limits(
    budget: float,
    periods: int,
    per_period: Numbers | None,
    lower: PerChannel | None,
    upper: PerChannel | None,
    names: tuple[str, ...] | None,
    n_channels: int,
    spend: str,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the bounds (K, T) and the budgets, the total first; refuse contradictions."""
    shape = (periods, n_channels)
    lower_tk = _checked("lower", _aligned("lower", lower, names, shape, 0.0))
    upper_tk = _checked("upper", _aligned("upper", upper, names, shape, math.inf), finite=False)
    period_t = _checked("per_period", _aligned("per_period", per_period, None, (periods,), math.inf), finite=False)
    above = lower_tk > upper_tk
    if above.any():
        t, k = above.nonzero()[0].tolist()
        raise InputError(
            f"lower={lower_tk[t, k]:g} is above upper={upper_tk[t, k]:g} in period {t + 1}, channel {k + 1}; "
            "raise the upper bound or lower the lower one."
        )
    needs = [("budget", float(lower_tk.sum()), budget)]
    if per_period is not None:
        sums = zip(lower_tk.sum(1).tolist(), period_t.tolist(), strict=True)
        needs += [(f"per_period of period {t}", needed, given) for t, (needed, given) in enumerate(sums, start=1)]
    for name, needed, given in needs:
        if needed > given * (1 + _ROUNDING):
            raise InputError(
                f"the lower bounds add up to {needed:g}, {needed - given:g} more than {name}={given:g}; "
                "raise the budget or lower the bounds."
            )
    room = float(torch.minimum(upper_tk.sum(1), period_t).sum())
    if spend == "all" and room < budget * (1 - _ROUNDING):
        raise InputError(
            f"upper bounds and per_period leave room for {room:g}, {budget - room:g} less than budget={budget:g}; "
            "raise them, lower the budget, or pass spend='up_to'."
        )
    total = torch.tensor([budget], dtype=torch.float64)
    return lower_tk.T, upper_tk.T, total if per_period is None else torch.cat([total, period_t])


def _aligned(
    name: str, given: PerChannel | None, names: tuple[str, ...] | None, shape: tuple[int, ...], missing: float
) -> Tensor:
    """Return numbers of a shape, float64 on the CPU; a mapping is put in the channels' order."""
    if isinstance(given, Mapping):
        if names is None:
            raise InputError(f"{name} has names and the curves have none; pass the curves as a mapping too.")
        unlike = set(given) ^ set(names)
        if unlike:
            raise InputError(f"{name} and the curves disagree on {', '.join(sorted(unlike))}; name the same channels.")
        given = [given[channel] for channel in names]
    try:
        tensor = torch.as_tensor(missing if given is None else given, dtype=torch.float64).cpu()
        return tensor.expand(shape).clone()
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"{name} is no number and no array of shape {shape}; pass one of them.") from error


def _checked(name: str, tensor: Tensor, *, finite: bool = True) -> Tensor:
    wrong = ~((tensor >= 0) & (tensor < math.inf if finite else tensor <= math.inf))
    if wrong.any():
        raise InputError(
            f"{name}={tensor[wrong][0]:g} is not possible; pass {'finite ' if finite else ''}numbers >= 0."
        )
    return tensor
