"""A fitting problem: data, a module's parameters as one vector, and the weighted residuals between them.

A module with an attribute ``members`` (an integer R) is R independent networks of one shape: each of its parameters
leads with R and it maps (n, d) or (R, n, d) to (R, n, m). Any other module maps (n, ...) to (n, m), row by row.

Shapes: n rows, d inputs, m outputs, P parameters of one network, R members, s the square root of a row's weight.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from marketnn.errors import InputError, rows_text
from marketnn.network.bp import BPNetwork


def member_count(module: nn.Module) -> int | None:
    """Return R for a module of R members, ``None`` for a single network."""
    members = getattr(module, "members", None)
    return members if isinstance(members, int) else None


def version(tensor: object) -> int:
    """How often a tensor was changed in place; 0 for anything else and for tensors that do not count it."""
    return tensor._version if isinstance(tensor, Tensor) and not tensor.is_inference() else 0


def active_members(active: Tensor | Sequence[bool] | None, members: int) -> list[int]:
    """Return the numbers of the members to step, all of them for ``None``.

    Raises:
        InputError: not one truth value per member.
    """
    if active is None:
        return list(range(members))
    flags = torch.as_tensor(active)
    if flags.dtype != torch.bool or flags.shape != (members,):
        raise InputError(
            f"active is {flags.dtype} of shape {tuple(flags.shape)}; pass one bool per member, ({members},)."
        )
    return [r for r, flag in enumerate(flags.tolist()) if flag]


def flat_parameters(module: nn.Module) -> Tensor:
    """Copy a module's parameters, in the order of ``module.parameters()``, into one vector (P,), or (R, P).

    Raises:
        InputError: it has none.
    """
    lead = 0 if member_count(module) is None else 1
    pieces = [parameter.detach().flatten(lead) for parameter in module.parameters()]
    if not pieces:
        raise InputError(f"{type(module).__name__} has no parameters to train.")
    return torch.cat(pieces, dim=-1)


def load_parameters(module: nn.Module, w: Tensor) -> None:
    """Write a vector made by ``flat_parameters`` back into the module."""
    with torch.no_grad():
        for parameter, values in zip(module.parameters(), _split(module, w), strict=True):
            parameter.copy_(values.view_as(parameter))


def residual(module: nn.Module, w_p: Tensor, x_nd: Tensor, y_nm: Tensor, s_n: Tensor | None) -> Tensor:
    """Compute ``sqrt(weight) (y - yhat)`` of one network (n, m), its parameters given as a vector.

    Floating buffers follow the vector's dtype, so that a coarser vector gives a coarser residual.

    Raises:
        InputError: the module's outputs and ``y`` differ in shape, or a row's output is random or depends on other rows.
    """
    _check_rows_are_independent(module)
    members = member_count(module)
    shapes = [p.shape if members is None else p.shape[1:] for p in module.parameters()]
    values = (v.view(shape) for v, shape in zip(_split(module, w_p), shapes, strict=True))
    parameters = dict(zip((name for name, _ in module.named_parameters()), values, strict=True))
    buffers = {name: b.to(w_p.dtype) if b.is_floating_point() else b for name, b in module.named_buffers()}
    yhat_nm = functional_call(module, (parameters, buffers), (x_nd,))
    _check_same_shape(yhat_nm, y_nm)
    e_nm = y_nm - yhat_nm
    return e_nm if s_n is None else s_n.unsqueeze(-1) * e_nm


@dataclass(frozen=True)
class Problem:
    """A module and the data that it is fitted to; ``fitting_problem`` checks and builds it.

    Attributes:
        module: the network or networks.
        x: (n, ...), or with members also (R, n, d).
        y: (n, m), or with members also (R, n, m).
        root_weight: square roots of the rows' weights, (n,), with members also (R, n); ``None`` when all are 1.
        members: R or ``None``.
        terms: the sum of the weights times m, a number or with weights () or (R,); the sum of squares divided by it
            is the MSE.
    """

    in_memory: ClassVar[bool] = True  # whether x and y are the rows themselves
    module: nn.Module
    x: Tensor
    y: Tensor
    root_weight: Tensor | None
    members: int | None
    terms: Tensor | float

    @property
    def n_rows(self) -> int:
        """The number of rows, n."""
        return self.y.shape[-2]

    @property
    def n_outputs(self) -> int:
        """The number of outputs, m."""
        return self.y.shape[-1]

    @property
    def n_residuals(self) -> Tensor | int:
        """The residuals that count, those of rows with a positive weight: a number or with weights () or (R,)."""
        if self.root_weight is None:
            return self.n_rows * self.n_outputs
        return (self.root_weight > 0).sum(-1) * self.n_outputs

    @property
    def x_axis(self) -> int:
        """The dimension of x that counts rows."""
        return 1 if self._own(self.x, 3) else 0

    def over_members(self, kernel: Callable, vectors: int = 1) -> Callable:
        """Turn a kernel ``(w_p, x_nd, y_nm, s_n)`` of one network into one of all members; data may be shared.

        ``vectors`` is how many parameter vectors come before the data.
        """
        if self.members is None:
            return kernel
        own = self._own(self.x, 3), self._own(self.y, 3), self._own(self.root_weight, 2)
        return vmap(kernel, in_dims=(*[0] * vectors, *(0 if each else None for each in own)))

    def chunks(self, rows: int | None = None) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
        """Yield (x, y, root_weight) of ``rows`` rows at a time, all at once for ``None``."""
        rows = min(rows or self.n_rows, self.n_rows)
        roots = [None] * -(-self.n_rows // rows) if self.root_weight is None else self.root_weight.split(rows, -1)
        yield from zip(self.x.split(rows, self.x_axis), self.y.split(rows, -2), roots, strict=True)

    def select(self, members: Tensor) -> Problem:
        """Return the problem of some of the members, given by their numbers (R',)."""

        def chosen(data: Tensor, dims: int) -> Tensor:
            return data.index_select(0, members) if self._own(data, dims) else data

        return replace(
            self,
            x=chosen(self.x, 3),
            y=chosen(self.y, 3),
            root_weight=None if self.root_weight is None else chosen(self.root_weight, 2),
            members=len(members),
            terms=chosen(self.terms, 1) if isinstance(self.terms, Tensor) else self.terms,
        )

    def over_processes(self, reduce: Callable[[Sequence[Tensor]], None]) -> Problem:
        """Return the problem whose terms are those of all processes together."""
        terms = torch.as_tensor(self.terms, dtype=self.y.dtype, device=self.y.device).clone()
        reduce([terms])
        return replace(self, terms=terms)

    def _own(self, data: Tensor | None, dims: int) -> bool:
        """Whether every member has its own data."""
        return self.members is not None and data is not None and data.dim() == dims


def fitting_problem(
    module: nn.Module, x: Tensor, y: Tensor, weight: Tensor | None = None, *, frozen: bool = False
) -> Problem:
    """Check the data's shapes and types against a module, values aside.

    Args:
        module: the network or networks.
        x: (n, ...), or with members also (R, n, d).
        y: (n, m), or with members also (R, n, m).
        weight: (n,), or with members also (R, n).
        frozen: whether parameters may be frozen; Levenberg-Marquardt fits all of them.

    Raises:
        InputError: no parameters or a frozen one, no rows, different numbers of rows, ``y`` not (n, m), other widths than
            a ``BPNetwork``'s, a dtype or device other than the parameters'.
    """
    given = {"x": x, "y": y} if weight is None else {"x": x, "y": y, "weight": weight}
    for name, data in given.items():
        if not isinstance(data, Tensor):
            raise InputError(f"{name} is a {type(data).__name__}; pass a tensor, such as torch.as_tensor({name}).")
    first = next(module.parameters(), None)
    if first is None:
        raise InputError(f"{type(module).__name__} has no parameters to train.")
    for name, parameter in module.named_parameters():
        if not (frozen or parameter.requires_grad):
            raise InputError(
                f"the parameter '{name}' has requires_grad=False, but Levenberg-Marquardt fits every parameter; "
                "call module.requires_grad_(True), or train with optimizer=adam."
            )
    members = member_count(module)
    _check_shapes(module, members, x, y, weight)
    for name, data in given.items():
        if (data.dtype, data.device) != (first.dtype, first.device):
            raise InputError(
                f"{name} is {data.dtype} on {data.device}, the module {first.dtype} on {first.device}; "
                f"pass {name}.to(device, dtype) of the module's."
            )
    outputs = y.shape[-1]
    if weight is None:
        return Problem(module, x, y, None, members, float(y.shape[-2] * outputs))
    return Problem(module, x, y, weight.sqrt(), members, weight.sum(-1) * outputs)


def sum_of_squares(problem: Problem, w: Tensor, chunk_rows: int | None = None) -> Tensor:
    """Compute the weighted sum of squared residuals () or (R,) in float64 at a parameter vector (P,) or (R, P)."""
    kernel = problem.over_members(partial(_sse, problem.module))
    sse = w.new_zeros(w.shape[:-1], dtype=torch.float64)
    for chunk in problem.chunks(chunk_rows):
        sse += kernel(w, *chunk)
    return sse


def mean_squared_error(problem: Problem) -> Tensor:
    """Compute the MSE () or (R,) of the module's own parameters, differentiable by autograd."""
    yhat = problem.module(problem.x)
    _check_same_shape(yhat, problem.y if problem.members is None else problem.y.expand(problem.members, -1, -1))
    e = problem.y - yhat
    if problem.root_weight is not None:
        e = problem.root_weight.unsqueeze(-1) * e
    return e.square().sum((-2, -1)) / problem.terms


def not_finite(problem: Problem, loss: Tensor) -> InputError:
    """Build the error for a loss that is NaN or infinite, naming what caused it as far as the data show."""
    if problem.root_weight is not None and not bool((problem.root_weight > 0).any(-1).all()):
        return InputError("the weights are all 0; pass at least one that is positive.")
    found = f"the loss is not finite ({', '.join(f'{value:g}' for value in loss.reshape(-1).tolist()[:3])})"
    for name, data, axis, wrong in (
        ("x", problem.x, problem.x_axis, "not finite"),
        ("y", problem.y, -2, "not finite"),
        ("weight", problem.root_weight, -1, "negative or not finite"),
    ):
        if data is None:
            continue
        bad_rows = (~data.isfinite()).movedim(axis, 0).flatten(1).any(1) if data.dim() > 1 else ~data.isfinite()
        if bool(bad_rows.any()):
            return InputError(
                f"{found}: {name} is {wrong} in {rows_text(bad_rows.cpu().numpy())}; repair or drop them."
            )
    return InputError(f"{found} although the data are; scale x and y, or check the module's parameters.")


def _sse(module: nn.Module, w_p: Tensor, x_nd: Tensor, y_nm: Tensor, s_n: Tensor | None) -> Tensor:
    return residual(module, w_p, x_nd, y_nm, s_n).to(torch.float64).square().sum()


def _split(module: nn.Module, w: Tensor) -> tuple[Tensor, ...]:
    """Cut a parameter vector (..., P) into one piece (..., size) per parameter."""
    members = member_count(module) or 1
    return w.split([math.prod(parameter.shape) // members for parameter in module.parameters()], dim=-1)


def _check_shapes(module: nn.Module, members: int | None, x: Tensor, y: Tensor, weight: Tensor | None) -> None:
    if y.dim() != 2 and not (members is not None and y.dim() == 3):
        raise InputError(f"y has shape {tuple(y.shape)}; pass (rows, outputs), for one output y.unsqueeze(-1).")
    n = y.shape[-2]
    sizes = module.layer_sizes if type(module) is BPNetwork else None
    fits = x.dim() > 0 if sizes is None and members is None else x.dim() == 2 or (members is not None and x.dim() == 3)
    if not fits:
        raise InputError(f"x has shape {tuple(x.shape)}; pass (rows, {'columns' if sizes is None else sizes[0]}).")
    x_rows = x.shape[1] if members is not None and x.dim() == 3 else x.shape[0]
    if n == 0 or x_rows != n:
        raise InputError(f"x has {x_rows} rows and y has {n}; pass the same number, at least 1.")
    for name, data in (("x", x), ("y", y)):
        if members is not None and data.dim() == 3 and data.shape[0] != members:
            raise InputError(f"{name} leads with {data.shape[0]}, but the module has {members} members.")
    if weight is not None and weight.shape != (n,) and (members is None or weight.shape != (members, n)):
        raise InputError(f"weight has shape {tuple(weight.shape)}; pass one weight per row, ({n},).")
    if sizes is not None and x.shape[-1] != sizes[0]:
        raise InputError(f"x has {x.shape[-1]} columns, the network {sizes[0]} inputs; make them alike.")
    if sizes is not None and y.shape[-1] != sizes[-1]:
        raise InputError(f"the module gives outputs {(n, sizes[-1])}, y has {(n, y.shape[-1])}; make them alike.")


def _check_rows_are_independent(module: nn.Module) -> None:
    for name, part in module.named_modules():
        if isinstance(part, _BatchNorm) and not part.training and part.running_mean is None:
            raise InputError(f"the layer '{name}' mixes rows; build it with track_running_stats=True.")
        if part.training and _mixes_or_draws(part):
            raise InputError(
                f"the layer '{name}' ({type(part).__name__}) is in training mode, where a row's output is random or depends "
                "on other rows; call module.eval()."
            )


def _mixes_or_draws(part: nn.Module) -> bool:
    """Whether a layer in training mode lets a row's output depend on other rows or on chance."""
    if isinstance(part, _DropoutNd):
        return part.p > 0
    share = getattr(part, "dropout", 0.0)  # of recurrent and attention layers
    return isinstance(part, _BatchNorm) or (isinstance(share, float) and share > 0)


def _check_same_shape(yhat: Tensor, y: Tensor) -> None:
    if yhat.shape != y.shape:
        raise InputError(f"the module gives outputs {tuple(yhat.shape)}, y has {tuple(y.shape)}; make them alike.")
