"""What the three scalers share: an affine map per column, fitted once, and a count of what leaves the fitted range.

Every scaling of the papers (paper A, eq. 2.8; paper B, eq. 1-3) is ``x' = (x - shift) / scale`` with its own shift and
scale, so a scaler only says how to find these two. Shapes: n rows, d columns.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, TypeVar, get_args

import numpy as np
import pandas as pd
import torch
from pandas.api.types import is_complex_dtype, is_numeric_dtype

from marketnn.errors import InputError, rows_text, unknown_name

Matrix = TypeVar("Matrix", np.ndarray, pd.DataFrame, torch.Tensor)
Policy = Literal["flag", "clip", "raise"]


def scale(x_nd: torch.Tensor, shift_d: torch.Tensor, scale_d: torch.Tensor) -> torch.Tensor:
    """Return ``(x - shift) / scale``, and 0 in columns whose scale is 0 (constant ones)."""
    constant_d = scale_d == 0
    divisor_d = torch.where(constant_d, torch.ones_like(scale_d), scale_d)
    return torch.where(constant_d, torch.zeros_like(x_nd), (x_nd - shift_d) / divisor_d)


def unscale(x_nd: torch.Tensor, shift_d: torch.Tensor, scale_d: torch.Tensor) -> torch.Tensor:
    """Return ``x * scale + shift``: the inverse of ``scale``, constant columns included."""
    return x_nd * scale_d + shift_d


@dataclass(frozen=True)
class ScalerParameters:
    """What a scaler learnt, one number per column.

    Attributes:
        columns: names of the fitted DataFrame's columns; ``None`` where an array or tensor was fitted.
        shift: subtracted.
        scale: divided by; 0 marks a constant column.
        lower: least fitted value.
        upper: greatest fitted value.
    """

    columns: tuple[str, ...] | None
    shift: tuple[float, ...]
    scale: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]


class Scaler(ABC):
    """Fit on one table, transform any other with the same columns, and invert.

    Tables are (n, d) NumPy arrays, pandas DataFrames or torch tensors and come back as what they were: a DataFrame with
    its index and columns, a tensor on its device and in its dtype. Integers become float64.

    Args:
        policy: what ``transform`` does with values outside the fitted [lower, upper]: ``flag`` passes them, ``clip``
            moves them to the nearest bound, ``raise`` refuses them. ``out_of_bounds`` counts them under each.

    Attributes:
        parameters_: ``ScalerParameters``, after ``fit``.
    """

    name: ClassVar[str]

    def __init__(self, *, policy: Policy = "flag") -> None:
        if policy not in get_args(Policy):
            raise unknown_name("policy", policy, get_args(Policy))
        self.policy: Policy = policy
        self.parameters_: ScalerParameters | None = None
        self._out_of_bounds: pd.DataFrame | None = None

    @abstractmethod
    def _find(self, x_nd: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return shift (d,) and scale (d,) of a float64 table."""

    def _options(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"policy": self.policy}

    def fit(self, x: np.ndarray | pd.DataFrame | torch.Tensor) -> Self:
        """Learn shift, scale and range of every column, in float64.

        Raises:
            InputError: not a table of finite numbers, or a column so wide that its scale overflows float64.
        """
        x_nd, names = read_matrix(x)
        x_nd = x_nd.detach().to(torch.float64)
        shift_d, scale_d = self._find(x_nd)
        too_wide = [name for name, finite in zip(names, torch.isfinite(scale_d).tolist(), strict=True) if not finite]
        if too_wide:
            raise InputError(f"column '{too_wide[0]}' is wider than float64 can hold; divide it by a constant first.")
        self.parameters_ = ScalerParameters(
            columns=names if isinstance(x, pd.DataFrame) else None,
            shift=tuple(shift_d.tolist()),
            scale=tuple(scale_d.tolist()),
            lower=tuple(x_nd.amin(0).tolist()),
            upper=tuple(x_nd.amax(0).tolist()),
        )
        self._out_of_bounds = None
        return self

    def transform(self, x: Matrix) -> Matrix:
        """Scale a table, treating values outside the fitted range by the policy.

        Raises:
            InputError: not fitted, other columns than the fitted ones, values that are no finite numbers, or (policy
                ``raise``) values outside the fitted range.
        """
        x_nd, names = self._read(x)
        lower_d, upper_d = self._as_tensors("lower", "upper", like=x_nd)
        below_nd, above_nd = x_nd < lower_d, x_nd > upper_d
        counts = {"below": below_nd.sum(0).tolist(), "above": above_nd.sum(0).tolist()}
        self._out_of_bounds = pd.DataFrame(counts, index=pd.Index(names, name="column"))
        if self.policy == "raise":
            self._refuse(below_nd | above_nd, names)
        if self.policy == "clip":
            x_nd = torch.clamp(x_nd, lower_d, upper_d)
        return _restore(scale(x_nd, *self._as_tensors("shift", "scale", like=x_nd)), x)

    def fit_transform(self, x: Matrix) -> Matrix:
        """Fit on a table and scale it."""
        return self.fit(x).transform(x)

    def inverse_transform(self, x: Matrix) -> Matrix:
        """Return a scaled table to the units of the fitted one; constant columns return to their constant.

        Raises:
            InputError: not fitted, other columns than the fitted ones, or values that are no finite numbers.
        """
        x_nd, _ = self._read(x)
        return _restore(unscale(x_nd, *self._as_tensors("shift", "scale", like=x_nd)), x)

    @property
    def out_of_bounds(self) -> pd.DataFrame:
        """Values outside the fitted range in the last ``transform``: a row per column, counts ``below`` and ``above``.

        Raises:
            InputError: nothing has been transformed since ``fit``.
        """
        if self._out_of_bounds is None:
            raise InputError(f"{type(self).__name__}.out_of_bounds describes the last transform; call transform first.")
        return self._out_of_bounds.copy()

    def to_dict(self) -> dict[str, Any]:
        """Return options and parameters as strict JSON; ``from_dict`` restores the scaler.

        Raises:
            InputError: not fitted.
        """
        fitted = self._fitted()
        return {
            "name": self.name,
            "options": self._options(),
            "columns": None if fitted.columns is None else list(fitted.columns),
            **{key: list(getattr(fitted, key)) for key in ("shift", "scale", "lower", "upper")},
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        """Restore a scaler from ``to_dict``.

        Raises:
            InputError: the state of another scaler, or one that is incomplete or holds anything but finite numbers.
        """
        if state.get("name") != cls.name:
            raise InputError(f"this is the state of scaler '{state.get('name')}', not of '{cls.name}'.")
        try:
            scaler = cls(**state["options"])
            numbers = {key: _numbers(state[key]) for key in ("shift", "scale", "lower", "upper")}
            columns = None if state["columns"] is None else tuple(map(str, state["columns"]))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"the state of scaler '{cls.name}' is damaged: {error}; fit and save it again.") from error
        if len({len(values) for values in (*numbers.values(), columns or numbers["shift"])}) != 1:
            raise InputError(f"the state of scaler '{cls.name}' is damaged: its lists differ in length; save it again.")
        scaler.parameters_ = ScalerParameters(columns=columns, **numbers)
        return scaler

    def _fitted(self) -> ScalerParameters:
        if self.parameters_ is None:
            raise InputError(f"this {type(self).__name__} knows no data yet; call fit first.")
        return self.parameters_

    def _read(self, x: np.ndarray | pd.DataFrame | torch.Tensor) -> tuple[torch.Tensor, tuple[str, ...]]:
        """Read a table whose columns must be the fitted ones; return it with the names that messages use."""
        fitted = self._fitted()
        x_nd, names = read_matrix(x)
        known = fitted.columns is not None and isinstance(x, pd.DataFrame)
        check_columns(names, fitted.columns if known else None, len(fitted.shift))
        return x_nd, fitted.columns or names

    def _as_tensors(self, *keys: str, like: torch.Tensor) -> tuple[torch.Tensor, ...]:
        fitted = self._fitted()
        return tuple(torch.tensor(getattr(fitted, key), dtype=like.dtype, device=like.device) for key in keys)

    def _refuse(self, outside_nd: torch.Tensor, names: Sequence[str]) -> None:
        for place, outside_n in enumerate(outside_nd.T.cpu().numpy()):
            if outside_n.any():
                lower, upper = self._fitted().lower[place], self._fitted().upper[place]
                raise InputError(
                    f"column '{names[place]}' leaves the fitted range [{lower:g}, {upper:g}] in "
                    f"{rows_text(outside_n)}; fit on data that covers it, or use policy 'clip' or 'flag'."
                )


def read_matrix(x: np.ndarray | pd.DataFrame | torch.Tensor) -> tuple[torch.Tensor, tuple[str, ...]]:
    """Read a table of finite numbers as a floating-point tensor (n, d), with a name for every column.

    Float tensors and float32 arrays keep their dtype, everything else becomes float64. Columns without names are called
    ``x1``, ``x2``, ...

    Raises:
        InputError: not two-dimensional, empty, duplicate names, columns that are not numeric, NaN or infinite values;
            the message names columns and rows.
    """
    if isinstance(x, pd.DataFrame):
        names = tuple(map(str, x.columns))
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(f"column name '{twice[0]}' stands {names.count(twice[0])} times; rename.")
        text = [
            f"'{name}' ({dtype})"
            for name, dtype in zip(names, x.dtypes, strict=True)
            if not is_numeric_dtype(dtype) or is_complex_dtype(dtype)
        ]
        if text:
            raise InputError(f"not numeric: column {', '.join(text[:5])}; encode or drop such columns.")
        x_nd = _from_numpy(x.to_numpy(dtype=np.float64, na_value=np.nan))
    else:
        x_nd = x if isinstance(x, torch.Tensor) else _from_numpy(np.asarray(x))
        if x_nd.ndim != 2:
            raise InputError(f"a table (rows, columns) is needed, not shape {tuple(x_nd.shape)}; reshape it.")
        names = tuple(f"x{place + 1}" for place in range(x_nd.shape[1]))
    if 0 in x_nd.shape:
        raise InputError(f"the table is empty: {x_nd.shape[0]} rows, {x_nd.shape[1]} columns.")
    if x_nd.is_complex():
        raise InputError("complex numbers cannot be used; pass real ones.")
    if not x_nd.is_floating_point():
        x_nd = x_nd.to(torch.float64)
    wrong_nd = ~torch.isfinite(x_nd)
    wrong = torch.nonzero(wrong_nd.any(0))[:, 0].tolist()
    if wrong:
        rows = rows_text(wrong_nd[:, wrong[0]].cpu().numpy())
        others = f", and {len(wrong) - 1} more such columns" if len(wrong) > 1 else ""
        raise InputError(f"column '{names[wrong[0]]}' is NaN or infinite in {rows}{others}; fill or drop them.")
    return x_nd, names


def check_columns(given: Sequence[str], expected: Sequence[str] | None, width: int) -> None:
    """Compare a table's columns with the fitted ones, by name and order, or by number where names are unknown.

    Raises:
        InputError: names what is missing, what is not expected, or the first column out of order.
    """
    if expected is not None and set(given) != set(expected):
        missing = [name for name in expected if name not in given]
        unexpected = [name for name in given if name not in expected]
        parts = [f"missing {missing[:5]}"] * bool(missing) + [f"not expected {unexpected[:5]}"] * bool(unexpected)
        raise InputError(f"the columns are not the fitted ones: {', '.join(parts)}; select the fitted columns.")
    if len(given) != width:
        raise InputError(f"the table has {len(given)} columns, but {width} were fitted.")
    for place, (here, there) in enumerate(zip(given, expected or given, strict=True)):
        if here != there:
            raise InputError(
                f"column {place + 1} is '{here}', but '{there}' was fitted there; put the columns in the fitted order."
            )


def _from_numpy(values: np.ndarray) -> torch.Tensor:
    if values.dtype.kind not in "biuf":
        raise InputError(f"an array of {values.dtype} is not numeric; encode it as numbers.")
    dtype = np.float32 if values.dtype == np.float32 else np.float64
    return torch.from_numpy(np.require(values, dtype=dtype, requirements=["C", "W"]))


def _restore(x_nd: torch.Tensor, like: Matrix) -> Matrix:
    if isinstance(like, torch.Tensor):
        return x_nd
    if isinstance(like, pd.DataFrame):
        return pd.DataFrame(x_nd.numpy(), index=like.index, columns=like.columns)
    return x_nd.numpy()


def _numbers(values: Sequence[Any]) -> tuple[float, ...]:
    numbers = tuple(float(value) for value in values)
    if not all(map(math.isfinite, numbers)):
        raise ValueError("a number is not finite")
    return numbers
