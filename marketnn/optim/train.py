"""Training: epochs of any optimiser until a named reason to stop, for one network or R members side by side.

Shapes: n rows, d inputs, m outputs, P parameters of one network, R members.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from marketnn import registry
from marketnn.errors import InputError
from marketnn.optim.problem import (
    fitting_problem,
    flat_parameters,
    load_parameters,
    member_count,
    not_finite,
    sum_of_squares,
)
from marketnn.optim.stopping import StoppingRule

Record = dict[str, Any]
_RECORDED = ("loss", "validation_loss", "gradient_norm", "damping", "gain_ratio", "tries")


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
    """An optimiser bound to a module; ``active`` is passed only once a member has stopped."""

    def step(self, x: Tensor, y: Tensor, weight: Tensor | None = None, *, active: Tensor | None = None) -> Report:
        """Change the parameters of the active members once, in place."""


@dataclass(frozen=True)
class TrainingResult:
    """How training went.

    Attributes:
        history: name -> one entry per epoch. ``epoch`` (from 1), ``seconds`` since the start, ``loss`` (MSE after the
            epoch), ``validation_loss`` when there is validation, and what the optimiser reports of ``gradient_norm``,
            ``damping``, ``gain_ratio`` and ``tries``; with members an entry of these is a list of R.
        best_epoch: the epoch whose weights the module holds, 0 for the first weights; with members a list of R.
        stop_reason: ``goal``, ``gradient``, ``damping``, ``diverged``, ``validation``, ``loss_change``, ``max_epochs``,
            ``time_limit`` or ``callback``; with members a list of R.
    """

    history: dict[str, list[Any]]
    best_epoch: int | list[int]
    stop_reason: str | list[str]


def train(
    module: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    optimizer: str | Callable[[nn.Module], Stepper] = "lm",
    max_epochs: int = 1000,
    goal: float | None = None,
    validation: tuple[Tensor, Tensor] | None = None,
    max_fail: int = 6,
    time_limit: float | None = None,
    on_epoch: Callable[[Record], bool | None] | None = None,
) -> TrainingResult:
    """Fit a module to data in place; the loss is the MSE.

    The module ends with the weights of the best validation loss, or without validation with the last accepted ones. A
    member that has stopped keeps its weights while the others go on.

    Args:
        module: maps rows (n, ...) to (n, m); with an attribute ``members`` (R), R independent networks.
        x: (n, d), or with members also (R, n, d).
        y: (n, m), or with members also (R, n, m).
        optimizer: ``lm``, ``gd``, ``adam`` or ``lbfgs`` with its defaults, or a function from a module to a stepper.
        max_epochs: epochs at most.
        goal: stop at an MSE not above it.
        validation: x and y of other rows, whose MSE chooses the weights.
        max_fail: stop after so many successive epochs without a better validation loss.
        time_limit: seconds after which no further epoch starts.
        on_epoch: called with every epoch's entry of the history; returning ``True`` stops.

    Raises:
        InputError: data that do not fit the module or are not finite, numbers out of range, an unknown optimiser,
            ``lbfgs`` with members.
    """
    if max_epochs < 1 or max_fail < 1:
        raise InputError(f"max_epochs={max_epochs} and max_fail={max_fail} must be at least 1.")
    kept = flat_parameters(module)
    factory = registry.build("optimizer", {"name": optimizer}) if isinstance(optimizer, str) else optimizer
    stepper = factory(module)
    validation_loss = None if validation is None else _validation_loss(module, *validation)
    members = member_count(module)
    rules = [StoppingRule(goal, max_fail) for _ in range(members or 1)]
    if validation_loss is not None:
        for rule, first_loss in zip(rules, validation_loss().reshape(-1).tolist(), strict=True):
            rule.best_validation = first_loss
    history: dict[str, list[Any]] = {}
    start = time.perf_counter()
    for epoch in range(1, max_epochs + 1):
        active = [rule.reason is None for rule in rules]
        report = stepper.step(x, y) if all(active) else stepper.step(x, y, active=_mask(active, kept))
        values = _on_host(report, None if validation_loss is None else validation_loss())
        better = [
            active[r] and rule.observe(epoch, {name: column[r] for name, column in values.items()})
            for r, rule in enumerate(rules)
        ]
        kept = torch.where(_mask(better, kept).unsqueeze(-1), flat_parameters(module), kept)

        seconds = time.perf_counter() - start
        record: Record = {"epoch": epoch, "seconds": seconds}
        record |= {name: values[name] if members else values[name][0] for name in _RECORDED if name in values}
        for name, value in record.items():
            history.setdefault(name, []).append(value)
        if on_epoch is not None and on_epoch(record):
            _end(rules, "callback")
        elif time_limit is not None and seconds >= time_limit:
            _end(rules, "time_limit")
        if all(rule.reason for rule in rules):
            break
    _end(rules, "max_epochs")
    load_parameters(module, kept)
    epochs, reasons = [rule.best_epoch for rule in rules], [rule.reason or "" for rule in rules]
    if members is None:
        return TrainingResult(history, epochs[0], reasons[0])
    return TrainingResult(history, epochs, reasons)


def _on_host(report: Report, validation_loss: Tensor | None) -> dict[str, list[float]]:
    """Bring an epoch's numbers to the host in one transfer: name -> one value per member."""
    tensors = {
        "first_loss": report.loss,
        "loss": report.new_loss,
        "validation_loss": validation_loss,
        "gradient_norm": report.gradient_norm,
        "accepted": report.accepted,
        **{name: getattr(report, name, None) for name in ("damping", "gain_ratio", "tries")},
    }
    present = {name: tensor.reshape(-1) for name, tensor in tensors.items() if tensor is not None}
    rows = torch.stack([tensor.to(report.loss.dtype) for tensor in present.values()]).tolist()
    values = dict(zip(present, rows, strict=True))
    if "tries" in values:
        values["tries"] = [int(tries) for tries in values["tries"]]
    return values


def _validation_loss(module: nn.Module, x: Tensor, y: Tensor) -> Callable[[], Tensor]:
    """Return the function that computes the module's MSE on other rows, after a check that it is finite."""
    problem = fitting_problem(module, x, y)

    def loss() -> Tensor:
        return sum_of_squares(problem, flat_parameters(module)) / problem.terms

    first = loss()
    if not bool(first.isfinite().all()):
        raise not_finite(problem, first)
    return loss


def _mask(flags: list[bool], w: Tensor) -> Tensor:
    """Make the flags of the members a tensor () or (R,) beside the parameters."""
    return torch.tensor(flags, device=w.device).reshape(w.shape[:-1])


def _end(rules: list[StoppingRule], reason: str) -> None:
    """Give a reason to the networks that still go on."""
    for rule in rules:
        rule.reason = rule.reason or reason
