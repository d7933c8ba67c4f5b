"""When the training of one network ends, and the name of the reason.

Source: MathWorks' ``trainlm`` (goal, minimum gradient, largest damping, validation failures), and a stalled loss.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from marketnn.optim.damping import LARGEST

SMALLEST_GRADIENT = 1e-7
SMALLEST_CHANGE = 1e-9
CHANGE_EPOCHS = 10
REASONS = ("goal", "gradient", "damping", "diverged", "validation", "loss_change")


@dataclass
class StoppingRule:
    """Follows one network through its epochs.

    Attributes:
        goal: MSE that is good enough, or ``None``.
        max_fail: successive epochs without a better validation loss that end training.
        best_validation: lowest validation loss so far; give the one before training.
        best_epoch: its epoch, 0 before training; without validation the last epoch that changed the parameters.
        reason: why training ended: ``goal``, ``gradient`` (below 1e-7), ``damping`` (above 1e10), ``diverged`` (a
            first-order step was taken back), ``validation``, ``loss_change`` (relatively below 1e-9 over ten epochs);
            ``None`` while it goes on.
    """

    goal: float | None
    max_fail: int
    best_validation: float = math.inf
    best_epoch: int = 0
    reason: str | None = None
    _failures: int = field(default=0, init=False, repr=False)
    _losses: list[float] = field(default_factory=list, init=False, repr=False)

    def state(self) -> list[float]:
        """Return the rule's memory as ``2 + 2 + CHANGE_EPOCHS + 1`` numbers, NaN where there is none yet."""
        reason = REASONS.index(self.reason) if self.reason in REASONS else math.nan
        losses = [*self._losses, *[math.nan] * (CHANGE_EPOCHS + 1 - len(self._losses))]
        return [self.best_validation, self.best_epoch, reason, self._failures, *losses]

    def restore(self, state: Sequence[float]) -> None:
        """Continue from numbers that ``state`` returned; reasons from outside the data do not hold any more."""
        best_validation, best_epoch, reason, failures, *losses = state
        self.best_validation, self.best_epoch, self._failures = best_validation, int(best_epoch), int(failures)
        self.reason = None if math.isnan(reason) else REASONS[int(reason)]
        self._losses = [loss for loss in losses if not math.isnan(loss)]

    def observe(self, epoch: int, values: Mapping[str, float]) -> bool:
        """Take note of an epoch, set ``reason``, and say whether its weights are the ones to keep so far.

        Args:
            epoch: counted from 1.
            values: ``first_loss`` and ``loss`` before and after, ``gradient_norm``, ``accepted``, and where there are
                any ``damping`` and ``validation_loss``.
        """
        if "validation_loss" in values:
            better = values["validation_loss"] < self.best_validation
            self._failures = 0 if better else self._failures + 1
        else:
            better = bool(values["accepted"])
        if better:
            self.best_validation, self.best_epoch = values.get("validation_loss", math.inf), epoch
        self._losses = [*(self._losses or [values["first_loss"]]), values["loss"]][-CHANGE_EPOCHS - 1 :]
        self.reason = self._reason(values)
        return better

    def _reason(self, values: Mapping[str, float]) -> str | None:
        oldest, newest = self._losses[0], self._losses[-1]
        if self.goal is not None and newest <= self.goal:
            return "goal"
        if values["gradient_norm"] < SMALLEST_GRADIENT:
            return "gradient"
        if values.get("damping", 0.0) > LARGEST:
            return "damping"
        if not values["accepted"]:
            return "diverged"
        if self._failures >= self.max_fail:
            return "validation"
        if len(self._losses) > CHANGE_EPOCHS and abs(oldest - newest) <= SMALLEST_CHANGE * oldest:
            return "loss_change"
        return None
