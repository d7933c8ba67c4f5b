"""What all response curves share: parameters that are checked once, and the protocol that budget solvers rely on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from marketnn.allocation.numbers import Numbers, positive
from marketnn.errors import InputError


class ResponseCurve(nn.Module, ABC):
    """A curve of spend x >= 0, or many of one shape, with ``value(0) = 0`` and never falling.

    The parameters are float64 buffers: they follow ``.to(device)``, but no gradient. A subclass names them, in the order
    of its constructor and of ``value``, in ``parameter_names``; the first is ``scale``, by which the curve is multiplied.
    """

    parameter_names: ClassVar[tuple[str, ...]]
    start_shapes: ClassVar[
        tuple[tuple[float, ...], ...]
    ]  # parameters after scale, for spends up to 1, where fits begin
    scale: Tensor

    def __init__(self, **parameters: Numbers) -> None:
        super().__init__()
        tensors = [positive(name, given, zero=name == "scale") for name, given in parameters.items()]
        try:
            tensors = [tensor.clone() for tensor in torch.broadcast_tensors(*tensors)]
        except RuntimeError as error:
            shapes = ", ".join(f"{name} {tuple(t.shape)}" for name, t in zip(parameters, tensors, strict=True))
            raise InputError(f"the parameters' shapes disagree: {shapes}; pass a number or (K,) for each.") from error
        for name, tensor in zip(parameters, tensors, strict=True):
            self.register_buffer(name, tensor)

    @staticmethod
    @abstractmethod
    def value(x: Tensor, *parameters: Tensor) -> Tensor:
        """The response to x as a pure function of the parameters, of which ``parameter_names`` gives the order."""

    @staticmethod
    @abstractmethod
    def in_units(spend: float, response: float, *parameters: Tensor) -> tuple[Tensor, ...]:
        """The parameters of ``response * value(x / spend, *parameters)``."""

    @abstractmethod
    def derivative(self, x: Tensor) -> Tensor:
        """What one more unit of spend brings at x; infinite where the curve starts vertically."""

    @abstractmethod
    def inverse_derivative(self, price: Tensor) -> Tensor:
        """The largest spend whose last unit brings ``price`` > 0 or more; 0 where none does, infinite where all do."""

    @property
    @abstractmethod
    def inflection(self) -> Tensor:
        """The spend at which the curve turns from convex to concave: 0 where concave, infinite where convex."""

    def forward(self, x: Tensor) -> Tensor:
        """The response to the spends x."""
        return self.value(x, *self.values())

    @property
    def concave(self) -> bool:
        """Whether every curve is concave on x >= 0."""
        return bool((self.inflection == 0).all())

    @property
    def shape(self) -> torch.Size:
        """The parameters' shape: () for one curve, (K,) for K."""
        return self.scale.shape

    def values(self) -> tuple[Tensor, ...]:
        """The parameters in the order of ``parameter_names``."""
        return tuple(getattr(self, name) for name in self.parameter_names)

    def extra_repr(self) -> str:
        """The parameters, for ``print``."""
        return ", ".join(f"{name}={getattr(self, name).tolist()}" for name in self.parameter_names)
