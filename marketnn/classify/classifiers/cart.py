"""CART: one decision tree, grown large and pruned back to the size that predicts best (paper A, table 4.4).

Shapes: n rows, d features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.tree import DecisionTreeClassifier

from marketnn.classify.classifiers.classifier import Classifier, Tensors, Work
from marketnn.classify.classifiers.pruning import collapse_prices, standing
from marketnn.classify.classifiers.rows import MIN_CLASS_ROWS, LabelledRows
from marketnn.classify.classifiers.trees import Trees, from_sklearn, from_tensors, mean_probability
from marketnn.errors import InputError


@dataclass(frozen=True)
class Config:
    """A pruned tree.

    Attributes:
        min_samples_leaf: rows of a leaf at least.
        folds: of the cross-validation on the training rows that chooses the pruning.
        candidates: prices per leaf to compare, spread over those at which the tree changes.
    """

    min_samples_leaf: int = 20
    folds: int = 5
    candidates: int = 40


class CART(Classifier[Config]):
    """A tree by Gini impurity with cost-complexity pruning; ``importance`` is the share of the impurity it removes.

    Attributes:
        price: what the pruning asks each leaf to be worth (scikit-learn's ``ccp_alpha``), chosen by cross-validated AUC.
    """

    name = "cart"
    price: float
    _trees: Trees
    _removed_d: torch.Tensor

    def _learn(self, rows: LabelledRows, validation: LabelledRows | None, work: Work) -> None:
        candidates = self._candidates(self._grow(rows, work.seed))
        scores = np.zeros(len(candidates))
        folds = StratifiedKFold(self.config.folds, shuffle=True, random_state=work.seed)
        for done, (learn, test) in enumerate(folds.split(rows.x, rows.y), 1):
            scores += _pruned_auc(self._grow(rows.at(learn), work.seed), rows.at(test), candidates)
            if work.progress:
                work.progress("cart", done, self.config.folds)
        # Among equals the largest price: the smallest tree.
        self.price = float(candidates[len(scores) - 1 - int(scores[::-1].argmax())])
        chosen = self._grow(rows, work.seed, ccp_alpha=self.price)
        self._trees = from_sklearn([chosen])
        self._removed_d = torch.from_numpy(chosen.feature_importances_)

    def _candidates(self, grown: DecisionTreeClassifier) -> np.ndarray:
        """Return prices (at most ``candidates``) at which the tree differs, ascending, 0 first."""
        price = _collapse_prices(grown)
        changes = np.unique(np.append(price[np.isfinite(price)], 0.0))
        # From one change to the next the tree is the same; the geometric mean stands for all prices between.
        between = np.sqrt(changes[:-1] * changes[1:]) if len(changes) > 1 else changes
        spread = np.linspace(0, len(between) - 1, min(self.config.candidates, len(between))).astype(int)
        return between[spread]

    def _grow(self, rows: LabelledRows, seed: int, **options: float) -> DecisionTreeClassifier:
        tree = DecisionTreeClassifier(min_samples_leaf=self.config.min_samples_leaf, random_state=seed, **options)
        return tree.fit(rows.x, rows.y)

    def _probability(self, x_nd: np.ndarray) -> np.ndarray:
        return mean_probability(self._trees, torch.from_numpy(x_nd)).numpy()

    def _effects(self) -> np.ndarray:
        return self._removed_d.numpy()

    def _state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        return {"price": self.price}, {**self._trees.tensors(), "removed": self._removed_d}

    def _restore(self, facts: Mapping[str, Any], tensors: Tensors) -> None:
        self.price = float(facts["price"])
        self._trees = from_tensors(tensors, len(facts["columns"]))
        self._removed_d = tensors["removed"]


def build(config: Config) -> CART:
    """Return the classifier that a configuration describes.

    Raises:
        InputError: a number out of range.
    """
    for key, least in {"min_samples_leaf": 1, "folds": 2, "candidates": 1}.items():
        if getattr(config, key) < least:
            raise InputError(f"{key}={getattr(config, key)} is not possible; pass at least {least}.")
    if config.folds > MIN_CLASS_ROWS:
        raise InputError(
            f"folds={config.folds} is not possible; pass at most {MIN_CLASS_ROWS}, a rare class's least rows."
        )
    return CART(config)


def _collapse_prices(grown: DecisionTreeClassifier) -> np.ndarray:
    tree = grown.tree_
    share = tree.weighted_n_node_samples / tree.weighted_n_node_samples[0]
    return collapse_prices(tree.children_left, tree.children_right, share * tree.impurity)


def _pruned_auc(grown: DecisionTreeClassifier, test: LabelledRows, prices: np.ndarray) -> np.ndarray:
    """Return the AUC on other rows of a tree pruned at each of the prices."""
    tree = grown.tree_
    price = _collapse_prices(grown)
    probability = tree.value[:, 0, 1]
    leaf_n = grown.apply(test.x)
    answers = (standing(tree.children_left, tree.children_right, price, at) for at in prices)
    return np.array([roc_auc_score(test.y, probability[answer[leaf_n]]) for answer in answers])
