"""The optimiser ``lm``: Levenberg-Marquardt, for networks up to a few thousand parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import nn

from marketnn.optim.levenberg_marquardt import LevenbergMarquardt

_DTYPES = {None: None, "float32": torch.float32, "float64": torch.float64}


@dataclass(frozen=True)
class Config:
    """Levenberg-Marquardt (paper A, eq. 2.7).

    Attributes:
        damping: mu of the first trial; ``None`` is a thousandth of J^T J's mean diagonal.
        damping_rule: ``nielsen`` follows the gain ratio, ``multiplicative`` is 0.1 and 10.
        solver: ``auto``, ``primal`` (parameters by parameters), ``dual`` (residuals by residuals), or a path by name.
        chunk_rows: rows at a time; ``None`` chooses.
        accumulate_dtype: dtype of J^T J within a chunk; ``None`` is the network's.
        scaling: of the damping, ``identity`` or ``column`` (Marquardt's diagonal).
        geodesic: add the geodesic acceleration.
        evidence: Bayesian regularisation (MathWorks' ``trainbr``).
    """

    damping: float | None = 1e-3
    damping_rule: Literal["nielsen", "multiplicative"] = "nielsen"
    solver: Literal["auto", "primal", "dual", "packed", "jacobian", "gram", "autodiff", "autodiff_gram"] = "auto"
    chunk_rows: int | None = None
    accumulate_dtype: Literal["float32", "float64"] | None = None
    scaling: Literal["identity", "column"] = "identity"
    geodesic: bool = False
    evidence: bool = False


def build(config: Config) -> Callable[[nn.Module], LevenbergMarquardt]:
    """Return the function that makes the optimiser of a module."""
    return partial(
        LevenbergMarquardt,
        damping=config.damping,
        damping_rule=config.damping_rule,
        solver=config.solver,
        chunk_rows=config.chunk_rows,
        accumulate_dtype=_DTYPES[config.accumulate_dtype],
        scaling=config.scaling,
        geodesic=config.geodesic,
        evidence=config.evidence,
    )
