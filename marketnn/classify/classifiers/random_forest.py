"""Random forest: the mean of trees grown on bootstrap samples and random features (paper A, table 4.4).

Shapes: n rows, d features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.ensemble import RandomForestClassifier

from marketnn.classify.classifiers.classifier import Classifier, Tensors, Work
from marketnn.classify.classifiers.rows import LabelledRows
from marketnn.classify.classifiers.trees import Trees, from_sklearn, from_tensors, mean_probability
from marketnn.errors import InputError


@dataclass(frozen=True)
class Config:
    """A forest.

    Attributes:
        trees: how many.
        min_samples_leaf: rows of a leaf at least.
        max_features: share of the features that each split may choose from; ``null`` is the root of their number.
        max_rows: rows that each tree draws at most, which bounds the time and the size of large tables' forests.
    """

    trees: int = 200
    min_samples_leaf: int = 10
    max_features: float | None = None
    max_rows: int = 50_000


class RandomForest(Classifier[Config]):
    """A forest by Gini impurity; ``importance`` is the share of the impurity that each feature removes."""

    name = "random_forest"
    _trees: Trees
    _removed_d: torch.Tensor

    def _learn(self, rows: LabelledRows, validation: LabelledRows | None, work: Work) -> None:
        forest = RandomForestClassifier(
            self.config.trees,
            min_samples_leaf=self.config.min_samples_leaf,
            max_features=self.config.max_features or "sqrt",
            max_samples=min(self.config.max_rows, len(rows.y)),
            n_jobs=torch.get_num_threads(),
            random_state=work.seed,
        )
        forest.fit(rows.x, rows.y)
        if work.progress:
            work.progress("random_forest", self.config.trees, self.config.trees)
        self._trees = from_sklearn(forest.estimators_)
        self._removed_d = torch.from_numpy(forest.feature_importances_)

    def _probability(self, x_nd: np.ndarray) -> np.ndarray:
        return mean_probability(self._trees, torch.from_numpy(x_nd)).numpy()

    def _effects(self) -> np.ndarray:
        return self._removed_d.numpy()

    def _state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        return {}, {**self._trees.tensors(), "removed": self._removed_d}

    def _restore(self, facts: Mapping[str, Any], tensors: Tensors) -> None:
        self._trees = from_tensors(tensors, len(facts["columns"]))
        self._removed_d = tensors["removed"]


def build(config: Config) -> RandomForest:
    """Return the classifier that a configuration describes.

    Raises:
        InputError: a number out of range.
    """
    for key in ("trees", "min_samples_leaf", "max_rows"):
        if getattr(config, key) < 1:
            raise InputError(f"{key}={getattr(config, key)} is not possible; pass at least 1.")
    if config.max_features is not None and not 0 < config.max_features <= 1:
        raise InputError(f"max_features={config.max_features:g} is not possible; pass a share above 0, at most 1.")
    return RandomForest(config)
