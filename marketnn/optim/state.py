"""A torch optimiser's state as named tensors, so that training can be stored without pickle and resumed bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from marketnn.errors import InputError

_NUMBER = "number"
_LIST = "list"


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Name every tensor of the optimiser's state ``<optimiser>/<parameter>.<key>``.

    Numbers become tensors named ``...:number``, lists of tensors ``...:list<length>:<place>``, an empty list ``...:list0:0``;
    what is ``None`` is left out.
    """
    kind = type(optimizer).__name__
    named: dict[str, Tensor] = {f"{kind}/": torch.zeros(())}  # says whose state it is even while there is none
    for parameter, values in optimizer.state_dict()["state"].items():
        for key, value in values.items():
            name = f"{kind}/{parameter}.{key}"
            if isinstance(value, Tensor):
                named[name] = value.detach().clone()
            elif isinstance(value, (int, float)):
                named[f"{name}:{_NUMBER}"] = torch.tensor(value, dtype=torch.float64)
            elif value == []:
                named[f"{name}:{_LIST}0:0"] = torch.zeros(())
            elif isinstance(value, list):
                named |= {
                    f"{name}:{_LIST}{len(value)}:{place}": each.detach().clone()
                    for place, each in enumerate(value)
                    if each is not None
                }
    return named


def restore_optimizer(optimizer: torch.optim.Optimizer, named: Mapping[str, Tensor]) -> None:
    """Give an optimiser of the same kind and parameters the state that ``optimizer_tensors`` named.

    Raises:
        InputError: the state is that of another optimiser.
    """
    prefix = f"{type(optimizer).__name__}/"
    if prefix not in named or not all(name.startswith(prefix) for name in named):
        others = ", ".join(sorted(named)[:3]) or "nothing"
        raise InputError(f"the state is not that of {prefix[:-1]} (it holds {others}); resume with the same optimizer.")
    state: dict[int, dict[str, Any]] = {}
    for name, value in named.items():
        if name == prefix:
            continue
        parameter, rest = name.removeprefix(prefix).split(".", 1)
        key, *form = rest.split(":")
        values = state.setdefault(int(parameter), {})
        if not form:
            values[key] = value.clone()
        elif form[0] == _NUMBER:
            number = float(value)
            values[key] = int(number) if number.is_integer() else number
        else:
            length = int(form[0].removeprefix(_LIST))
            places = values.setdefault(key, [None] * length)
            if length:
                places[int(form[1])] = value.clone()
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
