"""First-order steppers: one epoch of a torch optimiser on the whole data set, with the report that training needs.

The loss after an epoch is the next epoch's loss before it: one forward pass serves both, and its graph waits for the next
gradient. N epochs of gradient descent or Adam cost N + 1 forward and N backward passes.

Shapes: n rows, m outputs, P parameters of one network, R members; reports are () or (R,).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from marketnn.optim.problem import (
    active_members,
    fitting_problem,
    flat_parameters,
    load_parameters,
    mean_squared_error,
    member_count,
    not_finite,
    version,
)
from marketnn.optim.state import optimizer_tensors, restore_optimizer


@dataclass(frozen=True)
class GradientReport:
    """What one epoch did; tensors () or (R,).

    Attributes:
        loss: MSE before the epoch, at the weights of the gradient.
        new_loss: MSE after it, at the weights that the module is left with; ``loss`` when the epoch was taken back.
        accepted: whether the parameters changed; an epoch that ends in a loss that is not finite is taken back.
        gradient_norm: Euclidean norm of the gradient of ``loss`` before the epoch.
    """

    loss: Tensor
    new_loss: Tensor
    accepted: Tensor
    gradient_norm: Tensor


@dataclass(frozen=True)
class _Ahead:
    """The forward pass at the end of an epoch, with what must still be so for the next one to begin with it.

    Attributes:
        data: x, y and weight.
        w: the parameters as a vector.
        versions: of the data and of every parameter.
        loss: MSE () or (R,) with its graph.
    """

    data: tuple[Tensor, Tensor, Tensor | None]
    w: Tensor
    versions: list[int]
    loss: Tensor

    def is_for(self, data: tuple[Tensor, Tensor, Tensor | None], w: Tensor, versions: list[int]) -> bool:
        """Whether these are the very data and the same parameters, none of them changed in place."""
        same_data = all(mine is theirs for mine, theirs in zip(self.data, data, strict=True))
        return same_data and self.versions == versions and torch.equal(self.w, w)


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
        self._ahead: _Ahead | None = None

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
        problem, data = fitting_problem(self.module, x, y, weight, frozen=True), (x, y, weight)
        active_members(active, member_count(self.module) or 1)
        before = flat_parameters(self.module)
        ahead, self._ahead = self._ahead, None
        if ahead is not None and not ahead.is_for(data, before, self._versions(data)):
            ahead = None
        evaluations: list[tuple[Tensor, Tensor]] = []

        def evaluate() -> Tensor:
            self.optimizer.zero_grad()
            first = not evaluations
            loss = ahead.loss if first and ahead is not None else mean_squared_error(problem)
            loss.sum().backward()
            if first:
                if not bool(loss.isfinite().all()):
                    raise not_finite(problem, loss.detach())
                evaluations.append((loss.detach(), self._gradient_norm()))
            return loss.detach().sum()

        try:
            self.optimizer.step(evaluate)  # type: ignore[arg-type]
        finally:
            self.optimizer.zero_grad()
        loss, gradient_norm = evaluations[0]
        stepped = torch.ones_like(loss, dtype=torch.bool)
        if active is not None:
            stepped = torch.as_tensor(active).to(loss.device)
            self._take_back(before, stepped)
        with torch.enable_grad():  # as torch's optimisers evaluate, whoever calls
            new_loss = mean_squared_error(problem)
        accepted = stepped & new_loss.isfinite()
        if bool(new_loss.isfinite().all()):
            self._ahead = _Ahead(data, flat_parameters(self.module), self._versions(data), new_loss)
        else:
            self._take_back(before, accepted)
        return GradientReport(loss, new_loss.detach().where(accepted, loss), accepted, gradient_norm)

    def state_dict(self) -> dict[str, Tensor]:
        """Return what the next step depends on besides the module's parameters."""
        return optimizer_tensors(self.optimizer)

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Continue from a state that ``state_dict`` returned."""
        restore_optimizer(self.optimizer, state)

    def _take_back(self, before: Tensor, kept: Tensor) -> None:
        """Give the networks that are not ``kept`` () or (R,) the parameters (P,) or (R, P) that they had before."""
        load_parameters(self.module, torch.where(kept.unsqueeze(-1), flat_parameters(self.module), before))

    def _versions(self, data: tuple[Tensor, Tensor, Tensor | None]) -> list[int]:
        return [version(tensor) for tensor in (*data, *self.module.parameters())]

    def _gradient_norm(self) -> Tensor:
        lead = 0 if member_count(self.module) is None else 1
        gradients = [p.grad.flatten(lead) for p in self.module.parameters() if p.grad is not None]
        return torch.cat(gradients, dim=-1).norm(dim=-1)
