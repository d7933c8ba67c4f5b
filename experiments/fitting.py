"""The regression problems on which the claims about LMBP are judged, split and scaled as its network needs them.

Shapes: n rows, d inputs, R networks side by side.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from marketnn import registry
from marketnn.data import Table
from marketnn.data.index_scores import draw_index_scores
from marketnn.preprocess import MinMaxScaler
from marketnn.seed import numpy_generator

FURTHER = {"hospital": ("hospital_scorecard.csv", "stars"), "energy": ("uci_energy.csv", "y")}
MARGIN = 0.1


@dataclass(frozen=True)
class Problem:
    """Inputs and a number to predict.

    Attributes:
        name: for tables.
        x: (n, d).
        y: (n,), what is measured.
        truth: (n,), what is meant: ``y`` without noise where that is known.
        about: a sentence.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    truth: np.ndarray
    about: str


@dataclass(frozen=True)
class Part:
    """Rows of a problem as the network sees them.

    Attributes:
        x: (n, d) scaled by the training rows (paper A, eq. 2.8).
        y: (n, 1) scaled alike, with room at both ends.
        truth: (n, 1) ``y`` without noise, in the same scale.
    """

    x: Tensor
    y: Tensor
    truth: Tensor

    def rows(self, chosen: Tensor) -> Part:
        """Return some of the rows; an index (R, n) makes the rows of R networks."""
        return Part(self.x[chosen], self.y[chosen], self.truth[chosen])


@dataclass(frozen=True)
class Prepared:
    """A problem ready for training.

    Attributes:
        name: of the problem.
        train, validation, test: its rows; ``validation`` may have none.
        unit: how much of the problem's ``y`` one unit of the scaled one is.
    """

    name: str
    train: Part
    validation: Part
    test: Part
    unit: float


def load_problems(n_scorecard: int, seed: int) -> tuple[list[Problem], str]:
    """Return the problems at hand, and a sentence on those that are not.

    Two come along: packaged concrete, and made-up scorecards. Two more need the folder that ``MARKETNN_DATA`` names.
    """
    sample = draw_index_scores(n_scorecard, seed=seed)
    about = f"{n_scorecard:,} made-up scorecards, best possible R² {sample.ceiling:.3f}"
    table = registry.build("data", {"name": "packaged", "table": "concrete"})
    problems = [
        Problem("scorecard", sample.indices.to_numpy(), sample.score, sample.truth, about),
        _measured("concrete", table, "1,030 mixtures of concrete"),
    ]
    folder = os.environ.get("MARKETNN_DATA")
    if not folder:
        return problems, "MARKETNN_DATA names no folder, so hospital ratings and energy use are left out."
    for name, (file, target) in FURTHER.items():
        settings = {"name": "csv", "path": str(Path(folder) / file), "target": target}
        problems.append(_measured(name, registry.build("data", settings), file))
    return problems, "Hospital ratings and energy use come from the folder that MARKETNN_DATA names."


def prepare(problem: Problem, seed: int, shares: Sequence[float] = (0.64, 0.16)) -> Prepared:
    """Split a problem at random and scale it by its training rows.

    Args:
        problem: to be split.
        seed: of the shuffle.
        shares: of training and validation rows; the rest tests.
    """
    order = numpy_generator(seed).permutation(len(problem.y))
    ends = np.cumsum([round(share * len(order)) for share in shares])
    train, validation, test = np.split(order, ends)
    x_scaler = MinMaxScaler().fit(problem.x[train])
    low, high = problem.y[train].min(), problem.y[train].max()
    room = MARGIN * (high - low)
    y_scaler = MinMaxScaler().fit(np.array([[low - room], [high + room]]))

    every = Part(
        torch.from_numpy(x_scaler.transform(problem.x)),
        *(torch.from_numpy(y_scaler.transform(column[:, None])) for column in (problem.y, problem.truth)),
    )
    learning, stopping, testing = (every.rows(torch.from_numpy(rows)) for rows in (train, validation, test))
    return Prepared(problem.name, learning, stopping, testing, unit=float(high - low + 2 * room))


def linear_prediction(train: Part, x: Tensor) -> Tensor:
    """Predict (n, 1), or (R, n, 1) for the rows of R fits, by least squares with an intercept."""

    def with_one(inputs: Tensor) -> Tensor:
        return torch.cat([inputs, torch.ones_like(inputs[..., :1])], dim=-1)

    # The minimum-norm solution: with fewer rows than inputs there are many.
    return with_one(x) @ (torch.linalg.pinv(with_one(train.x)) @ train.y)


def _measured(name: str, table: Table, about: str) -> Problem:
    ready = table.ready()
    score = ready.numeric_target()
    return Problem(name, ready.features.to_numpy(dtype=float), score, score, about)
