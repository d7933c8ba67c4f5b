"""A learnt score: from rows of numbers to a score in its own unit, and its grade.

Shapes: n rows, d encoded indices.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from marketnn.network import BPNetwork
from marketnn.preprocess import MinMaxScaler
from marketnn.preprocess.scaling import Scaler
from marketnn.scorecard.measures import grades
from marketnn.scorecard.training import Fit, fit_network

Rows = tuple[pd.DataFrame, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class ScoreFunction:
    """From encoded indices to a score and its grade.

    Attributes:
        scaler: of the encoded columns.
        score_scaler: of the score, onto what the network puts out (paper A, eq. 2.8, with room at both ends).
        score_range: the bottom and the top of the scale, between which grades are given.
        thresholds: grade -> the least relative score that earns it.
        network: from scaled columns (n, d) to the scaled score (n, 1).
    """

    scaler: Scaler
    score_scaler: MinMaxScaler
    score_range: tuple[float, float]
    thresholds: Mapping[str, float]
    network: BPNetwork

    @property
    def score_unit(self) -> float:
        """How much score one unit of the network's output is."""
        return self.score_scaler.to_dict()["scale"][0]

    def scaled(self, encoded: pd.DataFrame) -> Tensor:
        """Return encoded rows as the network's input (n, d), on its device."""
        weight = next(self.network.parameters())
        return torch.from_numpy(self.scaler.transform(encoded).to_numpy(copy=True)).to(weight)

    def scaled_score(self, score: np.ndarray) -> Tensor:
        """Return scores (n,) as the network's target (n, 1), on its device."""
        weight = next(self.network.parameters())
        return torch.from_numpy(self.score_scaler.transform(score[:, None])).to(weight)

    def scores(self, encoded: pd.DataFrame) -> np.ndarray:
        """Return the score (n,) of encoded rows, in its own unit."""
        with torch.no_grad():
            output = self.network(self.scaled(encoded)).cpu().numpy()
        return self.score_scaler.inverse_transform(output)[:, 0]

    def grades(self, scores: np.ndarray) -> np.ndarray:
        """Return the grade (n,) of scores (n,)."""
        low, high = self.score_range
        return grades((scores - low) / (high - low), self.thresholds)


def learn_score(
    train: Rows,
    validation: Rows,
    *,
    scaler: Scaler,
    network: Callable[..., BPNetwork],
    optimizer: Callable[[nn.Module], Any],
    score_range: tuple[float, float],
    score_margin: float,
    thresholds: Mapping[str, float],
    device: torch.device,
    **options: Any,
) -> tuple[ScoreFunction, Fit]:
    """Learn a score from rows that have one.

    Args:
        train: encoded rows (n, d) and their scores (n,), which teach the scaler and the network.
        validation: others, which choose the epoch and the restart.
        scaler: of the rows, not fitted yet.
        network, optimizer: as ``fit_network`` takes them.
        score_range: bottom and top of the scale.
        score_margin: as in ``score_scaler``.
        thresholds: grade -> the least relative score that earns it.
        device: where to compute.
        options: ``members``, ``seed``, ``max_epochs``, ``max_fail``, ``checkpoints`` of ``fit_network``.

    Raises:
        InputError: as ``fit_network``.
    """
    scaler.fit(train[0])
    target_scaler = score_scaler(score_range, score_margin)

    def tensors(rows: Rows) -> tuple[Tensor, Tensor]:
        x, y = scaler.transform(rows[0]).to_numpy(copy=True), target_scaler.transform(rows[1][:, None])
        return torch.from_numpy(x).to(device), torch.from_numpy(y).to(device)

    fit = fit_network(network, optimizer, tensors(train), tensors(validation), **options)
    learnt = ScoreFunction(
        scaler=scaler,
        score_scaler=target_scaler,
        score_range=score_range,
        thresholds=thresholds,
        network=fit.network,
    )
    return learnt, fit


def score_scaler(score_range: tuple[float, float], margin: float) -> MinMaxScaler:
    """Return the scaler of a score onto a sigmoid's outputs (paper A, eq. 2.8).

    Args:
        score_range: bottom and top of the scale.
        margin: room below and above it as a share of its width, since a sigmoid never reaches 0 or 1.
    """
    low, high = score_range
    room = margin * (high - low)
    return MinMaxScaler().fit(np.array([[low - room], [high + room]]))
