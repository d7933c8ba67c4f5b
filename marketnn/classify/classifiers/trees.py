"""Decision trees as arrays: their probabilities, and the form in which they are kept.

The arrays are those of scikit-learn's fitted trees, one tree after the other, so that a saved model needs neither pickle nor
scikit-learn to predict.

Shapes: n rows, d features, T trees, N nodes of all trees together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from sklearn.tree import DecisionTreeClassifier
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Trees:
    """T trees.

    Attributes:
        feature: (N,) the feature that a node asks for, 0 in a leaf.
        threshold: (N,) rows with at most this value go left.
        left, right: (N,) the next node, in a leaf the leaf itself.
        probability: (N,) share of class 1 among the node's training rows.
        root: (T,) each tree's first node.
        depth: (T,) questions on a tree's longest way.
    """

    feature: Tensor
    threshold: Tensor
    left: Tensor
    right: Tensor
    probability: Tensor
    root: Tensor
    depth: Tensor

    def tensors(self) -> dict[str, Tensor]:
        """Return the arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def from_sklearn(estimators: Sequence[DecisionTreeClassifier]) -> Trees:
    """Copy fitted trees of the classes 0 and 1."""
    parts: dict[str, list[np.ndarray]] = {field.name: [] for field in fields(Trees)}
    first = 0
    for estimator in estimators:
        tree = estimator.tree_
        own = np.arange(tree.node_count)
        is_leaf = tree.children_left < 0
        value = tree.value[:, 0, :]
        parts["feature"].append(np.where(is_leaf, 0, tree.feature))
        parts["threshold"].append(tree.threshold)
        parts["left"].append(first + np.where(is_leaf, own, tree.children_left))
        parts["right"].append(first + np.where(is_leaf, own, tree.children_right))
        parts["probability"].append(value[:, 1] / value.sum(1))
        parts["root"].append(np.array([first]))
        parts["depth"].append(np.array([tree.max_depth]))
        first += tree.node_count
    return Trees(**{name: torch.from_numpy(np.concatenate(arrays)) for name, arrays in parts.items()})


def from_tensors(tensors: Mapping[str, Tensor], n_features: int) -> Trees:
    """Take arrays from a file.

    Raises:
        KeyError: an array is not there.
        ValueError: they are no trees of ``n_features`` features.
    """
    trees = Trees(**{field.name: tensors[field.name] for field in fields(Trees)})
    n_nodes = len(trees.feature)
    per_node = (trees.threshold, trees.left, trees.right, trees.probability)
    limits = ((trees.feature, n_features), (trees.left, n_nodes), (trees.right, n_nodes), (trees.root, n_nodes))
    if (
        any(tensor.shape != (n_nodes,) for tensor in per_node)
        or any(tensor.dtype != torch.int64 or tensor.min() < 0 or tensor.max() >= limit for tensor, limit in limits)
        or trees.depth.shape != trees.root.shape
        or trees.depth.max() > n_nodes
    ):
        raise ValueError("the arrays of its trees do not fit together")
    return trees


def mean_probability(trees: Trees, x_nd: Tensor) -> Tensor:
    """Return the mean over the trees of the leaves' probabilities, (n,)."""
    # scikit-learn compares a feature's single-precision value with a double-precision threshold.
    flat = x_nd.to(torch.float32).t().reshape(-1)
    total_n = torch.zeros(len(x_nd), dtype=torch.float64)
    for tree in range(len(trees.root)):
        total_n += trees.probability[_descend(trees, flat, len(x_nd), tree)]
    return total_n / len(trees.root)


def _descend(trees: Trees, flat: Tensor, n_rows: int, tree: int) -> Tensor:
    """Walk rows, given by feature after feature, from a root to their leaves."""
    row_n = torch.arange(n_rows)
    node_n = trees.root[tree].expand(n_rows)
    for _ in range(int(trees.depth[tree])):
        value_n = flat[trees.feature[node_n] * n_rows + row_n]
        node_n = torch.where(value_n <= trees.threshold[node_n], trees.left[node_n], trees.right[node_n])
    return node_n
