"""Cross-validation and the choice of hidden layers: all folds and all restarts of a shape train as one batch of networks.

Each fold is tested on its own rows, stops early on those of the next fold, and learns from the rest, so that no test row
has a say in when training ends or which restart is taken. Rows are left out by a weight of 0, which keeps the inputs, and
whatever is computed from them alone, common to all networks.

Shapes: n rows, d inputs, m outputs, F folds, S restarts; R = F S networks, the restarts of a fold adjacent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from marketnn.errors import InputError
from marketnn.network import BPNetwork
from marketnn.optim.checks import check_tensors, check_whole
from marketnn.optim.paths.dense import Dense
from marketnn.optim.problem import fitting_problem, mean_squared_error
from marketnn.optim.train import train
from marketnn.seed import torch_generator


@dataclass(frozen=True)
class CrossValidation:
    """How well a kind of network predicts rows that it has not seen.

    Attributes:
        test_mse: of every fold's chosen restart on the fold's own rows, F numbers.
        all_test_mse: of every restart, F lists of S; the chosen one is not always the best of these.
        chosen: number of every fold's restart with the lowest validation loss.
        best_epochs: epoch of its weights.
        stop_reasons: why its training ended.
        seconds: of the training of all of them together.
    """

    test_mse: tuple[float, ...]
    all_test_mse: tuple[tuple[float, ...], ...]
    chosen: tuple[int, ...]
    best_epochs: tuple[int, ...]
    stop_reasons: tuple[str, ...]
    seconds: float

    @property
    def mean(self) -> float:
        """The mean of the folds' test MSE."""
        return math.fsum(self.test_mse) / len(self.test_mse)

    @property
    def standard_error(self) -> float:
        """The standard error of that mean; the folds share training rows, so it is somewhat too small."""
        deviations = math.fsum((mse - self.mean) ** 2 for mse in self.test_mse)
        return math.sqrt(deviations / (len(self.test_mse) - 1) / len(self.test_mse))


@dataclass(frozen=True)
class HiddenSizeSearch:
    """Hidden layers compared by cross-validation.

    Attributes:
        candidates: the hidden layers' widths, as given.
        n_parameters: parameters of such a network.
        results: the candidates' cross-validations on the same folds.
        best: the candidate with the lowest mean test MSE.
        chosen: the one with the fewest parameters within a standard error of the best.
    """

    candidates: tuple[tuple[int, ...], ...]
    n_parameters: tuple[int, ...]
    results: tuple[CrossValidation, ...]
    best: tuple[int, ...]
    chosen: tuple[int, ...]


def cross_validate(
    network: Callable[..., nn.Module],
    x: Tensor,
    y: Tensor,
    *,
    folds: int = 5,
    restarts: int = 3,
    seed: int = 0,
    **options: Any,
) -> CrossValidation:
    """Train ``folds`` times ``restarts`` networks together and test each fold.

    Args:
        network: ``network(n_in, n_out, members=, seed=, dtype=, device=)``, as ``network.bp.build`` returns it.
        x: (n, d).
        y: (n, m).
        folds: F, at least 3.
        restarts: S, each from other first weights.
        seed: of the folds and the first weights.
        options: of ``train``, such as ``optimizer`` and ``max_epochs``; not ``weight`` and ``validation``, which make the folds.

    Raises:
        InputError: data that are no tensors, fewer than 3 folds, fewer rows than folds, no restart, an option that is
            taken, an optimiser that cannot train members.
    """
    check_tensors(x=x, y=y)
    check_whole(3, folds=folds)
    check_whole(1, restarts=restarts)
    for taken in ("weight", "validation"):
        if taken in options:
            raise InputError(f"{taken} cannot be passed: the folds are made by it; leave it out.")
    if len(x) < folds:
        raise InputError(f"{len(x)} rows make no {folds} folds; pass fewer folds.")
    fold_of_row = _folds(len(x), folds, seed).to(x.device)
    masks = torch.stack([fold_of_row == fold for fold in range(folds)]).to(x.dtype)
    test = masks.repeat_interleave(restarts, 0)
    validation = masks.roll(-1, 0).repeat_interleave(restarts, 0)
    members = network(x.shape[-1], y.shape[-1], members=folds * restarts, seed=seed, dtype=x.dtype, device=x.device)
    result = train(members, x, y, weight=1 - test - validation, validation=(x, y, validation), **options)
    with torch.no_grad():
        losses = {
            name: mean_squared_error(fitting_problem(members, x, y, mask, frozen=True)).reshape(folds, restarts)
            for name, mask in (("test", test), ("validation", validation))
        }
    chosen = losses["validation"].argmin(1).tolist()
    test_mse = losses["test"].tolist()
    places = [fold * restarts + restart for fold, restart in enumerate(chosen)]
    return CrossValidation(
        test_mse=tuple(row[restart] for row, restart in zip(test_mse, chosen, strict=True)),
        all_test_mse=tuple(map(tuple, test_mse)),
        chosen=tuple(chosen),
        best_epochs=tuple(result.best_epoch[place] for place in places),  # type: ignore[index]
        stop_reasons=tuple(result.stop_reason[place] for place in places),
        seconds=result.history["seconds"][-1],
    )


def search_hidden_sizes(
    candidates: Iterable[Sequence[int]],
    x: Tensor,
    y: Tensor,
    *,
    hidden: str = "sigmoid",
    output: str = "sigmoid",
    init: str = "nguyen_widrow",
    on_result: Callable[[tuple[int, ...], CrossValidation], None] | None = None,
    **options: Any,
) -> HiddenSizeSearch:
    """Compare hidden layers by ``cross_validate`` on the same folds.

    Args:
        candidates: widths of the hidden layers, such as ``[(4,), (8,), (8, 4)]``.
        x: (n, d).
        y: (n, m).
        hidden, output, init: of ``BPNetwork``.
        on_result: called with every candidate's result, to show progress.
        options: of ``cross_validate``.

    Raises:
        InputError: no candidate, or what ``cross_validate`` refuses.
    """
    check_tensors(x=x, y=y)
    widths = tuple(tuple(candidate) for candidate in candidates)
    if not widths:
        raise InputError("there is no candidate; pass the widths of hidden layers, such as [(4,), (8,)].")
    results = []
    for width in widths:

        def network(n_in: int, n_out: int, width: tuple[int, ...] = width, **given: Any) -> BPNetwork:
            return BPNetwork((n_in, *width, n_out), hidden=hidden, output=output, init=init, **given)

        results.append(cross_validate(network, x, y, **options))
        if on_result is not None:
            on_result(width, results[-1])
    shapes = [Dense((x.shape[-1], *width, y.shape[-1]), hidden, output) for width in widths]
    n_parameters = tuple(shape.n_parameters for shape in shapes)
    best = min(range(len(widths)), key=lambda place: results[place].mean)
    limit = results[best].mean + results[best].standard_error
    within = [place for place in range(len(widths)) if results[place].mean <= limit]
    chosen = min(within, key=lambda place: (n_parameters[place], results[place].mean))
    return HiddenSizeSearch(widths, n_parameters, tuple(results), widths[best], widths[chosen])


def _folds(n: int, folds: int, seed: int) -> Tensor:
    """Deal the rows (n,) out to folds of equal size, by chance."""
    order = torch.randperm(n, generator=torch_generator(seed))
    return torch.empty(n, dtype=torch.int64).index_copy_(0, order, torch.arange(n) % folds)
