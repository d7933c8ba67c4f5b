"""A pretend accelerator, so that device-agnostic code is tested where there is no GPU.

Its tensors say ``pretend:0``, hold real numbers on the CPU, and raise when they meet a CPU tensor, as CUDA's do:

    with PretendDevice():                      # any code under test, with device="pretend"
    with PretendDevice(host_sync="error"):     # also refuse .item(), bool(tensor), masked indexing, copies to the host
    with PretendDevice() as there: ...         # there.waits counts those by operation, there.uploads copies to the device

The second form may stand inside the first; only the innermost counts. Built on ``torch.utils.backend_registration`` and a
dispatch mode (torch >= 2.11, an experimental interface).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

_setup_privateuseone_for_python_backend("pretend")
DEVICE = torch.device("pretend", 0)
HostSync = Literal["allow", "error"]

_aten = torch.ops.aten
_MOVES = {_aten._to_copy.default, _aten.copy_.default}
_WAITS = {
    _aten._local_scalar_dense.default,
    _aten.is_nonzero.default,
    _aten.nonzero.default,
    _aten.masked_select.default,
    _aten.equal.default,
    _aten._linalg_check_errors.default,
    _aten._unique2.default,
    _aten.unique_dim.default,
    _aten.bincount.default,
    _aten.repeat_interleave.Tensor,
}
_CONSTRUCTORS = (torch.tensor, torch.as_tensor, torch.asarray)


def is_pretend(device: torch.device | str | None) -> bool:
    """Whether a device, or the name of one, is the pretend accelerator."""
    return device is not None and torch.device(device).type == "pretend"


class PretendTensor(torch.Tensor):
    """A shell without storage that says ``pretend:0``; its numbers are in ``on_host``, a CPU tensor."""

    on_host: torch.Tensor

    @staticmethod
    def __new__(cls, data: torch.Tensor) -> PretendTensor:
        shell = torch.Tensor._make_wrapper_subclass(
            cls,
            data.shape,
            strides=data.stride(),
            storage_offset=data.storage_offset(),
            dtype=data.dtype,
            device=DEVICE,
            requires_grad=data.requires_grad,
        )
        shell.on_host = data
        return shell

    def __repr__(self) -> str:
        return f"pretend({self.on_host})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Sequence = (), kwargs: Mapping | None = None) -> Any:
        return _dispatch(func, args, dict(kwargs or {}), None)


class PretendDevice(TorchDispatchMode):
    """Within this context the device ``pretend`` works; ``host_sync="error"`` forbids making the host wait for it.

    Attributes:
        waits: how often the host waited for the device, by operation.
        uploads: how often numbers went from the host to the device.
    """

    def __init__(self, host_sync: HostSync = "allow") -> None:
        super().__init__()
        self.host_sync = host_sync
        self.waits: Counter[str] = Counter()
        self.uploads = 0
        self._by_hand = _ByHand()

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence = (), kwargs: Mapping | None = None) -> Any:
        return _dispatch(func, args, dict(kwargs or {}), self)

    def __enter__(self) -> PretendDevice:
        self._outer_generator = torch.Generator
        self._outer_swap = torch.__future__.get_swap_module_params_on_conversion()
        torch.Generator = _Generator
        torch.__future__.set_swap_module_params_on_conversion(True)  # module.to() must replace shells, not relabel them
        self._by_hand.__enter__()
        return super().__enter__()

    def __exit__(self, *exception: Any) -> None:
        super().__exit__(*exception)
        self._by_hand.__exit__(*exception)
        torch.Generator = self._outer_generator
        torch.__future__.set_swap_module_params_on_conversion(self._outer_swap)


class _ByHand(TorchFunctionMode):
    """What bypasses the dispatcher: torch.tensor and its like build on the CPU, then move; tolist moves, then lists."""

    def __torch_function__(self, func: Callable, types: Any, args: Sequence = (), kwargs: Mapping | None = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.Tensor.tolist:
            return args[0].cpu().tolist()
        if func not in _CONSTRUCTORS or not is_pretend(kwargs.get("device")):
            return func(*args, **kwargs)
        device, requires_grad = kwargs.pop("device"), kwargs.pop("requires_grad", False)
        return func(*args, **kwargs).to(device).requires_grad_(requires_grad)


_CPUGenerator = torch.Generator


class _Generator:
    """torch.Generator(device="pretend") is a CPU generator: the numbers are drawn there."""

    def __new__(cls, device: torch.device | str = "cpu") -> torch.Generator:
        return _CPUGenerator("cpu" if is_pretend(device) else device)


def _dispatch(func: Any, args: Sequence, kwargs: dict[str, Any], mode: PretendDevice | None) -> Any:
    """Run one operation on the host's numbers and wrap what would have stayed on the device."""
    tensors = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    shells = [tensor for tensor in tensors if isinstance(tensor, PretendTensor)]
    device = kwargs.get("device")
    if shells:
        _check_one_device(func, tensors)
        if mode is not None and _host_waits(func, args, device):
            mode.waits[str(func)] += 1
            if mode.host_sync == "error":
                raise RuntimeError(f"{func}: the host would wait for the device here")
    if mode is not None and _uploads(func, args, device):
        mode.uploads += 1
    if func is _aten.copy_.default:
        on_device = isinstance(args[0], PretendTensor)
    else:
        on_device = is_pretend(device) if device is not None else bool(shells)

    kwargs.pop("pin_memory", None)
    if device is not None:
        kwargs["device"] = torch.device("cpu") if is_pretend(device) else device
    host_args, host_kwargs = pytree.tree_map(_unwrap, (tuple(args), kwargs))
    out = func(*host_args, **host_kwargs)

    if torch.Tag.inplace_view in func.tags and isinstance(args[0], PretendTensor):
        with torch._C._DisableTorchDispatch():  # squeeze_, transpose_, ... change the shell's own shape too
            func(*args, **kwargs)
        return args[0]
    known = {id(shell.on_host): shell for shell in shells}  # an in-place result keeps its identity

    def wrap(leaf: Any) -> Any:
        if not isinstance(leaf, torch.Tensor) or isinstance(leaf, PretendTensor):
            return leaf
        if id(leaf) in known:
            return known[id(leaf)]
        return PretendTensor(leaf) if on_device else leaf

    return pytree.tree_map(wrap, out)


def _unwrap(leaf: Any) -> Any:
    return leaf.on_host if isinstance(leaf, PretendTensor) else leaf


def _check_one_device(func: Any, tensors: list[torch.Tensor]) -> None:
    """Refuse CPU tensors beside pretend ones; scalars may mix, as on CUDA."""
    if func in _MOVES:
        return
    for tensor in tensors:
        if not isinstance(tensor, PretendTensor) and tensor.device.type == "cpu" and tensor.dim() > 0:
            shape = tuple(tensor.shape)
            raise RuntimeError(f"{func}: expected all tensors on the same device, found pretend:0 and cpu {shape}")


def _host_waits(func: Any, args: Sequence, device: torch.device | None) -> bool:
    """Whether an operation needs a value, or a shape that depends on values, on the host."""
    if func is _aten._to_copy.default:
        return device is not None and not is_pretend(device)
    if func is _aten.copy_.default:
        return not isinstance(args[0], PretendTensor)
    if func is _aten.index_put_.default and args[2].numel() == 1:
        return False  # becomes masked_fill_
    masked = func in (_aten.index.Tensor, _aten.index_put_.default) and any(
        i is not None and i.dtype == torch.bool for i in args[1]
    )
    return masked or func in _WAITS


def _uploads(func: Any, args: Sequence, device: torch.device | None) -> bool:
    """Whether an operation brings numbers from the host to the device."""
    if func is _aten._to_copy.default:
        return is_pretend(device) and not isinstance(args[0], PretendTensor)
    return func is _aten.copy_.default and isinstance(args[0], PretendTensor) and not isinstance(args[1], PretendTensor)
