"""The scorecard as an estimator: indices in, score and grade out, and what would raise the score (paper A, section 3.1).

Shapes: n rows, d indices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from marketnn import registry
from marketnn.data.index_system import IndexSystem
from marketnn.device import resolve
from marketnn.errors import InputError, rows_text, unknown_name
from marketnn.optim import HiddenSizeSearch, search_hidden_sizes
from marketnn.preprocess import MinMaxScaler
from marketnn.preprocess.scaling import check_columns, read_matrix
from marketnn.scorecard.improvement import improve
from marketnn.scorecard.measures import GRADES, ScoreErrors
from marketnn.scorecard.score_function import learn_score, score_scaler
from marketnn.scorecard.sensitivity import right_share, score_slopes, sensitivities
from marketnn.scorecard.split import two_way_split
from marketnn.seed import child_seed, seed_from


@dataclass(frozen=True)
class ImprovementPlan:
    """What to change about a unit.

    Attributes:
        changes: by index that changes, the dearest first: ``before``, ``after``, ``change`` in its unit, ``cost``.
        score, improved_score: before and after.
        cost: of all changes.
        gap: what no other change within budget and bounds gains more than, by the tangent at the plan; a proof where the score is
            concave between, 0 where nothing near is better.
        price: what a further unit of budget adds to the score, by the tangent.
    """

    changes: pd.DataFrame
    score: float
    improved_score: float
    cost: float
    gap: float
    price: float


class PerformanceModel(RegressorMixin, BaseEstimator):
    """A score learnt from indices by the LMBP network, as a scikit-learn regressor.

    Some rows stop the training early and choose the best of several restarts, which train side by side.

    Args:
        system: what the indices are; their directions then bound ``cheapest_improvement``. ``None`` takes any columns.
        hidden_sizes: units of each hidden layer.
        candidates: hidden layers to choose from instead, such as ``[(4,), (8,)]``: cross-validation takes the one with the fewest
            parameters within a standard error of the best, all its folds and restarts trained as one batch.
        output: ``sigmoid`` (eq. 2.5) or ``identity``.
        optimizer: ``lm``, ``gd``, ``adam`` or ``lbfgs`` (a single restart), or its settings with a ``name``.
        restarts: networks with other first weights.
        validation_share: share of the rows that stop the training.
        max_epochs, max_fail: epochs at most; epochs in a row without a better validation loss that end a restart.
        score_range: bottom and top of the scale, such as (0, 1) for relative scores; ``None`` takes them from ``y``.
        score_margin: room beyond both as a share of the scale's width; 0 is eq. 2.8.
        thresholds: grade -> the least relative score that earns it.
        device: ``auto`` takes CUDA when there is a card.
        random_state: an integer makes the result repeatable.

    Attributes:
        function_: ``ScoreFunction``.
        fit_: ``Fit``: the training's curves and restarts.
        search_: ``HiddenSizeSearch`` over the candidates; ``None`` without them.
        columns_: names of the indices; ``x1``, ``x2``, ... of an array without a system.
    """

    def __init__(
        self,
        system: IndexSystem | None = None,
        *,
        hidden_sizes: Sequence[int] = (10,),
        candidates: Sequence[Sequence[int]] | None = None,
        output: str = "sigmoid",
        optimizer: str | Mapping[str, Any] = "lm",
        restarts: int = 5,
        validation_share: float = 0.15,
        max_epochs: int = 3000,
        max_fail: int = 20,
        score_range: tuple[float, float] | None = None,
        score_margin: float = 0.1,
        thresholds: Mapping[str, float] | None = None,
        device: str | torch.device = "auto",
        random_state: int | np.random.Generator | np.random.RandomState | None = None,
    ) -> None:
        self.system = system
        self.hidden_sizes = hidden_sizes
        self.candidates = candidates
        self.output = output
        self.optimizer = optimizer
        self.restarts = restarts
        self.validation_share = validation_share
        self.max_epochs = max_epochs
        self.max_fail = max_fail
        self.score_range = score_range
        self.score_margin = score_margin
        self.thresholds = thresholds
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Learn the score ``y`` (n,) of indices X (n, d).

        Raises:
            InputError: X is no table of finite numbers or lacks an index, y does not fit it, leaves ``score_range`` or is the
                same in all rows, or too few rows.
        """
        x, score = self._frame(X, names=None), _score(y)
        if len(score) != len(x):
            raise InputError(f"y has {len(score):,} scores for {len(x):,} rows of X; give one for each row.")
        score_range = self._range(score)
        seed, device = seed_from(self.random_state), resolve(self.device)
        train, validation = two_way_split(x, validation_share=self.validation_share, seed=child_seed(seed, "split"))
        settings = {"name": self.optimizer} if isinstance(self.optimizer, str) else self.optimizer
        optimizer = registry.build("optimizer", settings)
        self.search_ = self._search(x, score, optimizer, device, child_seed(seed, "search"))
        hidden_sizes = self.hidden_sizes if self.search_ is None else self.search_.chosen
        self.function_, self.fit_ = learn_score(
            (x.iloc[train], score[train]),
            (x.iloc[validation], score[validation]),
            scaler=MinMaxScaler(),
            network=registry.build(
                "network", {"name": "bp", "hidden_sizes": list(hidden_sizes), "output": self.output}
            ),
            optimizer=optimizer,
            score_range=score_range,
            score_margin=self.score_margin,
            thresholds=GRADES if self.thresholds is None else self.thresholds,
            device=device,
            members=None if self.restarts == 1 or settings["name"] == "lbfgs" else self.restarts,
            seed=child_seed(seed, "network"),
            max_epochs=self.max_epochs,
            max_fail=self.max_fail,
        )
        self.columns_ = list(x.columns)
        self.n_features_in_ = len(self.columns_)
        self._spread = x.std(ddof=0)
        self._observed = x.agg(["min", "max"])
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the score (n,) of rows.

        Raises:
            InputError: other columns than the fitted ones, or values that are not finite.
        """
        return self.function_.scores(self._fitted(X))

    def grade(self, X: Any) -> np.ndarray:
        """Return the grade (n,) of rows; errors as ``predict``."""
        return self.function_.grades(self.predict(X))

    def errors(self, X: Any, y: Any) -> ScoreErrors:
        """Compare the scores of rows with ``y`` (n,); ``score`` is its R² alone."""
        return ScoreErrors.of(_score(y), self.predict(X))

    def slopes(self, X: Any) -> pd.DataFrame:
        """Return d score / d index (n, d) at every row; errors as ``predict``."""
        return score_slopes(self.function_, self._fitted(X))

    def sensitivities(self, X: Any) -> pd.DataFrame:
        """Summarise the slopes at rows (``scorecard.sensitivities``); with a system also ``right_share``.

        ``right_share`` is the share of the rows whose slope has the sign of the index's direction, nothing for an interval.
        """
        slopes = self.slopes(X)
        table = sensitivities(slopes, self._spread)
        return table if self.system is None else table.assign(right_share=right_share(slopes, self.system))

    def what_if(self, X: Any, changes: Mapping[str, float]) -> pd.DataFrame:
        """Score rows once more with indices changed.

        Args:
            X: (n, d).
            changes: index -> what to add to it, in its unit.

        Returns:
            ``score``, ``changed_score``, ``difference``, ``grade``, ``changed_grade`` of every row.

        Raises:
            InputError: no such index, a change that is not finite, or as ``predict``.
        """
        x = self._fitted(X)
        changed = x + pd.Series(self._by_index("changes", changes, dict.fromkeys(self.columns_, 0.0)))
        before, after = self.function_.scores(x), self.function_.scores(changed[self.columns_])
        return pd.DataFrame(
            {
                "score": before,
                "changed_score": after,
                "difference": after - before,
                "grade": self.function_.grades(before),
                "changed_grade": self.function_.grades(after),
            },
            index=x.index,
        )

    def cheapest_improvement(
        self,
        row: Any,
        *,
        unit_costs: Mapping[str, float],
        budget: float,
        bounds: Mapping[str, tuple[float, float]] | None = None,
    ) -> ImprovementPlan:
        """Say which indices of one unit to change so that a budget raises its score most.

        Only indices with a cost change, and with a system only for the better: a benefit upwards, a cost downwards.

        Args:
            row: (1, d), or one row of a DataFrame.
            unit_costs: index -> cost of changing it by one of its units, above 0.
            budget: from 0 on.
            bounds: index -> lowest and highest value; by default what the fitted rows had.

        Raises:
            InputError: not one row, no such index, a number out of range, or as ``predict``.
        """
        check_is_fitted(self)
        x = self._fitted(row.to_frame().T.astype(float) if isinstance(row, pd.Series) else row)
        if len(x) != 1:
            raise InputError(f"cheapest_improvement takes one row, not {len(x):,}; pass X[[i]] or X.iloc[i].")
        costs = self._by_index("unit_costs", unit_costs, {})
        if not costs or min(costs.values()) <= 0:
            raise InputError(f"unit_costs={dict(unit_costs)} must give at least one index, each a cost above 0.")
        if not (np.isfinite(budget) and budget >= 0):
            raise InputError(f"budget={budget:g} must be a number from 0 on.")
        start = x.to_numpy()[0]
        lower, upper = self._reach(start, costs, bounds or {})

        def value(point: np.ndarray) -> float:
            return float(self.function_.scores(pd.DataFrame(point[None], columns=self.columns_))[0])

        def gradient(point: np.ndarray) -> np.ndarray:
            return score_slopes(self.function_, pd.DataFrame(point[None], columns=self.columns_)).to_numpy()[0]

        unit_cost = np.array([costs.get(name, 0.0) for name in self.columns_])
        found = improve(value, gradient, start, unit_cost=unit_cost, budget=budget, lower=lower, upper=upper)
        table = pd.DataFrame(
            {"before": start, "after": found.x, "change": found.x - start, "cost": unit_cost * np.abs(found.x - start)},
            index=pd.Index(self.columns_, name="index"),
        )
        changes = table[table["change"] != 0].sort_values("cost", ascending=False, kind="stable")
        return ImprovementPlan(
            changes, float(found.history[0]), float(found.history[-1]), found.cost, found.gap, found.price
        )

    def _range(self, score: np.ndarray) -> tuple[float, float]:
        """Return bottom and top of the scale."""
        if self.score_range is None:
            if score.min() == score.max():
                raise InputError(f"y is {score[0]:g} in all {len(score):,} rows: there is nothing to learn.")
            return float(score.min()), float(score.max())
        if len(self.score_range) != 2 or not self.score_range[0] < self.score_range[1]:
            raise InputError(f"score_range={self.score_range} must be bottom and top, such as (0, 1).")
        low, high = map(float, self.score_range)
        outside = (score < low) | (score > high)
        if outside.any():
            raise InputError(
                f"y leaves score_range=({low:g}, {high:g}) in {rows_text(outside)}, such as {score[outside][0]:g}; "
                "pass a wider score_range, or correct y."
            )
        return low, high

    def _search(
        self, x: pd.DataFrame, score: np.ndarray, optimizer: Any, device: torch.device, seed: int
    ) -> HiddenSizeSearch | None:
        """Compare the candidates, if there are any."""
        if self.candidates is None:
            return None
        target = score_scaler(self._range(score), self.score_margin).transform(score[:, None])
        return search_hidden_sizes(
            self.candidates,
            torch.from_numpy(MinMaxScaler().fit_transform(x).to_numpy(copy=True)).to(device),
            torch.from_numpy(target).to(device),
            output=self.output,
            restarts=self.restarts,
            seed=seed,
            optimizer=optimizer,
            max_epochs=self.max_epochs,
            max_fail=self.max_fail,
        )

    def _frame(self, X: Any, names: Sequence[str] | None) -> pd.DataFrame:
        """Return X as a frame of floats with the indices in order; ``names`` are the fitted ones."""
        codes = names if self.system is None else self.system.codes
        values, columns = read_matrix(X if isinstance(X, (pd.DataFrame, torch.Tensor)) else np.asarray(X))
        x = values.detach().to("cpu", torch.float64).numpy()
        if isinstance(X, pd.DataFrame):
            frame = pd.DataFrame(x, index=X.index, columns=list(columns))
            if self.system is not None:
                self.system.require(list(columns), "X")
            elif names is not None:
                check_columns(sorted(columns), sorted(names), len(names))
            return frame if codes is None else frame[list(codes)]
        if codes is not None and len(codes) != x.shape[1]:
            raise InputError(f"X has {x.shape[1]} columns, but there are {len(codes)} indices; pass them in order.")
        return pd.DataFrame(x, columns=list(codes or columns))

    def _fitted(self, X: Any) -> pd.DataFrame:
        check_is_fitted(self)
        return self._frame(X, self.columns_)

    def _by_index(self, key: str, given: Mapping[str, float], default: dict[str, float]) -> dict[str, float]:
        """Return numbers by index over the defaults."""
        for name, value in given.items():
            if name not in self.columns_:
                raise unknown_name(f"index in {key}", str(name), self.columns_)
            if not np.isfinite(value):
                raise InputError(f"{key} of {name} is {value}; pass a number.")
        return default | {name: float(value) for name, value in given.items()}

    def _reach(
        self, start: np.ndarray, costs: Mapping[str, float], bounds: Mapping[str, tuple[float, float]]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return how far down and up (d,) each index may go: nowhere without a cost, for the better only with a system."""
        for name, ends in bounds.items():
            if name not in self.columns_:
                raise unknown_name("index in bounds", str(name), self.columns_)
            if not ends[0] <= ends[1]:
                raise InputError(f"bounds of {name} are {ends[0]:g} and {ends[1]:g}; give the lower one first.")
        signs = {} if self.system is None else self.system.signs.to_dict()
        lower, upper = start.copy(), start.copy()
        for place, name in enumerate(self.columns_):
            if name in costs:
                low, high = bounds.get(name, tuple(self._observed[name]))
                sign = signs.get(name, 0)
                lower[place] = start[place] if sign > 0 else min(low, start[place])
                upper[place] = start[place] if sign < 0 else max(high, start[place])
        return lower, upper


def _score(y: Any) -> np.ndarray:
    """Return y (n,) as float64."""
    score = np.asarray(y, dtype=float)
    if score.ndim != 1 or not np.isfinite(score).all():
        raise InputError(f"y of shape {score.shape} must be one finite number for each row; flatten it, or drop rows.")
    return score
