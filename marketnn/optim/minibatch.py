"""Mini-batch Levenberg-Marquardt in the dual form, for networks with many parameters on many rows.

A batch's step is ``J^T (J J^T + mu I)^-1 e``, with e = y - yhat and J = dyhat/dw: one factorisation of the batch's size,
however many parameters there are. The direction v remembers earlier batches through the residual,

    v <- beta v + J^T (J J^T + mu I)^-1 (e - beta J v),        w <- w + rate v,

so that what v already explains is not solved for again (SPRING: Goldshlager, Abrahamsen and Lin, A Kaczmarz-inspired
approach to accelerate the optimization of neural network wavefunctions, Journal of Computational Physics 516, 2024). mu is
relative to the mean of the diagonal of J J^T, and the rate falls to 0 over the second half of the training. A step is taken
only when it lowers the sum of squares of its own batch; the linearisation predicts that sum for nothing, so that a gain
ratio costs one forward pass.

Shapes: n rows, m outputs, q = m n of a batch, P parameters of one network, R networks (1 for a module without members);
reports are () or (R,).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from marketnn.errors import InputError
from marketnn.optim.paths import autodiff_gram
from marketnn.optim.paths import gram as dense_gram
from marketnn.optim.paths.dense import dense_shape, module_order
from marketnn.optim.paths.gram import DualSystem
from marketnn.optim.problem import (
    Problem,
    fitting_problem,
    flat_parameters,
    load_parameters,
    member_count,
    not_finite,
    sum_of_squares,
)
from marketnn.seed import torch_generator

_LARGEST = 1e6  # relative damping beyond which a step is the gradient's, whatever it is
_GROWTH = 4.0  # of the damping after a batch that was far from linear along its step,
_SHRINK = 1.02  # taken back by 70 that were near: a network that once left its linear region soon does so again


@dataclass(frozen=True)
class EpochReport:
    """What one epoch did; tensors () or (R,).

    Attributes:
        loss: MSE of all rows before the epoch.
        new_loss: MSE of all rows after it; ``loss`` when the epoch was taken back.
        damping: relative damping after the epoch.
        gain_ratio: actual over predicted decrease of a batch's sum of squares, the mean over the batches.
        accepted: ``False`` where the epoch was taken back because it ended in a loss that is not finite, and for members
            that were not active.
        gradient_norm: Euclidean norm of the gradient of the batches' losses, its root mean square over the batches; with
            a single batch that of the gradient of ``loss``.
    """

    loss: Tensor
    new_loss: Tensor
    damping: Tensor
    gain_ratio: Tensor
    accepted: Tensor
    gradient_norm: Tensor


@dataclass(frozen=True)
class _Epoch:
    """Where the batches of an epoch lead: parameters and direction (R, P), and what the report says of them (R,)."""

    w: Tensor
    v: Tensor
    damping: Tensor
    gain_ratio: Tensor
    gradient_norm: Tensor


@dataclass(frozen=True)
class _Trial:
    """One batch's step, not yet taken.

    Attributes:
        w: parameters after it, (R, P).
        v: direction after it, (R, P).
        predicted: the batch's sum of squares after it as the linearisation has it, (R,).
        squared_gradient: ``|J^T e|^2`` before it, (R,).
    """

    w: Tensor
    v: Tensor
    predicted: Tensor
    squared_gradient: Tensor


def _try_step(batch: DualSystem, w: Tensor, v: Tensor, damping: Tensor, momentum: float, rate: float) -> _Trial:
    """Compute a batch's step; where the factorisation fails, ``predicted`` is NaN. The batch's Gram matrix is used up."""
    diagonal = batch.gram.diagonal(dim1=-2, dim2=-1)
    tiny = torch.finfo(w.dtype).tiny  # lets rows that depend on no parameter through the factorisation
    mu = (damping * diagonal.mean(-1)).clamp(min=tiny).unsqueeze(-1)
    squared_gradient = (batch.e * torch.matmul(batch.gram, batch.e.unsqueeze(-1)).squeeze(-1)).sum(-1)
    diagonal += mu
    triangle, info = torch.linalg.cholesky_ex(batch.gram)
    remaining = batch.e - momentum * batch.push_forward(v)
    u = torch.cholesky_solve(remaining.unsqueeze(-1), triangle).squeeze(-1)
    v = torch.add(batch.pull_back(u), v, alpha=momentum)
    # The new J v is beta J v + (J J^T) u = e - mu u, by the system that u solves.
    predicted = (batch.e - rate * (batch.e - mu * u)).square().sum(-1)
    return _Trial(torch.add(w, v, alpha=rate), v, torch.where(info == 0, predicted, torch.nan), squared_gradient)


class MiniBatchLM:
    """Levenberg-Marquardt on batches of rows; one ``step`` is one epoch, and needs the memory of one batch.

    The rows are shuffled anew for every epoch and cut into batches of nearly equal size. All members of a module see the
    same batches, so that each trains as it would alone. Smooth targets want the defaults, noisy ones more damping.

    Args:
        module: any module that maps rows independently; every one of its parameters is fitted, and a ``BPNetwork``'s
            Jacobian is never formed. With an attribute ``members`` (R), R networks.
        batch_rows: rows of a batch at most.
        damping: mu relative to the mean of the diagonal of J J^T. It rises where a batch's gain ratio is below 1/4 or a
            factorisation fails, and falls back to this value, never below: the gain ratio of a step on its own batch
            says how linear the network is there, not how well the step serves the other rows.
        momentum: beta.
        rate: the first rate, kept until ``set_progress`` says that half the training is over.
        seed: of the order of the rows.

    Raises:
        InputError: a number out of range.
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        batch_rows: int = 250,
        damping: float = 1e-3,
        momentum: float = 0.9,
        rate: float = 0.3,
        seed: int = 0,
    ) -> None:
        if batch_rows < 1:
            raise InputError(f"batch_rows={batch_rows} is not possible; pass at least 1.")
        if not 0 < damping <= _LARGEST:
            raise InputError(f"damping={damping:g} is not possible; pass a number above 0, at most {_LARGEST:g}.")
        if not 0 <= momentum < 1:
            raise InputError(f"momentum={momentum:g} is not possible; pass at least 0 and below 1.")
        if not 0 < rate <= 1:
            raise InputError(f"rate={rate:g} is not possible; pass a number above 0, at most 1.")
        self.module = module
        self.batch_rows = batch_rows
        self.damping = damping
        self.momentum = momentum
        self.rate = rate
        self._dense = dense_shape(module)
        w = self._read()
        self._v = torch.zeros_like(w)
        self._damping = torch.full_like(w[:, 0], damping)
        self._generator = torch_generator(seed)
        self._progress = self._pace = 0.0

    def set_progress(self, fraction: float) -> None:
        """Say which share of the training, 0 to 1, is over before the next epoch; within it, the last pace goes on.

        Raises:
            InputError: not within 0 and 1.
        """
        if not 0 <= fraction <= 1:
            raise InputError(f"the progress {fraction:g} is not possible; pass a share from 0 to 1.")
        self._pace = max(fraction - self._progress, 0.0)
        self._progress = fraction

    def step(
        self, x: Tensor, y: Tensor, weight: Tensor | None = None, *, active: Tensor | Sequence[bool] | None = None
    ) -> EpochReport:
        """Go through all rows once; the host waits once.

        Args:
            x: (n, d), or with members also (R, n, d).
            y: (n, m), or with members also (R, n, m).
            weight: (n,), or with members also (R, n), not negative, multiplies the squared residuals.
            active: (R,) bool, the members to step; the others keep parameters, momentum and damping.

        Raises:
            InputError: data that do not fit the module, or a loss that is not finite; the parameters are untouched.
        """
        problem = fitting_problem(self.module, x, y, weight)
        if self._dense is not None and problem.n_outputs != self._dense.n_outputs:
            raise InputError(f"the module has {self._dense.n_outputs} outputs, y {problem.n_outputs}; make them alike.")
        order = self._generator.get_state()
        with torch.no_grad():
            before = self._read()
            loss = self._loss(problem, before)
            epoch = self._epoch(problem, before)
            new_loss = self._loss(problem, epoch.w)
            stepped = torch.as_tensor([True] * len(loss) if active is None else active, device=loss.device)
            if not bool((loss.isfinite() | ~stepped).all()):
                self._generator.set_state(order)
                raise not_finite(problem, loss)
            accepted = stepped & new_loss.isfinite()
            self._write(torch.where(accepted.unsqueeze(-1), epoch.w, before))
            self._v = torch.where(accepted.unsqueeze(-1), epoch.v, self._v)
            self._damping = torch.where(accepted, epoch.damping, self._damping)
            new_loss = torch.where(accepted, new_loss, loss)
        columns = (loss, new_loss, self._damping, epoch.gain_ratio, accepted, epoch.gradient_norm)
        return EpochReport(*(self._shaped(column) for column in columns))

    def state_dict(self) -> dict[str, Tensor]:
        """Return what the next epoch depends on besides the module's parameters.

        ``momentum`` is v in their order, (P,) or (R, P); ``damping`` is () or (R,), ``progress`` (2,).
        """
        return {
            "momentum": self._shaped(self._in_module_order(self._v)).clone(),
            "damping": self._shaped(self._damping).clone(),
            "progress": torch.tensor([self._progress, self._pace], dtype=torch.float64),
            "generator": self._generator.get_state(),
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Continue from a state that ``state_dict`` returned.

        Raises:
            InputError: keys or shapes of another optimiser.
        """
        wanted = {name: tuple(value.shape) for name, value in self.state_dict().items()}
        found = {name: tuple(value.shape) for name, value in state.items()}
        if found != wanted:
            raise InputError(f"the state holds {_listed(found) or 'nothing'}; this optimiser needs {_listed(wanted)}.")
        self._v = self._in_own_order(state["momentum"].to(self._v).reshape(self._v.shape))
        self._damping = state["damping"].to(self._damping, copy=True).reshape(self._damping.shape)
        self._progress, self._pace = state["progress"].tolist()
        self._generator.set_state(state["generator"].cpu())

    def _epoch(self, problem: Problem, w: Tensor) -> _Epoch:
        """Go through all batches from parameters w (R, P)."""
        v, damping = self._v, self._damping
        shuffled = torch.randperm(problem.n_rows, generator=self._generator).to(w.device)
        batches = shuffled.tensor_split(-(-problem.n_rows // self.batch_rows))
        gain_ratios, squared_gradients = torch.zeros_like(damping), torch.zeros_like(damping)
        for number, rows in enumerate(batches):
            batch = _select_rows(problem, rows)
            system = self._system(batch, w)
            rate = self.rate * decay(min(self._progress + self._pace * number / len(batches), 1.0))
            trial = _try_step(system, w, v, damping, self.momentum, rate)
            gain_ratio = _gain_ratio(system.e.square().sum(-1), self._sse(batch, trial.w), trial.predicted)
            taken = (gain_ratio > 0).unsqueeze(-1)
            w, v = torch.where(taken, trial.w, w), torch.where(taken, trial.v, self.momentum * v)
            damping = _next_damping(damping, gain_ratio, self.damping)
            gain_ratios += gain_ratio
            squared_gradients += trial.squared_gradient
        gradient_norm = 2 * (len(batches) * squared_gradients.clamp(min=0)).sqrt() / problem.terms
        return _Epoch(w, v, damping, gain_ratios / len(batches), gradient_norm)

    def _system(self, batch: Problem, w: Tensor) -> DualSystem:
        if self._dense is None:
            return autodiff_gram.dual_system(batch, w)
        return dense_gram.dual_system(self._dense, w, batch.x, batch.y, batch.root_weight)

    def _loss(self, problem: Problem, w: Tensor) -> Tensor:
        """Compute the MSE (R,)."""
        return self._sse(problem, w) / problem.terms

    def _sse(self, problem: Problem, w: Tensor) -> Tensor:
        """Compute the sum of squared residuals (R,), a batch's number of rows at a time."""
        if self._dense is None:
            return sum_of_squares(problem, self._shaped(w), self.batch_rows).reshape(len(w))
        chunks = problem.chunks(self.batch_rows)
        return torch.stack([dense_gram.sum_of_squares(self._dense, w, *chunk) for chunk in chunks]).sum(0)

    def _read(self) -> Tensor:
        """Copy the module's parameters into vectors (R, P) of this optimiser's order."""
        w = flat_parameters(self.module)
        return self._in_own_order(w.reshape(member_count(self.module) or 1, -1))

    def _write(self, w: Tensor) -> None:
        load_parameters(self.module, self._shaped(self._in_module_order(w)))

    def _in_module_order(self, w: Tensor) -> Tensor:
        return w if self._dense is None else w.index_select(-1, module_order(self._dense, w.device))

    def _in_own_order(self, w: Tensor) -> Tensor:
        if self._dense is None:
            return w.clone()
        return torch.empty_like(w).index_copy_(-1, module_order(self._dense, w.device), w)

    def _shaped(self, column: Tensor) -> Tensor:
        """Drop the leading R = 1 of a module without members."""
        return column if member_count(self.module) is not None else column[0]


def _gain_ratio(sse: Tensor, new_sse: Tensor, predicted: Tensor) -> Tensor:
    """Divide the actual by the predicted decrease; 1 where both drown in rounding, 0 where one is not finite."""
    info = torch.finfo(sse.dtype)
    rounding = info.eps**0.5 * sse + info.tiny
    ratio = (sse - new_sse + rounding) / (sse - predicted + rounding)
    return torch.where(ratio.isfinite(), ratio, 0)


def _next_damping(damping: Tensor, gain_ratio: Tensor, least: float) -> Tensor:
    """Raise the damping where a batch was far from linear along its step, let it fall back where it was near."""
    fallen = torch.where(gain_ratio > 0.75, damping / _SHRINK, damping)
    return torch.where(gain_ratio < 0.25, damping * _GROWTH, fallen).clamp(least, _LARGEST)


def decay(progress: float) -> float:
    """The share of the rate that is left at a progress of 0 to 1: all for the first half, then half a cosine to 0."""
    return (1 + math.cos(math.pi * max(0.0, 2 * progress - 1))) / 2


def _select_rows(problem: Problem, rows: Tensor) -> Problem:
    """Return the problem of some of the rows, given by their numbers; ``terms`` stays that of all."""
    root = problem.root_weight
    return replace(
        problem,
        x=problem.x.index_select(problem.x_axis, rows),
        y=problem.y.index_select(-2, rows),
        root_weight=None if root is None else root.index_select(-1, rows),
    )


def _listed(shapes: Mapping[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {shape}" for name, shape in shapes.items())
