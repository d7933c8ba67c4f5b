"""Logistic regression on standardised features with a small ridge: a probability for every table.

``fit_logistic`` gives inference and refuses columns that are dependent or separate the classes. For prediction such columns
are harmless, and the ridge settles them; so here scikit-learn's Newton solver fits, always with the ridge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from marketnn.classify.classifiers.classifier import Classifier, Tensors, Work
from marketnn.classify.classifiers.rows import LabelledRows
from marketnn.errors import InputError
from marketnn.preprocess.scaling import scale
from marketnn.preprocess.standard import mean_and_deviation

_TOLERANCE = 1e-8  # on the gradient; Newton's method needs a step or two more for it than for the default


@dataclass(frozen=True)
class Config:
    """Ridge logistic regression.

    Attributes:
        ridge: half of it times the sum of squared standardised coefficients is added to the negative log-likelihood.
        max_iter: Newton steps at most.
    """

    ridge: float = 1.0
    max_iter: int = 100


class Logistic(Classifier[Config]):
    """Logistic regression; ``importance`` is the share of |coefficient| times the feature's standard deviation."""

    name = "logistic"
    _mean_d: torch.Tensor
    _deviation_d: torch.Tensor
    _coef_d: torch.Tensor
    _intercept: torch.Tensor

    def _learn(self, rows: LabelledRows, validation: LabelledRows | None, work: Work) -> None:
        x = torch.from_numpy(rows.x)
        self._mean_d, self._deviation_d = mean_and_deviation(x)
        model = LogisticRegression(
            C=1 / self.config.ridge, solver="newton-cholesky", max_iter=self.config.max_iter, tol=_TOLERANCE
        )
        model.fit(scale(x, self._mean_d, self._deviation_d).numpy(), rows.y)
        self._coef_d, self._intercept = torch.from_numpy(model.coef_[0]), torch.from_numpy(model.intercept_)

    def _probability(self, x_nd: np.ndarray) -> np.ndarray:
        z_nd = scale(torch.from_numpy(x_nd), self._mean_d, self._deviation_d)
        return expit((z_nd @ self._coef_d + self._intercept).numpy())

    def _effects(self) -> np.ndarray:
        return self._coef_d.abs().numpy()

    def _state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        tensors = {"mean": self._mean_d, "deviation": self._deviation_d, "coef": self._coef_d}
        return {}, {**tensors, "intercept": self._intercept}

    def _restore(self, facts: Mapping[str, Any], tensors: Tensors) -> None:
        self._mean_d, self._deviation_d = tensors["mean"], tensors["deviation"]
        self._coef_d, self._intercept = tensors["coef"], tensors["intercept"]


def build(config: Config) -> Logistic:
    """Return the classifier that a configuration describes.

    Raises:
        InputError: a ridge that is not positive, or no step.
    """
    if not config.ridge > 0:
        raise InputError(f"ridge={config.ridge:g} is not possible; pass a number above 0, such as 1.")
    if config.max_iter < 1:
        raise InputError(f"max_iter={config.max_iter} is not possible; pass at least 1.")
    return Logistic(config)
