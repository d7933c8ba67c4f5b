"""Mini-batch Levenberg-Marquardt in the dual form, for networks with many parameters on many rows.

A batch's step is ``J^T (J J^T + mu I)^-1 e``, with e = y - yhat and J = dyhat/dw: one factorisation of the batch's size,
however many parameters there are. The direction v remembers earlier batches through the residual,

    v <- beta v + J^T (J J^T + mu I)^-1 (e - beta J v),        w <- w + rate v,

so that what v already explains is not solved for again (SPRING: Goldshlager, Abrahamsen and Lin, A Kaczmarz-inspired
approach to accelerate the optimization of neural network wavefunctions, Journal of Computational Physics 516, 2024). mu is
relative to the mean of the diagonal of J J^T, and the rate falls to 0 over the second half of the training. A step is taken
only when it does not raise the sum of squares of its own batch, added up in float64; the linearisation predicts that sum
for nothing, so that the decision and the gain ratio cost one forward pass.

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
from marketnn.optim.paths.dense import dense_shape
from marketnn.optim.paths.linearisation import Dual, squared_norm
from marketnn.optim.paths.solver import Settings, build_path
from marketnn.optim.problem import (
    Problem,
    active_members,
    fitting_problem,
    flat_parameters,
    member_count,
    not_finite,
)
from marketnn.seed import torch_generator

_LARGEST = 1e6  # relative damping beyond which a step is the gradient's, whatever it is
_GROWTH = 4.0  # of the damping after a batch that was far from linear along its step,
_SHRINK = 1.02  # taken back by 70 that were near: a network that once left its linear region soon does so again


@dataclass(frozen=True)
class EpochReport:
    """What one epoch did; tensors () or (R,), NaN and ``False`` for members that were not active.

    Attributes:
        loss: MSE of all rows as the epoch met them, each batch's before its step; with a single batch that before the
            epoch.
        new_loss: MSE of all rows after the epoch, before it when it was taken back.
        damping: relative damping after the epoch.
        gain_ratio: actual over predicted decrease of a batch's sum of squares, the mean over the batches.
        accepted: ``False`` where the epoch was taken back because it ended in a loss that is not finite.
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
class _Place:
    """Where networks are between two batches: parameters and direction (R', P), relative damping (R',)."""

    w: Tensor
    v: Tensor
    damping: Tensor


@dataclass(frozen=True)
class _Trial:
    """One batch's step, not yet taken.

    Attributes:
        w: parameters after it, (R', P).
        v: direction after it, (R', P).
        predicted: the batch's sum of squares after it as the linearisation has it, (R',); NaN where that failed.
    """

    w: Tensor
    v: Tensor
    predicted: Tensor


def _try_step(found: Dual, place: _Place, momentum: float, rate: float) -> _Trial:
    """Compute a batch's step."""
    tiny = torch.finfo(place.w.dtype).tiny  # lets rows that depend on no parameter through the factorisation
    mu = (place.damping * found.diagonal.mean(-1)).clamp(min=tiny).unsqueeze(-1)
    u, failed = found.solve(mu, found.e - momentum * found.push_forward(place.v))
    v = torch.add(found.pull_back(u), place.v, alpha=momentum)
    # Along the new direction the outputs change by momentum * (their change along v) + (J J^T) u = e - mu u.
    predicted = squared_norm(found.e - rate * (found.e - mu * u))
    return _Trial(torch.add(place.w, v, alpha=rate), v, torch.where(failed == 0, predicted, torch.nan))


class MiniBatchLM:
    """Levenberg-Marquardt on batches of rows; one ``step`` is one epoch, and needs the memory of one batch.

    The rows are shuffled anew for every epoch and cut into batches of nearly equal size. All members of a module see the
    same batches, so that each trains as it would alone. Smooth targets want the defaults; with noisy ones, such as 0 and 1,
    these overfit within an epoch, and validation rows will choose a damping of 1 to 10.

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
        batch_rows: int = 500,
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
        # A batch is one chunk, so that its sum of squares before and after a step comes from the same arithmetic.
        name = "autodiff_gram" if dense_shape(module) is None else "gram"
        self._path = build_path(name, module, Settings("dual", batch_rows))
        first = flat_parameters(module).reshape(member_count(module) or 1, -1)
        self._v = torch.zeros_like(first)
        self._damping = torch.full_like(first[:, 0], damping)
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
            active: (R,) bool, the members to step; the others keep parameters, momentum and damping and cost nothing.

        Raises:
            InputError: data that do not fit the module, a batch whose J J^T is too large, or a loss that is not finite;
                the parameters are untouched.
        """
        problem = fitting_problem(self.module, x, y, weight)
        order = self._generator.get_state()
        with torch.no_grad():
            everyone = _Place(self._path.read().clone(), self._v, self._damping)
            members = len(everyone.w)
            chosen = active_members(active, members)
            facts = everyone.damping.new_full((4, members), math.nan, dtype=torch.float64)
            accepted = torch.zeros_like(everyone.damping, dtype=torch.bool)
            if chosen:
                numbers = torch.tensor(chosen).to(everyone.w.device)
                start = everyone if len(chosen) == members else _at(everyone, numbers)
                problem = problem if len(chosen) == members else problem.select(numbers)
                end, found = self._epoch(problem, start)
                if not bool(
                    found[:2].isfinite().all()
                ):  # by a step's fault or by the data's: the loss at the start tells
                    found[0] = self._path.sse(problem, start.w) / problem.terms
                    if not bool(found[0].isfinite().all()):
                        self._generator.set_state(order)
                        raise not_finite(problem, found[0])
                taken = found[1].isfinite()
                found[1] = torch.where(taken, found[1], found[0])
                facts.index_copy_(1, numbers, found)
                accepted.index_copy_(0, numbers, taken)
                self._path.write(_moved(everyone.w, end.w, numbers, taken))
                self._v = _moved(everyone.v, end.v, numbers, taken)
                self._damping = _moved(everyone.damping, end.damping, numbers, taken)
        loss, new_loss, gain_ratio, gradient_norm = facts
        columns = (loss, new_loss, self._damping, gain_ratio, accepted, gradient_norm)
        return EpochReport(*(self._shaped(column) for column in columns))

    def state_dict(self) -> dict[str, Tensor]:
        """Return what the next epoch depends on besides the module's parameters.

        ``momentum`` is v in the order of the path's vectors, (P,) or (R, P); ``damping`` is () or (R,), ``progress`` (2,).
        """
        return {
            "momentum": self._shaped(self._v).clone(),
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
        self._v = state["momentum"].to(self._v, copy=True).reshape(self._v.shape)
        self._damping = state["damping"].to(self._damping, copy=True).reshape(self._damping.shape)
        self._progress, self._pace = state["progress"].tolist()
        self._generator.set_state(state["generator"].cpu())

    def _epoch(self, problem: Problem, place: _Place) -> tuple[_Place, Tensor]:
        """Go through all batches.

        Returns:
            Where they lead, and (4, R') loss, new loss, gain ratio and gradient norm as the report names them.
        """
        shuffled = torch.randperm(problem.n_rows, generator=self._generator).to(place.w.device)
        batches = shuffled.tensor_split(-(-problem.n_rows // self.batch_rows))
        met, gain_ratios, squared_gradients = place.damping.new_zeros(3, len(place.w), dtype=torch.float64)
        for number, rows in enumerate(batches):
            batch = _select_rows(problem, rows)
            found = self._path.linearise(batch, place.w)
            assert isinstance(found, Dual)
            rate = self.rate * decay(min(self._progress + self._pace * number / len(batches), 1.0))
            trial = _try_step(found, place, self.momentum, rate)
            new_sse = self._path.sse(batch, trial.w)
            taken = (new_sse <= found.sse) & trial.predicted.isfinite()
            gain_ratio = _gain_ratio(found.sse, new_sse, trial.predicted, torch.finfo(place.w.dtype).eps)
            met += found.sse
            gain_ratios += gain_ratio
            squared_gradients += (found.e * torch.matmul(found.gram, found.e.unsqueeze(-1)).squeeze(-1)).sum(-1)
            place = _Place(
                torch.where(taken.unsqueeze(-1), trial.w, place.w),
                torch.where(taken.unsqueeze(-1), trial.v, self.momentum * place.v),
                _next_damping(place.damping, gain_ratio, self.damping),
            )
        # A single batch is all rows, and its sum is known.
        end = torch.where(taken, new_sse, found.sse) if len(batches) == 1 else self._path.sse(problem, place.w)
        gradient_norm = 2 * (len(batches) * squared_gradients.clamp(min=0)).sqrt() / problem.terms
        return place, torch.stack((met / problem.terms, end / problem.terms, gain_ratios / len(batches), gradient_norm))

    def _shaped(self, column: Tensor) -> Tensor:
        """Drop the leading R = 1 of a module without members."""
        return column if member_count(self.module) is not None else column[0]


def _at(place: _Place, numbers: Tensor) -> _Place:
    """Some of the networks, given by their numbers (R',)."""
    return _Place(*(column.index_select(0, numbers) for column in (place.w, place.v, place.damping)))


def _moved(old: Tensor, new: Tensor, numbers: Tensor, taken: Tensor) -> Tensor:
    """Put new rows (R', ..) for some of the networks into old ones (R, ..) where they are taken (R',)."""
    mask = taken.view(-1, *[1] * (new.dim() - 1))
    return old.index_copy(0, numbers, torch.where(mask, new, old.index_select(0, numbers)))


def _gain_ratio(sse: Tensor, new_sse: Tensor, predicted: Tensor, eps: float) -> Tensor:
    """Divide the actual by the predicted decrease; 1 where both drown in rounding, 0 where one is not finite.

    It moves the damping alone, which asks how linear the networks are along the step: a rise that was predicted says that
    they are.
    """
    rounding = eps**0.5 * sse + torch.finfo(torch.float32).tiny
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
