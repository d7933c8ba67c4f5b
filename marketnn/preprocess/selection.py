"""Which features to keep: of two that correlate strongly the less important one goes, and so does what hardly matters.

Paper B, section III.A: eight features, of which the historical count goes because it correlates with the historical amount, and
the gender because it has no importance.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
from scipy.stats import pearsonr
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted
from xgboost import XGBClassifier, XGBRegressor

from marketnn.errors import InputError, unknown_name
from marketnn.preprocess.scaling import read_matrix

_TREES = {"n_estimators": 100, "max_depth": 4, "learning_rate": 0.1, "importance_type": "total_gain", "n_jobs": 1}


class PearsonImportanceSelector(SelectorMixin, BaseEstimator):
    """Drop the less important feature of every strongly correlated pair, and every feature of next to no importance.

    Pairs are taken strongest first; one of which a feature has gone already takes no other. A feature that is the same in all
    rows correlates with nothing and has no importance.

    Args:
        threshold: ``|r|`` from which a pair is strong. The paper writes "> 0.5" and counts .50, so the bound belongs to it.
        negligible: share of the importance below which a feature goes.

    Attributes:
        correlation_: DataFrame (d, d), Pearson.
        importance_: Series by feature, from 0 on, sums to 1.
        pairs_: the strong pairs, strongest first: ``first``, ``second``, ``r``, ``p_value`` (two-sided), ``dropped`` (nothing
            where both stay or went before).
        dropped_: Series by dropped feature: why, in words.
        n_features_in_, feature_names_in_: the fitted columns.
    """

    def __init__(self, threshold: float = 0.5, negligible: float = 0.01) -> None:
        self.threshold = threshold
        self.negligible = negligible

    def fit(self, X: Any, y: Any = None, importance: Mapping[str, float] | np.ndarray | None = None) -> Self:
        """Decide which features stay.

        Args:
            X: (n, d) numbers, a DataFrame or an array.
            y: (n,) the outcome; its importances are the total gains of boosted trees. Not needed where ``importance`` is given.
            importance: of each feature, by name or in the order of the columns; any scale.

        Raises:
            InputError: X holds other things than finite numbers or fewer than three rows, an importance is missing or negative,
                neither importances nor an outcome are given, an argument is out of range, or no feature would stay.
        """
        self._check_arguments()
        x_nd, names = read_matrix(X)
        x = pd.DataFrame(x_nd.double().numpy(), columns=list(names))
        if len(x) < 3:
            raise InputError(f"X has {len(x)} rows; a correlation needs at least 3.")
        self.n_features_in_ = x.shape[1]
        self.feature_names_in_ = np.array(names, dtype=object)
        self.importance_ = self._importance(x, y, importance)
        self.correlation_ = _correlation(x)
        self.pairs_, self.dropped_ = self._decide(x)
        if len(self.dropped_) == x.shape[1]:
            raise InputError(
                f"no feature has {self.negligible:.0%} of the importance; lower negligible, or look at the outcome."
            )
        return self

    def _decide(self, x: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
        names = list(x.columns)
        strong = [
            (abs(r), r, first, second)
            for place, first in enumerate(names)
            for second in names[place + 1 :]
            if abs(r := float(self.correlation_.at[first, second])) >= self.threshold
        ]
        dropped: dict[str, str] = {}
        pairs = []
        for _, r, first, second in sorted(strong, key=lambda pair: -pair[0]):
            kept, gone = sorted((first, second), key=lambda name: -self.importance_[name])
            fresh = first not in dropped and second not in dropped
            if fresh:
                dropped[gone] = f"correlates {r:.2f} with {kept}, which is more important"
            p_value = float(pearsonr(x[first], x[second]).pvalue)
            pairs.append((first, second, r, p_value, gone if fresh else None))
        for name in names:
            if name not in dropped and self.importance_[name] < self.negligible:
                dropped[name] = f"holds {self.importance_[name]:.1%} of the importance"
        table = pd.DataFrame(pairs, columns=["first", "second", "r", "p_value", "dropped"])
        return table, pd.Series(dropped, dtype=object, name="why").rename_axis("feature")

    def _importance(self, x: pd.DataFrame, y: Any, given: Mapping[str, float] | np.ndarray | None) -> pd.Series:
        if given is None:
            importance = _boosted_importance(x, y)
        elif isinstance(given, Mapping):
            for name in given:
                if name not in x.columns:
                    raise unknown_name("feature", str(name), list(x.columns))
            importance = pd.Series(given, dtype=float).reindex(x.columns)
        else:
            values = np.asarray(given, dtype=float)
            if values.shape != (x.shape[1],):
                raise InputError(f"importance has shape {values.shape}; X has {x.shape[1]} features.")
            importance = pd.Series(values, index=x.columns)
        wrong = importance[~(np.isfinite(importance) & (importance >= 0))]
        if len(wrong):
            raise InputError(
                f"the importance of '{wrong.index[0]}' is {wrong.iloc[0]}; give every feature one from 0 on."
            )
        if importance.sum() == 0:
            raise InputError("all importances are 0: nothing tells the outcome; look at it, or give importances.")
        return importance.div(importance.sum()).rename("importance").rename_axis("feature")

    def _check_arguments(self) -> None:
        if not 0 < self.threshold <= 1:
            raise InputError(f"threshold={self.threshold!r} is not possible; use a number above 0, up to 1.")
        if not 0 <= self.negligible < 1:
            raise InputError(f"negligible={self.negligible!r} is not possible; use a number from 0 on, below 1.")

    def _get_support_mask(self) -> np.ndarray:
        check_is_fitted(self)
        return ~np.isin(self.feature_names_in_, list(self.dropped_.index))


def _correlation(x: pd.DataFrame) -> pd.DataFrame:
    """Return Pearson's coefficients, 0 beside a feature that is the same in all rows."""
    moving = (x != x.iloc[0]).any().to_numpy()
    r = np.eye(x.shape[1])
    if moving.any():
        r[np.ix_(moving, moving)] = np.corrcoef(x.loc[:, moving], rowvar=False)
    return pd.DataFrame(r, index=x.columns, columns=x.columns)


def _boosted_importance(x: pd.DataFrame, y: Any) -> pd.Series:
    if y is None:
        raise InputError("neither importances nor an outcome y are given; pass one of them.")
    outcome = np.asarray(y)
    if outcome.shape != (len(x),):
        raise InputError(f"y has shape {outcome.shape}; X has {len(x)} rows.")
    if type_of_target(outcome) == "continuous":
        model: XGBClassifier | XGBRegressor = XGBRegressor(**_TREES)
    else:
        _, outcome = np.unique(outcome, return_inverse=True)
        if outcome.max() == 0:
            raise InputError("y is the same in all rows; importances need an outcome that differs.")
        model = XGBClassifier(**_TREES)
    model.fit(x.to_numpy(), outcome)
    return pd.Series(model.feature_importances_.astype(float), index=x.columns)
