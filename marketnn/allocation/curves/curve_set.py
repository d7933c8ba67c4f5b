"""Unlike response curves side by side: K spends in, K responses out, one tensor operation per shape of curve."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from marketnn.allocation.curves.curve import ResponseCurve
from marketnn.errors import InputError


class CurveSet(nn.Module):
    """K response curves in a row, of any shapes; it speaks the protocol of ``ResponseCurve`` with x (..., K).

    Curves of one class are evaluated together, so that a hundred Hill curves cost about what one does.

    Args:
        curves: single curves () or rows of them (K_i,), whose order is kept.

    Raises:
        InputError: no curves, something that is no ``ResponseCurve``, or a curve with parameters of more dimensions.
    """

    order: Tensor
    inverse_order: Tensor

    def __init__(self, curves: Sequence[ResponseCurve]) -> None:
        super().__init__()
        classes: dict[type[ResponseCurve], list[ResponseCurve]] = {}
        positions: dict[type[ResponseCurve], list[int]] = {}
        n_curves = 0
        for curve in curves:
            if not isinstance(curve, ResponseCurve):
                raise InputError(f"{curve!r} is no response curve; pass HillCurve, LogCurve or another ResponseCurve.")
            if len(curve.shape) > 1:
                raise InputError(f"a curve has parameters of shape {tuple(curve.shape)}; pass () or (K,) for each.")
            classes.setdefault(type(curve), []).append(curve)
            length = curve.scale.numel()
            positions.setdefault(type(curve), []).extend(range(n_curves, n_curves + length))
            n_curves += length
        if not n_curves:
            raise InputError("there are no curves; pass at least one.")
        self.rows = nn.ModuleList(_joined(alike) for alike in classes.values())
        self.sizes = [len(places) for places in positions.values()]
        order = torch.tensor([place for places in positions.values() for place in places])
        self.register_buffer("order", order.to(curves[0].scale.device))
        self.register_buffer("inverse_order", order.argsort().to(curves[0].scale.device))

    def forward(self, x: Tensor) -> Tensor:
        """The responses (..., K) to the spends x (..., K)."""
        return self._each(x, lambda curve, part: curve(part))

    def derivative(self, x: Tensor) -> Tensor:
        """What one more unit brings in each of the K, (..., K)."""
        return self._each(x, lambda curve, part: curve.derivative(part))

    def inverse_derivative(self, price: Tensor) -> Tensor:
        """For one price () or one per curve (..., K): the largest spends whose last unit brings it."""
        return self._each(price, lambda curve, part: curve.inverse_derivative(part))

    @property
    def inflection(self) -> Tensor:
        """Where each of the K turns from convex to concave, (K,)."""
        return self._each(self.order, lambda curve, _: curve.inflection.reshape(-1))

    @property
    def concave(self) -> bool:
        """Whether every curve is concave on x >= 0."""
        return bool((self.inflection == 0).all())

    @property
    def shape(self) -> torch.Size:
        """(K,)."""
        return self.order.shape

    def _each(self, x: Tensor, what: Callable[[ResponseCurve, Tensor], Tensor]) -> Tensor:
        """Do ``what`` with each class of curves and its part of x (..., K), and put the K answers in order."""
        x = x if x.dim() else x.expand(len(self.order))
        parts = x.index_select(-1, self.order).split(self.sizes, dim=-1)
        answers = [what(curve, part) for curve, part in zip(self.rows, parts, strict=True)]  # type: ignore[arg-type]
        return torch.cat(answers, dim=-1).index_select(-1, self.inverse_order)


def evaluate(curves: ResponseCurve | Sequence[ResponseCurve], spend: Tensor) -> Tensor:
    """The responses (..., K) of a row of curves to the spends (..., K); ``CurveSet`` does it many times over."""
    return CurveSet([curves] if isinstance(curves, ResponseCurve) else curves)(spend)


def _joined(alike: list[ResponseCurve]) -> ResponseCurve:
    """Join curves of one class into one row."""
    columns = zip(*(curve.values() for curve in alike), strict=True)
    return type(alike[0])(*(torch.cat([number.reshape(-1) for number in column]) for column in columns))
