"""First-order steppers: one epoch of a torch optimiser on the whole data set, with the report that training needs.

Shapes: n rows, m outputs, P parameters of one network, R members; reports are () or (R,).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from marketnn.optim.problem import (
    fitting_problem,
    flat_parameters,
    load_parameters,
    mean_squared_error,
    member_count,
    not_finite,
)
from marketnn.optim.state import optimizer_tensors, restore_optimizer


@dataclass(frozen=True)
class GradientReport:
    """What one epoch did; tensors () or (R,).

    Attributes:
        loss: MSE before the epoch.
        new_loss: MSE after it; ``loss`` when the epoch was taken back.
        accepted: whether the parameters changed; an epoch that ends in a loss that is not finite is taken back.
        gradient_norm: Euclidean norm of the gradient of ``loss`` before the epoch.
    """

    loss: Tensor
    new_loss: Tensor
    accepted: Tensor
    gradient_norm: Tensor


class FirstOrder:
    """Steps a module with a torch optimiser, on the MSE of all rows.

    The members of a module are independent: the gradient of the sum of their losses is each one's own gradient.

    Args:
        module: the network or networks.
        optimizer: a torch optimiser of its parameters.
    """

    def __init__(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        self.module = module
        self.optimizer = optimizer

    def step(
        self,
        x: Tensor,
        y: Tensor,
        weight: Tensor | None = None,
        *,
        active: Tensor | Sequence[bool] | None = None,
    ) -> GradientReport:
        """Move the module's parameters by one step of the optimiser.

        Args:
            x: (n, d), or with members also (R, n, d).
            y: (n, m), or with members also (R, n, m).
            weight: (n,), or with members also (R, n), not negative, multiplies the squared residuals.
            active: (R,) bool, the members to step; the others keep their parameters.

        Raises:
            InputError: data that do not fit the module, or a loss that is not finite; the parameters are untouched.
        """
        problem = fitting_problem(self.module, x, y, weight)
        before = flat_parameters(self.module)
        evaluations: list[tuple[Tensor, Tensor]] = []

        def evaluate() -> Tensor:
            self.optimizer.zero_grad()
            loss = mean_squared_error(problem)
            loss.sum().backward()
            if not evaluations:
                if not bool(loss.isfinite().all()):
                    raise not_finite(problem, loss.detach())
                evaluations.append((loss.detach(), self._gradient_norm()))
            return loss.detach().sum()

        try:
            self.optimizer.step(evaluate)  # type: ignore[arg-type]
        finally:
            self.optimizer.zero_grad()
        loss, gradient_norm = evaluations[0]
        with torch.no_grad():
            new_loss = mean_squared_error(problem)
        accepted = new_loss.isfinite()
        if active is not None:
            accepted &= torch.as_tensor(active).to(accepted.device)
        load_parameters(self.module, torch.where(accepted.unsqueeze(-1), flat_parameters(self.module), before))
        return GradientReport(loss, torch.where(accepted, new_loss, loss), accepted, gradient_norm)

    def state_dict(self) -> dict[str, Tensor]:
        """Return what the next step depends on besides the module's parameters."""
        return optimizer_tensors(self.optimizer)

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Continue from a state that ``state_dict`` returned."""
        restore_optimizer(self.optimizer, state)

    def _gradient_norm(self) -> Tensor:
        lead = 0 if member_count(self.module) is None else 1
        gradients = [p.grad.flatten(lead) for p in self.module.parameters() if p.grad is not None]
        return torch.cat(gradients, dim=-1).norm(dim=-1)
