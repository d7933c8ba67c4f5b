"""What the paths hold between and within steps: no stale data or parameters, one workspace, memory near its stated bound."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from marketnn.errors import InputError
from marketnn.network import BPNetwork
from marketnn.optim import LevenbergMarquardt
from marketnn.optim.paths.autodiff import default_chunk_rows
from marketnn.optim.paths.jacobian import JacobianPath
from marketnn.optim.paths.solver import Settings, build_path
from marketnn.optim.problem import fitting_problem, flat_parameters

PATHS = ("packed", "jacobian", "gram", "autodiff", "autodiff_gram")


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def peak_bytes(work: Callable[[], object]) -> int:
    """The most that is held at a time of what the work allocates."""
    with torch.no_grad(), torch.autograd.profiler.profile(profile_memory=True) as profile:
        work()
    assert profile.kineto_results is not None
    events = [event for event in profile.kineto_results.events() if event.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak


@pytest.mark.parametrize("output", ["identity", "sigmoid"])
@pytest.mark.parametrize("refill", ["numpy", "data", "in place"])
@pytest.mark.parametrize("name", PATHS)
def test_data_refilled_behind_autograds_back_are_seen(name, refill, output):
    network = BPNetwork([2, 3, 1], output=output, members=2)
    x, y = draw(2, 9, 2), draw(9, 1, seed=1)
    problem = fitting_problem(network, x, y)
    path = build_path(name, network, Settings(name))
    with torch.no_grad():
        before = path.linearise(problem, path.read()).jte.clone()
        for data, seed in ((x, 5), (y, 6)):
            new = draw(*data.shape, seed=seed)
            if refill == "numpy":
                data.numpy()[:] = new.numpy()
            elif refill == "data":
                data.data.copy_(new)
            else:
                data.copy_(new)
        fresh = build_path(name, network, Settings(name))
        found = path.linearise(problem, path.read()).jte.clone()
        expected = fresh.linearise(fitting_problem(network, x.clone(), y.clone()), fresh.read()).jte
        assert torch.equal(found, expected)
        assert not torch.allclose(found, before)
        assert torch.equal(path.sse(problem, path.read()), fresh.sse(problem, fresh.read()))


@pytest.mark.parametrize("weighted", [False, True])
def test_retries_of_fewer_networks_on_their_own_data_use_the_memory_of_all(weighted):
    members, n = 8, 200
    network = BPNetwork([3, 5, 1], members=members, output="identity")
    weight = 0.5 + draw(members, n, seed=2) if weighted else None
    problem = fitting_problem(network, draw(members, n, 3), draw(members, n, 1, seed=1), weight)
    path = JacobianPath(network, build_path("packed", network, Settings("packed")).dense, None)
    with torch.no_grad():
        w = path.read().clone()
    jac_bytes = 8 * w.shape[1] * n
    assert peak_bytes(lambda: path.linearise(problem, w)) > members * jac_bytes
    for chosen in ([0, 2, 3, 6, 7], [1], [4, 5, 6]):
        numbers = torch.tensor(chosen)
        some, w_some = problem.select(numbers), w[numbers]
        assert peak_bytes(lambda some=some, w_some=w_some: path.sse(some, w_some)) < jac_bytes
        assert peak_bytes(lambda some=some, w_some=w_some: path.linearise(some, w_some)) < jac_bytes
        with torch.no_grad():
            found = path.linearise(some, w_some).jtj.clone()
            expected = path.linearise(problem, w).jtj[numbers]
        assert (found - expected).abs().max() <= 1e-12 * expected.abs().max()


@pytest.mark.parametrize("outputs", [1, 3, 10])
def test_packed_pairs_of_a_chunk_stay_near_32_megabytes(outputs):
    network = BPNetwork([12, 60, outputs])
    n = 4_000
    problem = fitting_problem(network, draw(n, 12), draw(n, outputs, seed=1))
    path = build_path("packed", network, Settings("packed"))
    with torch.no_grad():
        w = path.read()
    held = peak_bytes(lambda: path.linearise(problem, w))
    kept = 8 * (w.numel() ** 2 + sum(each.numel() for each in path._products.sums()))
    assert held - kept < 1.5 * 2**25


@pytest.mark.parametrize("outputs", range(1, 11))
def test_the_jacobian_of_a_chunk_stays_near_64_megabytes(outputs):
    network = BPNetwork([40, 30, outputs])
    w = flat_parameters(network).unsqueeze(0)
    rows = default_chunk_rows(w, outputs)
    assert rows == min(2_000, 2**23 // (w.numel() * outputs))
    assert default_chunk_rows(w.expand(1_000, -1), outputs) == max(1, 2**23 // (1_000 * w.numel() * outputs))


def test_automatic_differentiation_holds_a_chunk_twice_at_most():
    outputs, n = 10, 1_500
    network = BPNetwork([40, 20, outputs])
    problem = fitting_problem(network, draw(n, 40), draw(n, outputs, seed=1))
    path = build_path("autodiff", network, Settings("autodiff"))
    with torch.no_grad():
        w = path.read()
    assert n * outputs * w.numel() > 1.5 * 2**23
    assert 2**26 < peak_bytes(lambda: path.linearise(problem, w)) < 2.5 * 2**26


@pytest.mark.parametrize("replaced", ["attribute", "assign"])
@pytest.mark.parametrize("name", PATHS)
def test_parameters_put_in_anothers_place_are_the_ones_that_are_fitted(name, replaced):
    network, x, y = BPNetwork([3, 4, 1]), draw(12, 3), draw(12, 1, seed=1)
    optimizer = LevenbergMarquardt(network, solver=name)
    optimizer.step(x, y)
    state = {key: 0.5 * value for key, value in network.state_dict().items()}
    if replaced == "assign":
        network.load_state_dict(state, assign=True)
    else:
        for place, layer in enumerate(network.layers):
            layer.weight = torch.nn.Parameter(state[f"layers.{place}.weight"])
            layer.bias = torch.nn.Parameter(state[f"layers.{place}.bias"])
    fresh = copy.deepcopy(network)
    other = LevenbergMarquardt(fresh, solver=name)
    other.load_state_dict(optimizer.state_dict())
    report = optimizer.step(x, y)
    assert bool(report.accepted)
    assert float(report.loss) == pytest.approx(float(other.step(x, y).loss), rel=1e-12)
    torch.testing.assert_close(flat_parameters(network), flat_parameters(fresh), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", PATHS)
def test_parameters_of_another_dtype_need_a_new_optimiser(name):
    network, x, y = BPNetwork([3, 4, 1]), draw(12, 3), draw(12, 1, seed=1)
    optimizer = LevenbergMarquardt(network, solver=name)
    optimizer.step(x, y)
    network.to(torch.float32)
    before = flat_parameters(network)
    for data in ((x, y), (x.float(), y.float())):
        with pytest.raises(InputError, match=r"make a new optimiser|pass x.to"):
            optimizer.step(*data)
    assert torch.equal(flat_parameters(network), before)
    assert bool(LevenbergMarquardt(network, solver=name).step(x.float(), y.float()).accepted)
