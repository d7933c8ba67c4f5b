"""What a budget problem is, checked once: channels by name, bounds that can be met, numbers that are numbers."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from marketnn.allocation.curves import CurveSet, ResponseCurve
from marketnn.allocation.numbers import Numbers, positive
from marketnn.errors import InputError, unknown_name

CurvesGiven = ResponseCurve | Sequence[ResponseCurve] | Mapping[str, ResponseCurve]
PerChannel = Numbers | Mapping[str, float]
Spend = Literal["up_to", "all"]
_ROUNDING = 1e-12  # relative to the budget


@dataclass(frozen=True)
class BudgetProblem:
    """One budget to divide among K channels.

    Attributes:
        channels: their names; positions as text where none were given.
        curves: their responses.
        budget: what there is to spend.
        lower_k, upper_k: bounds of the spends, lower <= upper; frozen channels have one value for both.
        fixed_cost_k: in units of the response, paid where spend is above 0.
        frozen_k: which channels are frozen.
        spend_all: spend exactly the budget.
    """

    channels: tuple[str, ...]
    curves: CurveSet
    budget: float
    lower_k: Tensor
    upper_k: Tensor
    fixed_cost_k: Tensor
    frozen_k: Tensor
    spend_all: bool

    @property
    def concave(self) -> bool:
        """Whether one price gives the optimum: concave curves and no fixed costs."""
        return self.curves.concave and not bool(self.fixed_cost_k.any())


def budget_problem(
    curves: CurvesGiven,
    budget: float,
    *,
    lower: PerChannel | None,
    upper: PerChannel | None,
    fixed_cost: PerChannel | None,
    frozen: Mapping[Hashable, float] | None,
    spend: Spend,
) -> BudgetProblem:
    """Check the arguments of ``allocate_budget`` and align them by channel.

    Raises:
        InputError: as listed there.
    """
    if spend not in ("up_to", "all"):
        raise unknown_name("spend", spend, ("up_to", "all"))
    budget = check_budget(budget)
    channels, curve_set = named_curves(curves)
    device = curve_set.inflection.device
    lower_k, upper_k, fixed_cost_k = (
        per_channel(name, given, channels, default).to(device)
        for name, given, default in (
            ("lower", lower, 0.0),
            ("upper", upper, math.inf),
            ("fixed_cost", fixed_cost, 0.0),
        )
    )
    frozen_k = torch.zeros(len(channels), dtype=torch.bool, device=device)
    for channel, amount in (frozen or {}).items():
        if str(channel) not in channels:
            raise unknown_name("frozen channel", channel, channels)
        index = channels.index(str(channel))
        frozen_k[index] = True
        lower_k[index] = upper_k[index] = positive(f"frozen spend of '{channel}'", amount, zero=True)
    check_bounds(channels, budget, lower_k, upper_k, spend == "all")
    return BudgetProblem(channels, curve_set, budget, lower_k, upper_k, fixed_cost_k, frozen_k, spend == "all")


def check_budget(budget: float) -> float:
    """Return the budget as a number.

    Raises:
        InputError: negative, NaN or infinite.
    """
    tensor = positive("budget", budget, zero=True)
    if tensor.dim():
        raise InputError(f"budget has shape {tuple(tensor.shape)}; pass one number.")
    return float(tensor)


def named_curves(curves: CurvesGiven) -> tuple[tuple[str, ...], CurveSet]:
    """Return the channels' names and their curves side by side.

    Raises:
        InputError: no curves, something that is none, or a name with several curves.
    """
    if isinstance(curves, Mapping):
        curve_set = CurveSet(list(curves.values()))
        if len(curves) != curve_set.shape[0]:
            raise InputError(
                f"{len(curves)} names for {curve_set.shape[0]} curves; pass one curve with single parameters per name."
            )
        return tuple(str(name) for name in curves), curve_set
    curve_set = CurveSet([curves] if isinstance(curves, ResponseCurve) else curves)
    return tuple(str(position) for position in range(curve_set.shape[0])), curve_set


def per_channel(name: str, given: PerChannel | None, channels: tuple[str, ...], default: float) -> Tensor:
    """Return numbers >= 0 in the channels' order, (K,), on the CPU: one for all, one each, or some by name.

    Raises:
        InputError: negative or NaN, not one per channel, or an unknown name.
    """
    numbers = torch.full((len(channels),), default, dtype=torch.float64)
    if given is None:
        return numbers
    if isinstance(given, Mapping):
        for channel, number in given.items():
            if str(channel) not in channels:
                raise unknown_name(f"channel in {name}", channel, channels)
            numbers[channels.index(str(channel))] = _bound(f"{name} of '{channel}'", number, default)
        return numbers
    tensor = _bound(name, given, default).cpu()
    if tensor.shape not in ((), numbers.shape):
        raise InputError(f"{name} has shape {tuple(tensor.shape)} for {len(channels)} channels; pass one per channel.")
    return tensor.expand_as(numbers).clone()


def _bound(name: str, given: Numbers, default: float) -> Tensor:
    """Return numbers >= 0, infinite ones where that is what a missing one would be."""
    tensor = torch.as_tensor(given, dtype=torch.float64)
    unbounded = (tensor == math.inf) & (default == math.inf)
    return torch.where(unbounded, math.inf, positive(name, torch.where(unbounded, 0.0, tensor), zero=True))


def check_bounds(channels: tuple[str, ...], budget: float, lower_k: Tensor, upper_k: Tensor, spend_all: bool) -> None:
    """Refuse bounds (K,) that no spend can meet.

    Raises:
        InputError: the message names the amount missing.
    """
    crossed_k = lower_k > upper_k
    if bool(crossed_k.any()):
        index = int(crossed_k.int().argmax())
        raise InputError(
            f"'{channels[index]}' has lower={lower_k[index]:g} above upper={upper_k[index]:g}, by "
            f"{lower_k[index] - upper_k[index]:g}; lower the one or raise the other."
        )
    least, most = float(lower_k.sum()), float(upper_k.sum())
    if least > budget * (1 + _ROUNDING):
        raise InputError(
            f"the lower bounds add up to {least:g}, {least - budget:g} more than the budget={budget:g}; "
            "raise the budget or lower them."
        )
    if spend_all and most < budget * (1 - _ROUNDING):
        raise InputError(
            f"the upper bounds add up to {most:g}, {budget - most:g} less than the budget={budget:g} that spend='all' "
            "must spend; raise them or pass spend='up_to'."
        )
