from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pretend_device import PretendDevice
from torch.profiler import ProfilerActivity, profile

from marketnn.network import BPNetwork
from marketnn.optim.paths import autodiff_gram
from marketnn.optim.paths.autodiff_gram import AutodiffGramPath
from marketnn.optim.paths.dense import dense_shape, module_order
from marketnn.optim.paths.dense_paths import GramPath
from marketnn.optim.paths.gram import dual_system
from marketnn.optim.paths.linearisation import Dual
from marketnn.optim.problem import Problem, fitting_problem, flat_parameters, residual


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def drawn_problem(
    network: torch.nn.Module, n: int, d: int, m: int, *, weighted: bool = False, own_data: bool = False, seed: int = 0
) -> Problem:
    lead = (network.members,) if own_data else ()
    weight = 3 * draw(*lead, n, seed=seed + 2) if weighted else None
    return fitting_problem(network, draw(*lead, n, d, seed=seed), draw(*lead, n, m, seed=seed + 1), weight)


def vectors(network: torch.nn.Module) -> torch.Tensor:
    """The parameters (R, P) in the module's order."""
    w = flat_parameters(network)
    return w if w.dim() == 2 else w.unsqueeze(0)


def dense_system(problem: Problem) -> tuple[Dual, torch.Tensor]:
    """The system, and where the module's parameters stand in its vectors."""
    dense = dense_shape(problem.module)
    w = vectors(problem.module)
    order = module_order(dense, w.device)
    own = torch.empty_like(w).index_copy_(1, order, w)
    return dual_system(dense, own, problem), order


def explicit(problem: Problem, single: torch.nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """J (R, q, P) of the outputs and e (R, q), outputs outermost, from one autograd pass per residual."""
    jacobians, residuals = [], []
    for r, w_p in enumerate(vectors(problem.module)):
        own_x = problem.x[r] if problem.members and problem.x.dim() == 3 else problem.x
        own_y = problem.y[r] if problem.members and problem.y.dim() == 3 else problem.y
        root = problem.root_weight
        root = root[r] if root is not None and root.dim() == 2 else root

        def e(w, x=own_x, y=own_y, s=root):
            return residual(single, w, x, y, s).mT.flatten()

        jacobians.append(-torch.autograd.functional.jacobian(e, w_p))
        residuals.append(e(w_p).detach())
    return torch.stack(jacobians), torch.stack(residuals)


def assert_products(system: Dual, jac: torch.Tensor, e: torch.Tensor) -> None:
    """Compare e, J J^T, J v and J^T u with those of an explicit J, and J with its transpose."""
    gram = jac @ jac.mT
    torch.testing.assert_close(system.e, e, rtol=0, atol=1e-14)
    torch.testing.assert_close(system.gram / gram.abs().max(), gram / gram.abs().max(), rtol=0, atol=1e-12)
    v, u = draw(*jac.shape[::2], seed=7) - 0.5, draw(*jac.shape[:2], seed=8) - 0.5
    jv, jtu = system.push_forward(v), system.pull_back(u)
    torch.testing.assert_close(jv, (jac @ v.unsqueeze(-1)).squeeze(-1), rtol=0, atol=1e-12)
    torch.testing.assert_close(jtu, (jac.mT @ u.unsqueeze(-1)).squeeze(-1), rtol=0, atol=1e-12)
    torch.testing.assert_close((jv * u).sum(1), (v * jtu).sum(1), rtol=0, atol=1e-12)


SHAPES = {
    "hidden_sizes": st.lists(st.integers(1, 6), min_size=0, max_size=2),
    "outputs": st.integers(1, 5),
    "members": st.sampled_from([None, 1, 3]),
    "weighted": st.booleans(),
    "own_data": st.booleans(),
    "hidden": st.sampled_from(["sigmoid", "tanh"]),
    "output": st.sampled_from(["sigmoid", "identity", "tanh"]),
    "n": st.integers(1, 9),
    "seed": st.integers(0, 99),
}


@settings(deadline=None, max_examples=60)
@given(**SHAPES)
def test_products_equal_those_of_the_explicit_jacobian(
    hidden_sizes, outputs, members, weighted, own_data, hidden, output, n, seed
):
    sizes, functions = [3, *hidden_sizes, outputs], {"hidden": hidden, "output": output}
    network = BPNetwork(sizes, members=members, seed=seed, **functions)
    problem = drawn_problem(
        network, n, 3, outputs, weighted=weighted, own_data=own_data and members is not None, seed=seed
    )
    jac, e = explicit(problem, BPNetwork(sizes, **functions))
    system, order = dense_system(problem)
    assert_products(system, torch.empty_like(jac).index_copy_(2, order, jac), e)
    by_autodiff = AutodiffGramPath(network, None).linearise(problem, vectors(network))
    assert_products(by_autodiff, jac, e)


@pytest.mark.parametrize("n", [127, 128, 129, 300])
@pytest.mark.parametrize("outputs", [1, 3])
def test_more_rows_than_a_panel_holds(n, outputs):
    network = BPNetwork([3, 4, 3, outputs], members=2)
    problem = drawn_problem(network, n, 3, outputs, weighted=True)
    system, _ = dense_system(problem)
    w = vectors(network)
    jac = torch.func.vmap(torch.func.jacrev(lambda w: residual(network, w, problem.x, problem.y, None)))(w)
    jac = (problem.root_weight.view(1, n, 1, 1) * jac).transpose(1, 2).flatten(1, 2)
    torch.testing.assert_close(system.gram, jac @ jac.mT, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(system.gram, system.gram.mT, rtol=0, atol=1e-14)


@pytest.mark.parametrize("block_rows", [None, 1, 4, 9])
def test_any_module_that_maps_rows_whatever_the_block(block_rows):
    module = torch.nn.Sequential(
        torch.nn.Conv1d(1, 2, 3), torch.nn.Softplus(), torch.nn.Flatten(), torch.nn.Linear(6, 2)
    ).double()
    problem = fitting_problem(module, draw(9, 1, 5), draw(9, 2, seed=1), draw(9, seed=2))
    jac, e = explicit(problem, module)
    assert_products(AutodiffGramPath(module, None).linearise(problem, vectors(module)), jac, e)
    gram = autodiff_gram.gram(problem, vectors(module), block_rows)
    torch.testing.assert_close(gram, jac @ jac.mT, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["dense", "autodiff"])
def test_same_bits_on_every_device_without_host_waits(device, kind):
    def products(where: torch.device | str) -> list[torch.Tensor]:
        network = BPNetwork([3, 4, 2], members=2, device=where)
        x, y, weight = (tensor.to(where) for tensor in (draw(150, 3), draw(150, 2, seed=1), draw(150, seed=2)))
        problem = fitting_problem(network, x, y, weight)
        w = vectors(network)
        v, u = draw(*w.shape, seed=3).to(where), draw(2, 300, seed=4).to(where)

        def compute() -> list[torch.Tensor]:
            if kind == "dense":
                system = dual_system(dense_shape(network), w, problem)
            else:
                system = AutodiffGramPath(network, None).linearise(problem, w)
            return [system.e, system.gram, system.push_forward(v), system.pull_back(u)]

        if str(where).startswith("pretend"):
            with PretendDevice(host_sync="error"):
                return compute()
        return compute()

    for mine, theirs in zip(products(device), products("cpu"), strict=True):
        assert mine.device.type == device.type
        if device.type == "cuda":
            torch.testing.assert_close(mine.cpu(), theirs)
        else:
            assert torch.equal(mine.cpu(), theirs)


def peak_bytes(function: Callable[[], object]) -> int:
    """The most that tensors made by a function hold at one time."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        function()
    events = profiled.profiler.kineto_results.events()
    changes = [event.nbytes() for event in sorted(events, key=lambda e: e.start_ns()) if event.name() == "[memory]"]
    return max(itertools.accumulate(changes))


@pytest.mark.parametrize("outputs", [1, 3, 10])
@pytest.mark.parametrize("members", [None, 40])
def test_default_chunks_of_losses_and_curvatures_stay_near_32_mb(members, outputs):
    network = BPNetwork([20, 30, outputs], members=members)
    problem = drawn_problem(network, 9_000, 20, outputs)
    path = GramPath(network, dense_shape(network), None)
    with torch.no_grad():
        w = path.read().clone()
        assert peak_bytes(lambda: path.sse(problem, w)) <= 2**25
        assert peak_bytes(lambda: path.bend(problem, w, torch.ones_like(w))) <= 1.2 * 2**25
