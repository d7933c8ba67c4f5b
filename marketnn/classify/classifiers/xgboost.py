"""XGBoost: boosted trees on histograms, the recommender of paper A (table 4.2, section 4.3).

Shapes: n rows, d features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd
import torch
import xgboost as xgb
from sklearn.model_selection import StratifiedKFold

from marketnn.classify.boosting_together import boosting_together
from marketnn.classify.classifiers.classifier import Classifier, Progress, Tensors, Work
from marketnn.classify.classifiers.rows import LabelledRows, hold_out
from marketnn.classify.labels import Vector
from marketnn.errors import InputError
from marketnn.seed import numpy_generator

_FOLDS = 3  # of the search
_MANY_ROWS = 50_000


@dataclass(frozen=True)
class Config:
    """Boosted trees.

    Attributes:
        eta: learning rate; ``null`` is .05, and .1 beyond 50,000 rows, where a tree costs more and overfits less.
        max_depth: levels of a tree.
        min_child_weight: least sum of p (1 - p) in a leaf.
        subsample: share of the rows that each tree sees.
        colsample_bytree: share of the features that each tree sees.
        reg_lambda: ridge on the leaves.
        max_bin: bins of a feature's histogram.
        rounds: trees at most.
        early_stopping_rounds: stop after so many trees without a lower log loss of the validation rows.
        validation_share: share of the training rows that says when to stop; 0 grows all ``rounds`` on all of them.
        search: random settings to try by cross-validated AUC on the training rows; 0 takes those given.
    """

    eta: float | None = None
    max_depth: int = 5
    min_child_weight: float = 10.0
    subsample: float = 0.8
    colsample_bytree: float = 0.6
    reg_lambda: float = 1.0
    max_bin: int = 256
    rounds: int = 500
    early_stopping_rounds: int = 50
    validation_share: float = 0.15
    search: int = 0


class XGBoost(Classifier[Config]):
    """Gradient-boosted trees; the number of trees is chosen on rows that they do not learn from.

    ``importance`` is the share of each feature's mean gain per split, as in paper A, table 4.2; ``contributions`` are
    XGBoost's own SHAP values.
    """

    name = "xgboost"
    _booster: xgb.Booster

    def fit_shard(
        self,
        X: pd.DataFrame | np.ndarray,
        y: Vector,
        *,
        process_group: Any,
        seed: int = 0,
        device: str | torch.device = "auto",
        validation: tuple[pd.DataFrame | np.ndarray, Vector] | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Learn from the rows of all processes of a group; each ends with the same trees.

        Args:
            X: (n, d) this process's rows.
            y: (n,) their labels, at least ten of each class.
            process_group: a ``torch.distributed`` group of all processes that ``torchrun`` started.
            seed, device, progress: as ``fit``.
            validation: this process's rows that say when to stop; all processes pass some, or none.

        Raises:
            InputError: as ``fit``; a search, which runs in one process alone.
        """
        if self.config.search:
            raise InputError(
                f"search={self.config.search} runs in one process; find the settings there, then search=0."
            )
        with boosting_together(process_group):
            return self.fit(X, y, seed=seed, device=device, validation=validation, progress=progress)

    def _learn(self, rows: LabelledRows, validation: LabelledRows | None, work: Work) -> None:
        if self.config.search:
            self.config = _search(self.config, rows, work)
        if validation is None and self.config.validation_share > 0:
            rows, validation = hold_out(rows, self.config.validation_share, work.seed)
        n_rows = int(xgb.collective.allreduce(np.array([len(rows.y)]), xgb.collective.Op.SUM)[0])
        matrix = xgb.QuantileDMatrix(_single(rows.x), rows.y, max_bin=self.config.max_bin, nthread=_threads())
        evals = []
        if validation is not None:
            evals = [(xgb.QuantileDMatrix(_single(validation.x), validation.y, ref=matrix, nthread=_threads()), "stop")]
        booster = xgb.train(
            _parameters(self.config, n_rows, work),
            matrix,
            self.config.rounds,
            evals=evals,
            early_stopping_rounds=self.config.early_stopping_rounds if evals else None,
            verbose_eval=False,
            callbacks=[_Told(work.progress, self.config.rounds)] if work.progress else None,
        )
        self._booster = booster[: booster.best_iteration + 1] if evals else booster

    def _probability(self, x_nd: np.ndarray) -> np.ndarray:
        return self._booster.inplace_predict(_single(x_nd))

    def _effects(self) -> np.ndarray:
        gain = self._booster.get_score(importance_type="gain")
        return np.array([gain.get(f"f{place}", 0.0) for place in range(self._booster.num_features())])

    def contributions(self, X: pd.DataFrame | np.ndarray) -> pd.DataFrame:
        """Return what each feature adds to the log odds of each row, (n, d + 1) with ``bias`` last.

        Raises:
            InputError: as ``predict_proba``.
        """
        matrix = xgb.DMatrix(_single(self._features(X)), nthread=_threads())
        values = self._booster.predict(matrix, pred_contribs=True)
        index = X.index if isinstance(X, pd.DataFrame) else None
        return pd.DataFrame(values, index=index, columns=[*self.columns, "bias"])

    def _state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        return {"booster": self._booster.save_raw("json").decode()}, {}

    def _restore(self, facts: Mapping[str, Any], tensors: Tensors) -> None:
        self._booster = xgb.Booster(model_file=bytearray(facts["booster"].encode()))


class _Told(xgb.callback.TrainingCallback):
    """Tells ``progress`` of every tree."""

    def __init__(self, progress: Progress, rounds: int) -> None:
        self.progress = progress
        self.rounds = rounds

    def after_iteration(self, model: xgb.Booster, epoch: int, evals_log: Mapping[str, Any]) -> bool:
        self.progress("xgboost", epoch + 1, self.rounds)
        return False


def build(config: Config) -> XGBoost:
    """Return the classifier that a configuration describes.

    Raises:
        InputError: a number out of range.
    """
    for key in ("eta", "subsample", "colsample_bytree"):
        value = getattr(config, key)
        if value is not None and not 0 < value <= 1:
            raise InputError(f"{key}={value:g} is not possible; pass a number above 0, at most 1.")
    for key, least in {"max_depth": 1, "max_bin": 2, "rounds": 1, "early_stopping_rounds": 1, "search": 0}.items():
        if getattr(config, key) < least:
            raise InputError(f"{key}={getattr(config, key)} is not possible; pass at least {least}.")
    for key in ("min_child_weight", "reg_lambda"):
        if getattr(config, key) < 0:
            raise InputError(f"{key}={getattr(config, key):g} is negative; pass 0 or more.")
    if not 0 <= config.validation_share < 1:
        raise InputError(f"validation_share={config.validation_share:g} must lie in [0, 1), such as 0.15.")
    return XGBoost(config)


def _parameters(config: Config, n_rows: int, work: Work) -> dict[str, Any]:
    """Name the settings as XGBoost does."""
    eta = config.eta or (0.05 if n_rows <= _MANY_ROWS else 0.1)
    own = ("rounds", "early_stopping_rounds", "validation_share", "search")
    return {
        **{key: value for key, value in asdict(config).items() if key not in own},
        "eta": eta,
        "objective": "binary:logistic",
        "eval_metric": "logloss",
        "tree_method": "hist",
        "device": str(work.device),
        "nthread": _threads(),
        "seed": work.seed,
        "verbosity": 0,
    }


def _search(config: Config, rows: LabelledRows, work: Work) -> Config:
    """Return the best by cross-validated AUC of the given settings and ``search`` random ones around the usual."""
    generator = numpy_generator(work.seed)
    candidates = [config]
    for _ in range(config.search):
        drawn = replace(
            config,
            eta=float(np.exp(generator.uniform(np.log(0.02), np.log(0.2)))),
            max_depth=int(generator.integers(3, 8)),
            min_child_weight=float(np.exp(generator.uniform(0, np.log(50)))),
            subsample=float(generator.uniform(0.5, 1)),
            colsample_bytree=float(generator.uniform(0.3, 1)),
            reg_lambda=float(np.exp(generator.uniform(np.log(0.1), np.log(10)))),
        )
        candidates.append(drawn)
    folds = list(StratifiedKFold(_FOLDS, shuffle=True, random_state=work.seed).split(rows.x, rows.y))
    matrix = xgb.DMatrix(_single(rows.x), rows.y, nthread=_threads())
    scores = []
    for place, candidate in enumerate(candidates):
        curve = xgb.cv(
            {**_parameters(candidate, len(rows.y), work), "eval_metric": "auc"},
            matrix,
            candidate.rounds,
            folds=folds,
            early_stopping_rounds=candidate.early_stopping_rounds,
            seed=work.seed,
        )
        scores.append(float(pd.DataFrame(curve)["test-auc-mean"].max()))
        if work.progress:
            work.progress("xgboost search", place + 1, len(candidates))
    return replace(candidates[int(np.argmax(scores))], search=0)


def _single(x_nd: np.ndarray) -> np.ndarray:
    """XGBoost computes in single precision; so handed over, the numbers need half the memory."""
    return x_nd.astype(np.float32)


def _threads() -> int:
    return torch.get_num_threads()
