"""How strongly to hold the parameters small: the strength that the evidence favours.

The loss is ``sse + strength |w|^2``; strength is MacKay's alpha / beta, the ratio of the precisions of prior and noise.
One update is one round of his fixed point with the Gauss-Newton Hessian, as MathWorks' ``trainbr`` does it at every epoch.

Source: MacKay, A practical Bayesian framework for backpropagation networks, Neural Computation 4 (1992), 448-472;
Foresee and Hagan, Gauss-Newton approximation to Bayesian learning, ICNN 1997.

Shapes: P parameters of one network, R networks.
"""

from __future__ import annotations

import torch
from torch import Tensor


def effective_parameters(jtj: Tensor, strength: Tensor) -> Tensor:
    """Count the parameters that the data determine: the sum over J^T J's eigenvalues of ``value / (value + strength)``.

    Args:
        jtj: (R, P, P), its lower triangle.
        strength: (R,).

    Returns:
        (R,); an eigenvalue of 0 counts as 0.
    """
    values = torch.linalg.eigvalsh(jtj.nan_to_num(0.0, 0.0, 0.0)).clamp(min=0.0)
    return torch.where(values > 0, values / (values + strength.unsqueeze(-1)), 0.0).sum(-1)


def updated_strength(strength: Tensor, effective: Tensor, w: Tensor, sse: Tensor, n_residuals: Tensor | int) -> Tensor:
    """Re-estimate the strength: ``(effective / |w|^2) (sse / (n_residuals - effective))``.

    Args:
        strength: (R,), kept where the estimate is not positive or not finite.
        effective: (R,) as ``effective_parameters`` counts them.
        w: (R, P).
        sse: (R,).
        n_residuals: a number or (R,); when there are fewer than effective parameters, one counts as left over.
    """
    left_over = (n_residuals - effective).clamp(min=1.0)
    estimate = effective / w.square().sum(-1) * sse / left_over
    return torch.where(estimate.isfinite() & (estimate > 0), estimate, strength)
