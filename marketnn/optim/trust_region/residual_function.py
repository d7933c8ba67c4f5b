"""A residual function r(x) at S points at once, and its Jacobian by the cheaper mode of differentiation.

Reverse mode pulls back each of the m residuals, forward mode pushes forward each of the P parameters. Reverse mode has
the smaller fixed cost and forward mode holds m P numbers rather than m m, so the shape chooses. Forward mode is the
pull-back of the pull-back, which is linear and whose transpose is J itself: as fast as ``torch.func.jacfwd``, and it
needs only the reverse rules that every operation and every device have.

Shapes: S points, m residuals, P parameters.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import jacrev, vjp, vmap

from marketnn.errors import InputError

_REVERSE_RATIO = 16  # residuals per parameter; there reverse takes .7 of forward's time, at 64 up to six times it


class ResidualFunction:
    """A caller's function of one point (P,), evaluated at (S, P).

    Args:
        function: maps x (P,) to r (m,), both float64 and on one device; under ``vmap`` when ``batched``.
        batched: whether there may be several points; one point is passed on as it is.
    """

    def __init__(self, function: Callable[[Tensor], Tensor], *, batched: bool) -> None:
        self._function = function
        self._batched = batched

    def residual(self, x_sp: Tensor) -> Tensor:
        """Compute r (S, m).

        Raises:
            InputError: the function returns something other than a tensor (m,) of x's dtype and device.
        """
        with torch.no_grad():
            return self._at_each(self._checked, x_sp).detach()

    def jacobian(self, x_sp: Tensor, n_residuals: int) -> Tensor:
        """Compute dr/dx (S, m, P); zero where r does not depend on x."""
        mode = jacrev if n_residuals <= _REVERSE_RATIO * x_sp.shape[-1] else forward_jacobian
        return self._at_each(mode(self._checked), x_sp).detach()

    def _at_each(self, function: Callable[[Tensor], Tensor], x_sp: Tensor) -> Tensor:
        return vmap(function)(x_sp) if self._batched else function(x_sp[0]).unsqueeze(0)

    def _checked(self, x_p: Tensor) -> Tensor:
        r_m = self._function(x_p)
        if not isinstance(r_m, Tensor):
            raise InputError(f"residual returned a {type(r_m).__name__}; return a tensor (m,).")
        if r_m.dim() != 1 or len(r_m) == 0:
            raise InputError(f"residual returned shape {tuple(r_m.shape)}; return a vector (m,) with m at least 1.")
        if r_m.dtype != x_p.dtype or r_m.device != x_p.device:
            found, wanted = (f"{tensor.dtype} on {tensor.device}" for tensor in (r_m, x_p))
            raise InputError(f"residual returned {found}; return {wanted}, as x0 is.")
        return r_m


def forward_jacobian(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Turn a function (P,) -> (m,) into its Jacobian (P,) -> (m, P), one parameter at a time."""

    def jacobian(x_p: Tensor) -> Tensor:
        r_m, pull_back, *_ = vjp(function, x_p)
        _, push_forward, *_ = vjp(lambda u_m: pull_back(u_m)[0], torch.zeros_like(r_m))
        directions_pp = torch.eye(len(x_p), dtype=x_p.dtype, device=x_p.device)
        (columns_pm,) = vmap(push_forward)(directions_pp)
        return columns_pm.mT

    return jacobian
