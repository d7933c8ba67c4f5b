"""Response curves: what a spend brings, one shape per module, and many of them side by side.

Every curve is a ``ResponseCurve`` and speaks one protocol, which the budget solvers rely on; ``x`` is a float64 tensor
of spends, x >= 0, that broadcasts against the curve's parameters (``()`` for one channel, ``(K,)`` for K):

    curve(x)                          the response
    curve.derivative(x)               what one more unit brings
    curve.inverse_derivative(price)   the largest spend whose last unit brings ``price`` or more, 0 where none does
    curve.inflection                  where a convex start ends: 0 for a concave curve, infinite for a convex one
    curve.concave                     whether every curve is concave on x >= 0
    curve.shape                       the parameters' shape

A ``CurveSet`` of unlike curves speaks the same protocol with ``x`` of shape (..., K).
"""

from marketnn.allocation.curves.curve import ResponseCurve
from marketnn.allocation.curves.curve_set import CurveSet, evaluate
from marketnn.allocation.curves.exponential import ExponentialCurve
from marketnn.allocation.curves.hill import HillCurve
from marketnn.allocation.curves.log import LogCurve
from marketnn.allocation.curves.power import PowerCurve

__all__ = ["CurveSet", "ExponentialCurve", "HillCurve", "LogCurve", "PowerCurve", "ResponseCurve", "evaluate"]
