"""Minimal cost-complexity pruning: for every node of a tree the price per leaf at which it becomes a leaf itself.

A subtree is worth its leaves as long as it lowers the risk by more than ``price`` for each leaf beyond the first; the weakest
goes first (Breiman, Friedman, Olshen and Stone, *Classification and Regression Trees*, 1984, section 3.3). One pass gives
the whole nested sequence, where refitting gives one price at a time.

Shapes: N nodes, children after their parents.
"""

from __future__ import annotations

import numpy as np


def collapse_prices(left: np.ndarray, right: np.ndarray, risk: np.ndarray) -> np.ndarray:
    """Return the price (N,) at which each node is cut to a leaf; infinite where it is one, or an ancestor is cut before.

    Args:
        left, right: (N,) children, in a leaf -1.
        risk: (N,) the node's share of the rows times its impurity.
    """
    n_nodes = len(left)
    inner = left >= 0
    parent = np.full(n_nodes, -1)
    parent[left[inner]] = parent[right[inner]] = np.flatnonzero(inner)
    leaf_risk, n_leaves = np.where(inner, 0.0, risk), np.where(inner, 0, 1)
    for node in range(n_nodes - 1, 0, -1):
        leaf_risk[parent[node]] += leaf_risk[node]
        n_leaves[parent[node]] += n_leaves[node]
    price = np.full(n_nodes, np.inf)
    weakness = np.full(n_nodes, np.inf)
    weakness[inner] = (risk[inner] - leaf_risk[inner]) / (n_leaves[inner] - 1)
    now = 0.0
    while np.isfinite(weakness).any():
        cut = int(weakness.argmin())
        now = max(now, float(weakness[cut]))
        price[cut] = now
        beneath = [cut]
        while beneath:
            node = beneath.pop()
            weakness[node] = np.inf
            if left[node] >= 0:
                beneath += [left[node], right[node]]
        lost_risk, lost_leaves = risk[cut] - leaf_risk[cut], n_leaves[cut] - 1
        above = cut
        while above >= 0:
            leaf_risk[above] += lost_risk
            n_leaves[above] -= lost_leaves
            if above != cut:
                weakness[above] = (risk[above] - leaf_risk[above]) / (n_leaves[above] - 1)
            above = parent[above]
    return price


def standing(left: np.ndarray, right: np.ndarray, price: np.ndarray, at: float) -> np.ndarray:
    """Return for each node (N,) the node that answers for it once all cuts up to the price ``at`` are made.

    That is the highest cut ancestor, or the node itself.
    """
    answers = np.arange(len(left))
    level = np.zeros(1, dtype=int)
    while level.size:
        level = level[left[level] >= 0]
        is_cut = (price[level] <= at) | (answers[level] != level)
        for child in (left[level], right[level]):
            answers[child] = np.where(is_cut, answers[level], child)
        level = np.concatenate([left[level], right[level]])
    return answers
