"""Training: epochs of any optimiser until a named reason to stop, for one network or R members side by side.

Shapes: n rows, d inputs, m outputs, P parameters of one network, R members.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from marketnn import registry
from marketnn.errors import InputError
from marketnn.optim.checks import check_number, check_tensors, check_whole
from marketnn.optim.parquet_rows import ParquetRows
from marketnn.optim.problem import (
    fitting_problem,
    flat_parameters,
    load_parameters,
    mean_squared_error,
    member_count,
    not_finite,
)
from marketnn.optim.processes import Reduce
from marketnn.optim.stopping import StoppingRule

Record = dict[str, Any]
Checkpoint = dict[str, Tensor]
_RECORDED = (
    "loss",
    "validation_loss",
    "gradient_norm",
    "damping",
    "gain_ratio",
    "tries",
    "effective_parameters",
)
_WHOLE = ("epoch", "tries")


class Report(Protocol):
    """What every step reports, tensors () or (R,); some optimisers add damping, gain_ratio and tries."""

    @property
    def loss(self) -> Tensor:
        """MSE before the step."""

    @property
    def new_loss(self) -> Tensor:
        """MSE after it."""

    @property
    def gradient_norm(self) -> Tensor:
        """Euclidean norm of the gradient of ``loss``."""

    @property
    def accepted(self) -> Tensor:
        """Whether the parameters changed."""


class Stepper(Protocol):
    """An optimiser bound to a module.

    ``active`` is passed only once a member has stopped. One with a method ``set_progress(fraction)`` is told before every
    epoch how much of the training is over; one with an attribute ``reduce`` that is not ``None`` shares the fit with other
    processes, whose validation losses it adds up; ``ParquetRows`` need one that is true, ``takes_parquet_rows``; checkpoints
    need ``state_dict`` and ``load_state_dict`` of named tensors.
    """

    def step(
        self, x: Tensor, y: Tensor, weight: Tensor | None = None, *, active: Sequence[bool] | None = None
    ) -> Report:
        """Change the parameters of the active members once, in place."""


@dataclass(frozen=True)
class TrainingResult:
    """How training went.

    Attributes:
        history: name -> one entry per epoch. ``epoch`` (from 1), ``seconds`` since the start, ``loss`` (MSE after the
            epoch), ``validation_loss`` when there is validation, and what the optimiser reports of ``gradient_norm``,
            ``damping``, ``gain_ratio``, ``tries`` and ``effective_parameters``; with members an entry of these is a list
            of R, and a member that has stopped repeats its last values.
        best_epoch: the epoch whose weights the module holds, 0 for the first weights; with members a list of R.
        stop_reason: ``goal``, ``gradient``, ``damping``, ``diverged``, ``validation``, ``loss_change``, ``max_epochs``,
            ``time_limit`` or ``callback``; with members a list of R.
        path: how the steps were computed, as ``LevenbergMarquardt.path`` names it; ``None`` for other optimisers.
    """

    history: dict[str, list[Any]]
    best_epoch: int | list[int]
    stop_reason: str | list[str]
    path: str | None = None


def train(
    module: nn.Module,
    x: Tensor | ParquetRows,
    y: Tensor | None = None,
    *,
    weight: Tensor | None = None,
    optimizer: str | Callable[[nn.Module], Stepper] = "lm",
    max_epochs: int = 1000,
    goal: float | None = None,
    validation: tuple[Tensor, Tensor] | tuple[Tensor, Tensor, Tensor] | None = None,
    max_fail: int = 6,
    time_limit: float | None = None,
    on_epoch: Callable[[Record], bool | None] | None = None,
    on_checkpoint: Callable[[Checkpoint], None] | None = None,
    checkpoint_epochs: int = 1,
    checkpoint_seconds: float = 0.0,
    resume: Mapping[str, Tensor] | None = None,
) -> TrainingResult:
    """Fit a module to data in place; the loss is the MSE.

    The module ends with the weights of the best validation loss, or without validation with the last accepted ones. A
    member that has stopped keeps its weights while the others go on.

    Args:
        module: maps rows (n, ...) to (n, m); with an attribute ``members`` (R), R independent networks.
        x: (n, d), or with members also (R, n, d); or ``ParquetRows`` larger than memory, which hold the targets too
            (``optimizer="lm"``).
        y: (n, m), or with members also (R, n, m).
        weight: (n,), or with members also (R, n), not negative, multiplies the squared residuals.
        optimizer: the name of one with its defaults (``lm``, ``lm_minibatch``, ``gd``, ``adam``, ``lbfgs``), or a function from a
            module to a stepper.
        max_epochs: epochs at most, those before a resumption included.
        goal: stop at an MSE not above it.
        validation: x and y of other rows, and perhaps their weights, whose MSE chooses the parameters. Processes that share
            a fit each pass their own part, at least one row, and all go by the MSE of the parts together.
        max_fail: stop after so many successive epochs without a better validation loss.
        time_limit: seconds after which no further epoch starts; not for processes that share a fit, whose clocks differ.
        on_epoch: called with every epoch's entry of the history; returning ``True`` stops.
        on_checkpoint: called with everything that ``resume`` needs, named tensors to be stored as they are.
        checkpoint_epochs: epochs from one checkpoint to the next; there is one more at the end, whatever ended the training.
        checkpoint_seconds: the least time from one to the next, but for that at the end.
        resume: a checkpoint of the same module, data and options; training goes on bit for bit, also from the end and to a
            larger ``max_epochs``, unless the optimiser paces itself by the share that is over (``lm_minibatch``).

    Raises:
        InputError: data that are no tensors, do not fit the module or are not finite, numbers out of range, an unknown
            optimiser, ``lbfgs`` with members, a checkpoint of another module.
    """
    check_tensors(**({} if isinstance(x, ParquetRows) else {"x": x}), y=y, weight=weight)
    check_whole(1, max_epochs=max_epochs, max_fail=max_fail, checkpoint_epochs=checkpoint_epochs)
    check_number(0, goal=goal, time_limit=time_limit, checkpoint_seconds=checkpoint_seconds)
    factory = registry.build("optimizer", {"name": optimizer}) if isinstance(optimizer, str) else optimizer
    training = _Training(module, factory, [StoppingRule(goal, max_fail) for _ in range(member_count(module) or 1)])
    if isinstance(x, ParquetRows) and not getattr(training.stepper, "takes_parquet_rows", False):
        raise InputError("rows in a Parquet file are fitted by optimizer=lm alone; pass that, or x and y in memory.")
    reduce = getattr(training.stepper, "reduce", None)
    validation_loss = None if validation is None else _validation_loss(module, reduce, *_validation_rows(validation))
    if resume is not None:
        training.restore(resume)
    elif validation_loss is not None:
        for rule, first_loss in zip(training.rules, validation_loss().reshape(-1).tolist(), strict=True):
            rule.best_validation = first_loss
    seconds = kept_at = training.seconds
    start = time.perf_counter() - seconds
    while training.epoch < max_epochs and not training.is_over:
        training.tell_progress(max(training.epoch / max_epochs, seconds / time_limit if time_limit else 0.0))
        record = training.run_epoch(x, y, weight, validation_loss)
        seconds = record["seconds"] = time.perf_counter() - start
        training.note(record)
        if on_epoch is not None and on_epoch(record):
            training.end("callback")
        elif time_limit is not None and seconds >= time_limit:
            training.end("time_limit")
        is_last = training.is_over or training.epoch == max_epochs
        is_due = training.epoch % checkpoint_epochs == 0 and seconds - kept_at >= checkpoint_seconds
        if on_checkpoint is not None and (is_last or is_due):
            on_checkpoint(training.checkpoint())
            kept_at = seconds
    training.end("max_epochs")
    load_parameters(module, training.kept)
    epochs, reasons = [rule.best_epoch for rule in training.rules], [rule.reason or "" for rule in training.rules]
    path = getattr(training.stepper, "path", None)
    if member_count(module) is None:
        return TrainingResult(training.history, epochs[0], reasons[0], path)
    return TrainingResult(training.history, epochs, reasons, path)


class _Training:
    """What training knows between two epochs."""

    def __init__(self, module: nn.Module, factory: Callable[[nn.Module], Stepper], rules: list[StoppingRule]) -> None:
        self.module = module
        self.kept = flat_parameters(module)
        self.stepper = factory(module)
        self.rules = rules
        self.history: dict[str, list[Any]] = {}

    @property
    def epoch(self) -> int:
        """The number of epochs so far."""
        return len(self.history.get("epoch", ()))

    @property
    def seconds(self) -> float:
        """The time that they took."""
        return self.history["seconds"][-1] if self.epoch else 0.0

    @property
    def is_over(self) -> bool:
        """Whether every member has a reason to stop."""
        return all(rule.reason for rule in self.rules)

    def tell_progress(self, fraction: float) -> None:
        """Tell a stepper that asks for it how much of the training is over."""
        set_progress = getattr(self.stepper, "set_progress", None)
        if set_progress is not None:
            set_progress(min(fraction, 1.0))

    def run_epoch(self, x: Any, y: Any, weight: Tensor | None, validation_loss: Callable[[], Tensor] | None) -> Record:
        """Step the active members and return the epoch's entry of the history."""
        active = [rule.reason is None for rule in self.rules]
        report = self.stepper.step(x, y, weight) if all(active) else self.stepper.step(x, y, weight, active=active)
        values = _on_host(report, None if validation_loss is None else validation_loss())
        epoch = self.epoch + 1
        better = [
            active[r] and rule.observe(epoch, {name: column[r] for name, column in values.items()})
            for r, rule in enumerate(self.rules)
        ]
        w = flat_parameters(self.module)
        self.kept = w if all(better) else torch.where(_mask(better, w).unsqueeze(-1), w, self.kept)
        record: Record = {"epoch": epoch, "seconds": 0.0}
        for name in _RECORDED:
            if name in values:
                column = values[name]
                if not all(active):
                    before = self.history[name][-1]
                    column = [now if on else old for now, on, old in zip(column, active, before, strict=True)]
                record[name] = column[0] if member_count(self.module) is None else column
        return record

    def note(self, record: Record) -> None:
        """Add an epoch to the history."""
        for name, value in record.items():
            self.history.setdefault(name, []).append(value)

    def end(self, reason: str) -> None:
        """Give a reason to the members that still go on."""
        for rule in self.rules:
            rule.reason = rule.reason or reason

    def checkpoint(self) -> Checkpoint:
        """Name all that the next epoch depends on."""
        named = {
            "parameters": flat_parameters(self.module),
            "kept": self.kept.clone(),
            "shapes": self._shapes(),
            "rules": torch.tensor([rule.state() for rule in self.rules], dtype=torch.float64),
        }
        named |= {f"history/{name}": torch.tensor(column, dtype=torch.float64) for name, column in self.history.items()}
        return named | {f"optimizer/{name}": value for name, value in self.stepper.state_dict().items()}  # type: ignore[attr-defined]

    def _shapes(self) -> Tensor:
        """The shapes of the module's parameters, each led by its number of dimensions."""
        return torch.tensor([size for p in self.module.parameters() for size in (p.dim(), *p.shape)])

    def restore(self, named: Mapping[str, Tensor]) -> None:
        """Go back to a checkpoint.

        Raises:
            InputError: it is of another module.
        """
        missing = sorted({"parameters", "kept", "rules", "shapes"} - set(named))
        if missing:
            raise InputError(f"the checkpoint lacks {', '.join(missing)}; pass one that training handed out.")
        if not torch.equal(named["shapes"].cpu(), self._shapes()):
            raise InputError("the checkpoint is that of another module; resume the one that was trained.")
        load_parameters(self.module, named["parameters"].to(self.kept))
        self.kept = named["kept"].to(self.kept, copy=True)
        for rule, state in zip(self.rules, named["rules"].tolist(), strict=True):
            rule.restore(state)
        columns = {
            name: named.get(f"history/{name}") for name in ("epoch", "seconds", *_RECORDED)
        }  # in training's order
        self.history = {name: _column(name, column) for name, column in columns.items() if column is not None}
        own = {name.removeprefix("optimizer/"): value for name, value in named.items() if name.startswith("optimizer/")}
        self.stepper.load_state_dict(own)  # type: ignore[attr-defined]


def _column(name: str, column: Tensor) -> list[Any]:
    """Turn a column of a stored history into what training made it of."""
    return (column.to(torch.int64) if name in _WHOLE else column).tolist()


def _on_host(report: Report, validation_loss: Tensor | None) -> dict[str, list[float]]:
    """Bring an epoch's numbers to the host: name -> one value per member."""
    tensors = {
        "first_loss": report.loss,
        "loss": report.new_loss,
        "validation_loss": validation_loss,
        "gradient_norm": report.gradient_norm,
        "accepted": report.accepted,
        **{name: getattr(report, name, None) for name in ("damping", "gain_ratio", "tries", "effective_parameters")},
    }
    present = {name: tensor.reshape(-1) for name, tensor in tensors.items() if tensor is not None}
    values: dict[str, list[float]] = {}
    for device in {tensor.device for tensor in present.values()}:  # one transfer from each
        names = [name for name, tensor in present.items() if tensor.device == device]
        rows = torch.stack([present[name].to(torch.float64) for name in names]).tolist()
        values |= zip(names, rows, strict=True)
    if "tries" in values:
        values["tries"] = [int(tries) for tries in values["tries"]]
    return values


def _validation_rows(validation: Sequence[Tensor]) -> Sequence[Tensor]:
    """Return x, y and perhaps weights.

    Raises:
        InputError: it is not two or three tensors.
    """
    if not isinstance(validation, (tuple, list)) or len(validation) not in (2, 3):
        raise InputError("validation is not possible; pass (x, y) or (x, y, weight) of other rows.")
    names = ("validation_x", "validation_y", "validation_weight")
    check_tensors(**dict(zip(names, validation, strict=False)))
    return validation


def _validation_loss(
    module: nn.Module, reduce: Reduce | None, x: Tensor, y: Tensor, weight: Tensor | None = None
) -> Callable[[], Tensor]:
    """Return the function that computes the module's MSE on other rows, after a check that it is finite.

    With ``reduce`` it is the MSE of the rows of all processes together.
    """
    problem = fitting_problem(module, x, y, weight, frozen=True)
    if reduce is not None:
        problem = problem.over_processes(reduce)

    def loss() -> Tensor:
        with torch.no_grad():
            found = mean_squared_error(problem)
            if reduce is not None:
                reduce([found])
            return found

    first = loss()
    if not bool(first.isfinite().all()):
        raise not_finite(problem, first)
    return loss


def _mask(flags: list[bool], w: Tensor) -> Tensor:
    """Make the flags of the members a tensor () or (R,) beside the parameters."""
    return torch.tensor(flags).to(w.device).reshape(w.shape[:-1])
