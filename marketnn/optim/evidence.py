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

from marketnn.optim.linearisation import factor


def effective_parameters(jtj: Tensor, strength: Tensor) -> Tensor:
    """Count the parameters that the data determine: ``P - strength tr (J^T J + strength I)^-1``.

    Args:
        jtj: (R, P, P), its lower triangle.
        strength: (R,); where it is 0 all parameters count.

    Returns:
        (R,), NaN where the factorisation fails.
    """
    n_parameters = jtj.shape[-1]
    # An own floor keeps a singular J^T J from spoiling the count before the first strength is known.
    diagonal = jtj.diagonal(dim1=-2, dim2=-1)
    floor = torch.finfo(jtj.dtype).eps * diagonal.amax(-1)
    triangle, failed = factor(jtj, diagonal, torch.maximum(strength, floor).unsqueeze(-1))
    trace = torch.cholesky_inverse(triangle).diagonal(dim1=-2, dim2=-1).sum(-1)
    return torch.where(failed == 0, n_parameters - strength * trace, torch.nan)


def updated_strength(strength: Tensor, effective: Tensor, w: Tensor, sse: Tensor, terms: Tensor | float) -> Tensor:
    """Re-estimate the strength: ``(effective / |w|^2) (sse / (terms - effective))``.

    Args:
        strength: (R,), kept where the estimate is not finite.
        effective: (R,) as ``effective_parameters`` counts them.
        w: (R, P).
        sse: (R,).
        terms: residuals, a number or (R,); when there are fewer than effective parameters, one counts as left over.
    """
    left_over = (terms - effective).clamp(min=1.0)
    estimate = effective / w.square().sum(-1) * sse / left_over
    return torch.where(estimate.isfinite(), estimate, strength)
