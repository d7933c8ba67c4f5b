"""The LMBP network as a classifier: sigmoid output, squared error on 0/1, trained by Levenberg-Marquardt (paper A, chapter 2).

The squared error of a probability is the Brier score, whose minimum is the true probability, so the outputs are
probabilities. Several networks from other first weights train as one batch, each keeping the weights that serve the
validation rows best, and their mean predicts. Beyond a few thousand rows the steps are on batches of rows: an epoch costs less
and ranks customers no worse.

Shapes: n rows, d features, R networks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from marketnn import registry
from marketnn.classify.classifiers.classifier import Classifier, Tensors, Work
from marketnn.classify.classifiers.rows import LabelledRows, hold_out
from marketnn.errors import InputError
from marketnn.network import BPNetwork
from marketnn.optim import train
from marketnn.preprocess.scaling import scale
from marketnn.preprocess.standard import mean_and_deviation

_REACH = 3.0  # standard deviations that become the edge of [-1, 1], for which the first weights are made
_JACOBIAN_ROWS = 10_000  # rows of the training set over which the mean of |Jacobian| is taken


@dataclass(frozen=True)
class Config:
    """Networks trained by Levenberg-Marquardt.

    Attributes:
        hidden_sizes: units of each hidden layer.
        hidden: activation of the hidden layers.
        networks: R, side by side.
        max_epochs: epochs at most.
        max_fail: a network stops after so many epochs without a lower validation loss.
        validation_share: share of the training rows that says when to stop.
        full_batch_rows: up to so many rows an epoch is one step on all rows; beyond, steps are on batches.
        batch_rows: rows of such a batch.
        damping: of the steps on batches, relative to J J^T; 0/1 targets are noise for the most part and want a large one.
    """

    hidden_sizes: tuple[int, ...] = (8,)
    hidden: Literal["sigmoid", "tanh"] = "tanh"
    networks: int = 5
    max_epochs: int = 40
    max_fail: int = 6
    validation_share: float = 0.15
    full_batch_rows: int = 5000
    batch_rows: int = 100
    damping: float = 10.0


class LMBP(Classifier[Config]):
    """BP networks by Levenberg-Marquardt; ``importance`` is the share of mean |dp/dx| times the standard deviation."""

    name = "lmbp"
    _mean_d: Tensor
    _deviation_d: Tensor
    _networks: BPNetwork
    _slope_d: Tensor

    def _learn(self, rows: LabelledRows, validation: LabelledRows | None, work: Work) -> None:
        if validation is None:
            rows, validation = hold_out(rows, self.config.validation_share, work.seed)
        x_nd, y_n1 = _on(work.device, rows)
        self._mean_d, self._deviation_d = mean_and_deviation(x_nd)
        stop_x_nd, stop_y_n1 = _on(work.device, validation)
        self._networks = self._build(len(rows.columns), work)
        progress = work.progress
        train(
            self._networks,
            self._inputs(x_nd),
            y_n1,
            optimizer=registry.build("optimizer", self._optimizer(len(x_nd), work.seed)),
            max_epochs=self.config.max_epochs,
            validation=(self._inputs(stop_x_nd), stop_y_n1),
            max_fail=self.config.max_fail,
            on_epoch=(lambda record: progress("lmbp", record["epoch"], self.config.max_epochs)) if progress else None,
        )
        slope_d = mean_slopes(self._networks, self._inputs(x_nd[:_JACOBIAN_ROWS]))
        self._slope_d = torch.where(self._deviation_d > 0, slope_d, 0.0)  # what never varies has no effect

    def _build(self, n_features: int, work: Work) -> BPNetwork:
        return BPNetwork(
            (n_features, *self.config.hidden_sizes, 1),
            hidden=self.config.hidden,
            members=self.config.networks,
            seed=work.seed,
            device=work.device,
        )

    def _optimizer(self, n_rows: int, seed: int) -> dict[str, Any]:
        if n_rows <= self.config.full_batch_rows:
            return {"name": "lm"}
        return {
            "name": "lm_minibatch",
            "batch_rows": self.config.batch_rows,
            "damping": self.config.damping,
            "seed": seed,
        }

    def _inputs(self, x_nd: Tensor) -> Tensor:
        return scale(x_nd, self._mean_d, self._deviation_d) / _REACH

    def _probability(self, x_nd: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            p_rn1 = self._networks(self._inputs(torch.from_numpy(x_nd).to(self._mean_d)))
            return p_rn1.mean(0)[:, 0].cpu().numpy()

    def _effects(self) -> np.ndarray:
        return self._slope_d.cpu().numpy()

    def _state(self) -> tuple[dict[str, Any], dict[str, Tensor]]:
        weights = {f"network.{name}": values for name, values in self._networks.state_dict().items()}
        tensors = {"mean": self._mean_d, "deviation": self._deviation_d, "slope": self._slope_d, **weights}
        return {}, {name: values.detach().cpu().clone() for name, values in tensors.items()}

    def _restore(self, facts: Mapping[str, Any], tensors: Tensors) -> None:
        self._mean_d, self._deviation_d, self._slope_d = (tensors[name] for name in ("mean", "deviation", "slope"))
        self._networks = self._build(len(facts["columns"]), Work(0, self._mean_d.device, None))
        weights = {name.removeprefix("network."): v for name, v in tensors.items() if name.startswith("network.")}
        self._networks.load_state_dict(weights)


def build(config: Config) -> LMBP:
    """Return the classifier that a configuration describes.

    Raises:
        InputError: a number out of range.
    """
    for key in ("networks", "max_epochs", "max_fail", "full_batch_rows", "batch_rows"):
        if getattr(config, key) < 1:
            raise InputError(f"{key}={getattr(config, key)} is not possible; pass at least 1.")
    if not 0 < config.validation_share < 1:
        raise InputError(f"validation_share={config.validation_share:g} must lie between 0 and 1, such as 0.15.")
    return LMBP(config)


def mean_slopes(networks: BPNetwork, z_nd: Tensor) -> Tensor:
    """Return the mean over rows and networks of |dp/dz| (d,)."""
    members_rnd = z_nd.expand(networks.members or 1, *z_nd.shape).detach().clone().requires_grad_()
    # Each row's output depends on its own inputs alone, so the gradient of the sum is every row's own.
    (slope_rnd,) = torch.autograd.grad(networks(members_rnd).sum(), members_rnd)
    return slope_rnd.abs().mean((0, 1))


def _on(device: torch.device, rows: LabelledRows) -> tuple[Tensor, Tensor]:
    """Return features (n, d) and labels (n, 1), float64, on the device."""
    return torch.from_numpy(rows.x).to(device), torch.from_numpy(rows.y).double().unsqueeze(-1).to(device)
