"""What moves a score: the derivative of the network's output by every index, at real rows.

Shapes: n rows, d encoded indices.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from torch import Tensor
from torch.func import grad

from marketnn.data.index_system import IndexSystem
from marketnn.scorecard.score_function import ScoreFunction


def score_slopes(model: ScoreFunction, encoded: pd.DataFrame) -> pd.DataFrame:
    """Return d score / d index at every row (n, d), in units of the score per unit of the index.

    The column of a category counts as a number between 0 and 1. A constant column has slope 0.

    Args:
        model: the learnt score.
        encoded: (n, d) rows as numbers.
    """
    slope_nd = _output_slopes(model, model.scaled(encoded))
    unit_d = np.array(model.scaler.to_dict()["scale"])
    per_index_d = np.divide(model.score_unit, unit_d, out=np.zeros_like(unit_d), where=unit_d != 0)
    return pd.DataFrame(slope_nd.cpu().numpy() * per_index_d, index=encoded.index, columns=encoded.columns)


def sensitivities(slopes: pd.DataFrame, spread: pd.Series) -> pd.DataFrame:
    """Summarise slopes, the index that moves the score most first.

    Args:
        slopes: ``score_slopes``.
        spread: standard deviation of each index.

    Returns:
        Indexed by ``index``: ``slope`` (mean), ``slope_sd`` (between rows), ``sign_share`` (rows whose slope has the mean's
        sign), ``effect`` (mean slope times spread: score per standard deviation), ``low`` and ``high`` (the same for the 5th
        and the 95th percentile of the slopes).
    """
    mean = slopes.mean()
    table = pd.DataFrame(
        {
            "slope": mean,
            "slope_sd": slopes.std(ddof=0),
            "sign_share": (np.sign(slopes) == np.sign(mean)).mean(),
            "effect": mean * spread,
            "low": slopes.quantile(0.05) * spread,
            "high": slopes.quantile(0.95) * spread,
        }
    ).rename_axis("index")
    return table.loc[table["effect"].abs().sort_values(ascending=False, kind="stable").index]


def right_share(slopes: pd.DataFrame, system: IndexSystem) -> pd.Series:
    """Return, by index, the share of the rows whose slope has the direction's sign; nothing for an interval.

    Args:
        slopes: the system's indices among its columns.
        system: the indices.
    """
    signs = system.signs
    return (np.sign(slopes[system.codes]) == signs).mean().where(signs != 0)


def _output_slopes(model: ScoreFunction, x_nd: Tensor) -> Tensor:
    """Differentiate the single output by the inputs (n, d); rows do not touch each other, so one gradient holds all."""

    def total(x_nd: Tensor) -> Tensor:
        return model.network(x_nd).sum()

    return grad(total)(x_nd).detach()
