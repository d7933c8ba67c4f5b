from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from pretend_device import PretendDevice
from torch.func import functional_call, vmap

from marketnn import registry
from marketnn.errors import ConfigurationError, InputError
from marketnn.network import BPNetwork
from marketnn.network.bp import Config
from marketnn.optim import train

ROOT = Path(__file__).parents[2]


def rows(n: int, d: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def parameters_of(module: torch.nn.Module) -> list[torch.Tensor]:
    return [parameter.detach() for parameter in module.parameters()]


def test_equations_2_2_to_2_5_by_hand():
    network, x = BPNetwork([3, 4, 2], seed=5), rows(6, 3)
    w_ji, w_j0, w_kj, w_k0 = (parameter.numpy() for parameter in parameters_of(network))

    def g(net: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-net))

    yhat = np.empty((6, 2))
    for p in range(6):
        net_pj = [sum(w_ji[j, i] * float(x[p, i]) for i in range(3)) + w_j0[j] for j in range(4)]
        for k in range(2):
            yhat[p, k] = g(sum(w_kj[k, j] * g(net_pj[j]) for j in range(4)) + w_k0[k])
    np.testing.assert_allclose(network(x).detach().numpy(), yhat, rtol=0, atol=1e-12)


def test_hidden_and_output_activations():
    network, x = BPNetwork([2, 3, 1], hidden="tanh", output="identity"), rows(4, 2)
    w1, b1, w2, b2 = parameters_of(network)
    torch.testing.assert_close(network(x).detach(), torch.tanh(x @ w1.T + b1) @ w2.T + b2, rtol=0, atol=1e-15)
    network = BPNetwork([2, 3, 1], hidden="tanh", output="tanh")
    assert network(x * 100).abs().max() <= 1


def test_parameters_are_weight_then_bias_layer_by_layer():
    assert [tuple(p.shape) for p in BPNetwork([3, 5, 2]).parameters()] == [(5, 3), (5,), (2, 5), (2,)]
    members = BPNetwork([3, 5, 2], members=4)
    assert [tuple(p.shape) for p in members.parameters()] == [(4, 5, 3), (4, 5), (4, 2, 5), (4, 2)]
    assert members(rows(7, 3)).shape == (4, 7, 2)


@pytest.mark.parametrize("init", ["nguyen_widrow", "glorot"])
def test_member_r_is_the_single_network_of_seed_plus_r(init):
    members = BPNetwork([3, 5, 4, 2], members=3, seed=11, init=init)
    x = rows(7, 3)
    own_x = torch.stack([rows(7, 3, seed) for seed in range(3)])
    for r in range(3):
        single = BPNetwork([3, 5, 4, 2], seed=11 + r, init=init)
        for together, alone in zip(members.parameters(), single.parameters(), strict=True):
            assert torch.equal(together[r], alone)
        torch.testing.assert_close(members(x)[r], single(x), rtol=0, atol=1e-14)
        torch.testing.assert_close(members(own_x)[r], single(own_x[r]), rtol=0, atol=1e-14)


def test_forward_runs_unchanged_under_functional_call_and_vmap():
    members, x = BPNetwork([3, 5, 2], members=3), rows(7, 3)
    parameters = dict(members.named_parameters())
    mapped = vmap(lambda p: functional_call(members, p, (x,)))(parameters)
    torch.testing.assert_close(mapped, members(x), rtol=0, atol=1e-14)


@pytest.mark.parametrize(("hidden", "straight"), [("sigmoid", 2.0), ("tanh", 1.0)])
def test_nguyen_widrow_tiles_the_input_range(hidden, straight):
    d, h = 2, 50
    weight, bias, *output = parameters_of(BPNetwork([d, h, 1], hidden=hidden, seed=3))
    # Over [-1, 1] each unit's net input is w x + b, |w| = 0.7 h^(1/d) straight stretches.
    lengths = weight.norm(dim=-1)
    torch.testing.assert_close(lengths / straight, torch.full((h,), 0.7 * h ** (1 / d), dtype=torch.float64))
    places = (bias / lengths * weight[:, 0].sign()).sort().values
    torch.testing.assert_close(places, torch.linspace(-1, 1, h, dtype=torch.float64), rtol=0, atol=1e-12)
    assert all(part.abs().max() <= 0.5 for part in output)


def test_nguyen_widrow_of_one_unit_is_centred():
    _, bias, *_ = parameters_of(BPNetwork([1, 1, 1], seed=3))
    assert bias.tolist() == [0.0]


@pytest.mark.parametrize("low", [0.0, -1.0])
def test_a_sine_is_fitted_from_every_seed_whichever_way_its_inputs_are_scaled(low):
    x = torch.linspace(low, 1, 41, dtype=torch.float64).unsqueeze(-1)
    y = torch.sin(2 * torch.pi * (x - low) / (1 - low))
    networks = BPNetwork([1, 5, 1], output="identity", members=20)
    assert train(networks, x, y, goal=1e-6).stop_reason == ["goal"] * 20


def test_glorot_keeps_within_its_bound():
    w1, b1, w2, b2 = parameters_of(BPNetwork([30, 40, 20], init="glorot"))
    for weight, fan in ((w1, 70), (w2, 60)):
        bound = (6 / fan) ** 0.5
        assert 0.95 * bound < weight.abs().max() <= bound
        assert weight.std(correction=0) == pytest.approx(bound / 3**0.5, rel=0.05)
    assert not b1.any()
    assert not b2.any()


def test_same_numbers_on_every_device_and_dtype_without_global_randomness(device):
    state = torch.get_rng_state()
    expected = BPNetwork([3, 5, 2], seed=4)
    x = rows(6, 3)
    network = BPNetwork([3, 5, 2], seed=4, device=device)
    narrow = BPNetwork([3, 5, 2], seed=4, dtype=torch.float32)
    assert torch.equal(torch.get_rng_state(), state)
    for single, double in zip(narrow.parameters(), expected.parameters(), strict=True):
        assert torch.equal(single, double.float())
    y = network(x.to(device))
    assert y.device.type == device.type
    torch.testing.assert_close(
        y.detach().cpu(), expected(x).detach(), rtol=0, atol=0 if device.type != "cuda" else 1e-12
    )


def test_forward_never_makes_the_host_wait():
    with PretendDevice():
        network = BPNetwork([3, 5, 2], members=2, device="pretend")
        x = rows(6, 3).to("pretend")
        with PretendDevice(host_sync="error"):
            network(x).sum().backward()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layer_sizes": [3]}, "needs an input and an output width"),
        ({"layer_sizes": [3, 0, 1]}, "at least 1"),
        ({"layer_sizes": [3, 1], "members": 0}, "members=0"),
        ({"layer_sizes": [3, 1], "hidden": "sigmoyd"}, "Did you mean 'sigmoid'"),
        ({"layer_sizes": [3, 1], "output": "relu"}, "unknown output activation 'relu'"),
        ({"layer_sizes": [3, 1], "init": "he"}, "There are: glorot, nguyen_widrow"),
    ],
)
def test_refusals_say_what_to_pass(arguments, message):
    with pytest.raises(InputError, match=message):
        BPNetwork(**arguments)


def test_configuration_builds_a_network_for_the_datas_widths():
    settings = yaml.safe_load((ROOT / "configs/network/bp.yaml").read_text())
    assert registry.configure("network", settings)[1] == Config()
    network = registry.build("network", settings | {"hidden_sizes": [6, 4], "output": "identity"})(
        3, 2, members=2, seed=9
    )
    assert network.layer_sizes == (3, 6, 4, 2)
    assert (network.members, network.output) == (2, "identity")
    alone = BPNetwork([3, 6, 4, 2], output="identity", seed=10)
    assert torch.equal(next(network.parameters())[1], next(alone.parameters()))
    with pytest.raises(ConfigurationError, match=r"network\.hidden"):
        registry.build("network", {"name": "bp", "hidden": "identity"})
