"""The network of a scorecard: several restarts trained side by side, the one with the best validation loss kept.

Shapes: n rows, d inputs, R restarts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from marketnn.network import BPNetwork
from marketnn.optim import gauss_newton_system, train
from marketnn.optim.checkpoints import Checkpoints, keeping

Data = tuple[Tensor, Tensor]

MAX_SPECTRUM = 3000  # parameters; the eigenvalues of a larger J^T J cost more than the training
_RESTART_COLUMNS = ("restart", "validation_mse", "best_epoch", "stop_reason")


@dataclass(frozen=True)
class Fit:
    """A trained network and how it came about.

    Attributes:
        network: the best restart, a single network.
        first_weights: parameter name -> its value before training.
        history: ``train``'s curves of that restart, as far as it was trained; one entry per epoch.
        best_epoch: the epoch whose weights the network holds.
        stop_reason: why that restart ended.
        path: how Levenberg-Marquardt computed its steps; ``None`` for other optimisers.
        restarts: a row per restart: its validation MSE (scaled scores), best epoch and stop reason.
    """

    network: BPNetwork
    first_weights: dict[str, Tensor]
    history: dict[str, list[float]]
    best_epoch: int
    stop_reason: str
    path: str | None
    restarts: pd.DataFrame


def fit_network(
    build: Callable[..., BPNetwork],
    optimizer: Callable[[nn.Module], Any],
    data: Data,
    validation: Data,
    *,
    members: int | None,
    seed: int,
    max_epochs: int,
    max_fail: int,
    checkpoints: Checkpoints | None = None,
) -> Fit:
    """Train restarts with early stopping and keep the best.

    Args:
        build: ``build(n_in, n_out, members=..., seed=..., device=...)`` makes the networks; restart r starts with the
            weights of a single network seeded ``seed + r``.
        optimizer: from a module to its stepper.
        data: x (n, d) and y (n, 1) to fit.
        validation: x and y of other rows, which choose the epoch and the restart.
        members: R, or ``None`` for one network on its own.
        seed: of the first weights.
        max_epochs, max_fail: as in ``train``.
        checkpoints: where the training is kept, to go on when it was stopped; ``None`` keeps nothing.

    Raises:
        InputError: as ``train``.
    """
    x, y = data
    networks = build(x.shape[-1], y.shape[-1], members=members, seed=seed, device=x.device)
    result = train(
        networks,
        x,
        y,
        optimizer=optimizer,
        max_epochs=max_epochs,
        validation=validation,
        max_fail=max_fail,
        **keeping(checkpoints, networks, x, y, *validation),
    )
    with torch.no_grad():
        losses = (networks(validation[0]) - validation[1]).square().mean((-2, -1)).reshape(-1).tolist()
    reasons = [result.stop_reason] if isinstance(result.stop_reason, str) else result.stop_reason
    epochs = [result.best_epoch] if isinstance(result.best_epoch, int) else result.best_epoch
    best = min(range(len(losses)), key=losses.__getitem__)

    network = build(x.shape[-1], y.shape[-1], seed=seed + best, device=x.device)
    first_weights = {name: values.detach().clone() for name, values in network.named_parameters()}
    trained = networks.state_dict()
    network.load_state_dict({name: trained[name] if members is None else trained[name][best] for name in trained})
    history = {name: [_of_member(entry, best) for entry in entries] for name, entries in result.history.items()}
    n_epochs = max(_epochs_trained(history["loss"]), epochs[best])
    rows = zip(range(1, len(losses) + 1), losses, epochs, reasons, strict=True)
    return Fit(
        network=network,
        first_weights=first_weights,
        history={name: entries[:n_epochs] for name, entries in history.items()},
        best_epoch=epochs[best],
        stop_reason=reasons[best],
        path=result.path,
        restarts=pd.DataFrame(list(rows), columns=list(_RESTART_COLUMNS)),
    )


def singular_values(network: BPNetwork, x: Tensor, y: Tensor) -> np.ndarray:
    """Return the singular values (P,) of J, the Jacobian of the residuals (paper A, eq. 2.7), largest first.

    They are the roots of the eigenvalues of J^T J, so that those below 1.5e-8 of the largest are rounding and shown as that.
    """
    jtj, _, _ = gauss_newton_system(network, x, y)
    squared = torch.linalg.eigvalsh(jtj).flip(0)
    return squared.clamp(min=torch.finfo(squared.dtype).eps * squared[0]).sqrt().cpu().numpy()


def _of_member(entry: Any, place: int) -> float:
    return entry[place] if isinstance(entry, list) else entry


def _epochs_trained(losses: list[float]) -> int:
    """Count the epochs up to the last that changed the loss: a restart that has ended waits for the others."""
    n_epochs = len(losses)
    while n_epochs > 1 and losses[n_epochs - 1] == losses[n_epochs - 2]:
        n_epochs -= 1
    return n_epochs
