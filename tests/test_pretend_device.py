from __future__ import annotations

import pytest
import torch
from pretend_device import DEVICE, PretendDevice


def test_a_forgotten_device_is_caught():
    def scale(x: torch.Tensor) -> torch.Tensor:
        return x * torch.zeros(3)

    assert torch.equal(scale(torch.ones(3)), torch.zeros(3))
    with PretendDevice(), pytest.raises(RuntimeError, match="same device, found pretend:0 and cpu"):
        scale(torch.ones(3, device="pretend"))


@pytest.mark.parametrize(
    "wait",
    [
        lambda x: x.sum().item(),
        lambda x: bool((x > 0).any()),
        lambda x: x[x > 0],
        lambda x: x.masked_select(x > 0),
        lambda x: x.nonzero(),
        lambda x: x.tolist(),
        lambda x: x.cpu(),
        lambda x: torch.empty(3).copy_(x),
    ],
)
def test_whatever_makes_the_host_wait_is_refused_on_request(wait):
    with PretendDevice():
        x = torch.arange(3.0, device="pretend")
        wait(x)
        with PretendDevice(host_sync="error"), pytest.raises(RuntimeError, match="host would wait"):
            wait(x)
        wait(x)


def test_nesting_restores_what_stood_before():
    generator, swap = torch.Generator, torch.__future__.get_swap_module_params_on_conversion()
    with PretendDevice():
        inside = torch.Generator
        with PretendDevice(host_sync="error"):
            assert (torch.ones(2, device=DEVICE) + 1).device == DEVICE
        assert torch.Generator is inside
        assert torch.Generator("pretend").device.type == "cpu"
        assert torch.tensor([1.0], device="pretend").device == DEVICE
    assert torch.Generator is generator
    assert torch.__future__.get_swap_module_params_on_conversion() == swap


def test_numbers_equal_the_cpus_bit_for_bit():
    def compute(device: str) -> torch.Tensor:
        generator = torch.Generator().manual_seed(0)
        a = torch.randn(4, 5, 5, generator=generator, dtype=torch.float64).to(device)
        factor, _ = torch.linalg.cholesky_ex(a @ a.mT + torch.eye(5, dtype=a.dtype, device=device))
        rows = torch.func.vmap(torch.func.jacrev(lambda x: torch.sigmoid(x @ x)))(a)
        return factor.sum() + rows.square().sum() + torch.where(a > 0, a, -a).index_select(1, a[0, 0].argsort()).sum()

    expected = compute("cpu")
    with PretendDevice():
        assert torch.equal(compute("pretend").cpu(), expected)


def test_modules_and_optimizers_run_on_it():
    with PretendDevice():
        module = torch.nn.Linear(3, 1).to("pretend")
        optimizer = torch.optim.Adam(module.parameters())
        x = torch.ones(5, 3, device="pretend")
        before = module(x).square().mean()
        before.backward()
        optimizer.step()
        assert module.weight.device == DEVICE
        assert module(x).square().mean().item() < before.item()
