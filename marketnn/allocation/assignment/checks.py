"""What `assign_offers` is given, checked and put into one form.

Shapes: n customers, k offers, c channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from marketnn.device import resolve
from marketnn.errors import InputError, rows_text, unknown_name


@dataclass(frozen=True)
class Channels:
    """What the offers' channels may spend.

    Attributes:
        channel_k: index of each offer's channel.
        names: the channels.
        budget_c: what each may spend; infinite for no limit.
        cost_k: of a contact with each offer; ``None`` where that differs by customer.
        cost_nk: of a contact, where that differs by customer.
    """

    channel_k: np.ndarray
    names: tuple[Any, ...]
    budget_c: np.ndarray
    cost_k: np.ndarray | None
    cost_nk: Tensor | None


def refuse(what: str, **given: Any) -> None:
    """Refuse what needs all values in an array of one process.

    Raises:
        InputError: one of these is given.
    """
    for name, value in given.items():
        if value is not None:
            raise InputError(f"{name} cannot be used with {what}; give all values in one array, in one process.")


def matrix(name: str, given: Any, device: str | torch.device) -> Tensor:
    """Return a matrix (n, k) of floats where it should be.

    Raises:
        InputError: it is none, or empty.
    """
    matrix = given if isinstance(given, Tensor) else torch.as_tensor(np.asarray(given))
    if not matrix.dtype.is_floating_point or matrix.dtype in (torch.float16, torch.bfloat16):
        matrix = matrix.double()
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise InputError(f"{name} has shape {tuple(matrix.shape)}; give (customers, offers), at least one of each.")
    return matrix if isinstance(given, Tensor) and device == "auto" else matrix.to(resolve(device))


def check_values(value_nk: Tensor) -> None:
    """Refuse NaN and infinite values, but not minus infinity.

    Raises:
        InputError: names the rows.
    """
    largest = float(value_nk.amax())
    if not largest < np.inf:  # NaN included
        wrong = (value_nk.isnan() | (value_nk == torch.inf)).any(1).cpu().numpy()
        raise InputError(f"value is NaN or infinite in {rows_text(wrong)}; -inf alone is allowed (not possible).")


def eligibility(given: Any, value_nk: Tensor) -> Tensor | None:
    """Return whether each offer may go to each customer (n, k); ``None`` is always.

    Raises:
        InputError: no booleans, or another shape.
    """
    if given is None:
        return None
    eligible_nk = torch.as_tensor(given)
    if eligible_nk.shape != value_nk.shape or eligible_nk.dtype != torch.bool:
        raise InputError(
            f"eligible has shape {tuple(eligible_nk.shape)} and type {eligible_nk.dtype}; "
            f"give booleans of value's shape {tuple(value_nk.shape)}."
        )
    return eligible_nk.to(value_nk.device)


def numbers_by_offer(name: str, given: Any, k: int) -> np.ndarray:
    """Return a number of 0 or more for each offer (k,).

    Raises:
        InputError: another shape, or a number below 0.
    """
    numbers = np.asarray(torch.as_tensor(given).cpu(), dtype=np.float64)
    if numbers.shape != (k,):
        raise InputError(f"{name} has shape {numbers.shape} for {k} offers; give one number per offer.")
    wrong = np.flatnonzero(~(numbers >= 0))
    if wrong.size:
        raise InputError(f"{name} is {numbers[wrong[0]]:g} at offer {wrong[0]}; it must be 0 or more.")
    return numbers


def counts_by_offer(name: str, given: Any, k: int, default: int) -> np.ndarray:
    """Return a whole number of customers for each offer (k,); a capacity above the default is the default.

    Raises:
        InputError: as `numbers_by_offer`, or a number that is not whole.
    """
    if given is None:
        return np.full(k, default)
    numbers = numbers_by_offer(name, given, k)
    numbers = np.minimum(numbers, default) if name == "capacity" else numbers
    wrong = np.flatnonzero(numbers != np.floor(numbers))
    if wrong.size:
        raise InputError(f"{name} is {numbers[wrong[0]]:g} at offer {wrong[0]}; give a whole number of customers.")
    return numbers.astype(np.int64)


def channels(
    channel: Sequence[Any] | None, channel_budget: Any, cost: Any, n: int, k: int, number: Tensor
) -> Channels | None:
    """Put channels, budgets and costs into one form; ``None`` without budgets.

    Args:
        channel, channel_budget, cost: as `assign_offers` takes them.
        n, k: customers and offers.
        number: of the device and type that costs by customer should have.

    Raises:
        InputError: budgets without channels, other numbers of them than offers, a number below 0.
        ConfigurationError: a budget for a channel that no offer has.
    """
    if channel_budget is None:
        return None
    if channel is None:
        raise InputError("channel_budget needs channel: the channel of each offer.")
    of_offer = list(channel)
    if len(of_offer) != k:
        raise InputError(f"channel names {len(of_offer)} channels for {k} offers; give one per offer.")
    given = dict(channel_budget) if isinstance(channel_budget, Mapping) else dict(enumerate(channel_budget))
    names = tuple(dict.fromkeys(of_offer))
    if isinstance(channel_budget, Mapping):
        unknown = [name for name in given if name not in names]
        if unknown:
            raise unknown_name("channel", unknown[0], map(str, names))
    elif any(name not in given for name in names):
        named = next(name for name in names if name not in given)
        raise InputError(
            f"channel_budget has {len(given)} numbers in order, but an offer's channel is '{named}'; give budgets by name."
        )
    budget_c = np.array([float(given.get(name, np.inf)) for name in names])
    if not (budget_c >= 0).all():
        wrong = int(np.flatnonzero(~(budget_c >= 0))[0])
        raise InputError(f"channel_budget is {budget_c[wrong]:g} for '{names[wrong]}'; it must be 0 or more.")
    channel_k = np.array([names.index(name) for name in of_offer])
    if cost is None:
        return Channels(channel_k, names, budget_c, np.ones(k), None)
    cost_tensor = cost if isinstance(cost, Tensor) else torch.as_tensor(np.asarray(cost))
    if cost_tensor.ndim == 1:
        cost_k = numbers_by_offer("cost", cost, k)
        if not np.isfinite(cost_k).all():
            raise InputError("cost is infinite; use eligible or -inf in value for contacts that are not possible.")
        return Channels(channel_k, names, budget_c, cost_k, None)
    if cost_tensor.shape != (n, k):
        raise InputError(f"cost has shape {tuple(cost_tensor.shape)}; give ({k},) or ({n}, {k}).")
    wrong_n = (~((cost_tensor >= 0) & (cost_tensor < torch.inf))).any(1).cpu().numpy()
    if wrong_n.any():
        raise InputError(f"cost is negative, NaN or infinite in {rows_text(wrong_n)}; it must be 0 or more.")
    return Channels(channel_k, names, budget_c, None, cost_tensor.to(number))
