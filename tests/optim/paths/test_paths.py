"""Every path to a Levenberg-Marquardt step: the same step, the closed forms of eq. 2.7, the choice among them, the host."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pretend_device import PretendDevice, PretendTensor, _host_waits
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from marketnn.network import BPNetwork
from marketnn.optim import LevenbergMarquardt
from marketnn.optim.paths.dense import dense_shape
from marketnn.optim.paths.linearisation import Dual, Primal, solve
from marketnn.optim.paths.solver import Settings, build_path, choose_solver, predicted_seconds
from marketnn.optim.problem import Problem, fitting_problem, flat_parameters

PRIMAL = ("packed", "jacobian", "autodiff")
DUAL = ("gram", "autodiff_gram")
PATHS = PRIMAL + DUAL
DAMPINGS = (1.0, 1e2, 1e4, 1e6)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@dataclass(frozen=True)
class Case:
    """A network, its data and how they are taken."""

    sizes: tuple[int, ...]
    hidden: str
    output: str
    members: int | None
    weight: str
    own_x: bool
    own_y: bool
    n: int
    chunk_rows: int | None
    seed: int

    def network(self) -> BPNetwork:
        return BPNetwork(
            self.sizes, hidden=self.hidden, output=self.output, members=self.members, seed=self.seed, init="glorot"
        )

    def data(self) -> tuple[Tensor, Tensor, Tensor | None]:
        def lead(own: bool) -> tuple[int, ...]:
            return (self.members,) if own and self.members else ()

        x = 2 * draw(*lead(self.own_x), self.n, self.sizes[0], seed=self.seed) - 1
        y = draw(*lead(self.own_y), self.n, self.sizes[-1], seed=self.seed + 1)
        if self.weight == "none":
            return x, y, None
        weight = 3 * draw(*lead(self.weight == "own"), self.n, seed=self.seed + 2)
        weight[..., 0] = 0
        return x, y, weight


cases = st.builds(
    Case,
    sizes=st.builds(
        lambda d, hidden, m: (d, *hidden, m),
        st.integers(1, 4),
        st.lists(st.integers(1, 6), min_size=0, max_size=2),
        st.integers(1, 5),
    ),
    hidden=st.sampled_from(["sigmoid", "tanh"]),
    output=st.sampled_from(["sigmoid", "identity", "tanh"]),
    members=st.sampled_from([None, 1, 3]),
    weight=st.sampled_from(["none", "shared", "own"]),
    own_x=st.booleans(),
    own_y=st.booleans(),
    n=st.integers(2, 14),
    chunk_rows=st.sampled_from([None, 1, 3, 5, 64]),
    seed=st.integers(0, 999),
)


def lm_step(case: Case, solver: str, damping: float) -> tuple[Tensor, str | None]:
    """What one accepted step adds to the parameters, and the path that it took."""
    network = case.network()
    optimizer = LevenbergMarquardt(network, solver=solver, damping=damping, chunk_rows=case.chunk_rows)
    before = flat_parameters(network)
    optimizer.step(*case.data())
    return flat_parameters(network) - before, optimizer.path


def linearised(name: str, problem: Problem, chunk_rows: int | None = None) -> tuple[Any, Any]:
    path = build_path(name, problem.module, Settings(name, chunk_rows))
    with torch.no_grad():
        return path, path.linearise(problem, path.read())


def damped_step(name: str, problem: Problem, damping: float, chunk_rows: int | None = None) -> Tensor:
    """The step (R, P) of a path in the module's order, whether or not it lowers the loss."""
    path, found = linearised(name, problem, chunk_rows)
    mu = torch.full((len(found.sse), 1), damping, dtype=torch.float64)
    if isinstance(found, Primal):
        triangle, _ = found.factor(mu, None)
        step = solve(triangle, -found.jte)
    else:
        step, _ = found.step(mu, None)
    assert step.isfinite().all()
    return path.in_module_order(step)


def explicit(problem: Problem) -> tuple[Tensor, Tensor]:
    """J (n m, P) and e (n m,) of a single network, from one autograd pass per residual."""
    e = (problem.y - problem.module(problem.x)).flatten()
    parameters = list(problem.module.parameters())
    gradients = [torch.autograd.grad(value, parameters, retain_graph=True) for value in e]
    return torch.stack([torch.cat([part.flatten() for part in row]) for row in gradients]), e.detach()


def well_conditioned(n: int, outputs: int = 2) -> Problem:
    network = BPNetwork([3, 5, outputs], seed=1, init="glorot")
    return fitting_problem(network, 4 * draw(n, 3) - 2, draw(n, outputs, seed=1))


@settings(deadline=None, max_examples=50)
@given(case=cases, damping=st.sampled_from([1e-2, 1.0]))
def test_every_path_takes_the_step_of_automatic_differentiation(case, damping):
    expected, taken = lm_step(case, "autodiff", damping)
    assert taken == "autodiff"
    scale = expected.norm(dim=-1)
    assert (scale > 0).all()
    for solver in ("auto", "packed", "jacobian", "gram", "autodiff_gram"):
        step, taken = lm_step(case, solver, damping)
        assert taken == solver or (solver == "auto" and taken in ("packed", "jacobian", "gram"))
        assert ((step - expected).norm(dim=-1) <= 1e-9 * scale).all(), solver


@settings(deadline=None, max_examples=50)
@given(case=cases)
def test_every_path_has_the_same_curvature(case):
    network = case.network()
    problem = fitting_problem(network, *case.data())
    by_path = {name: linearised(name, problem, case.chunk_rows) for name in PATHS}
    reference = by_path["autodiff"][1]
    jtj = reference.jtj.tril() + reference.jtj.tril(-1).mT
    scale = jtj.abs().amax((1, 2))
    for name, (path, found) in by_path.items():
        jte = path.in_module_order(found.jte)
        assert ((jte - reference.jte).abs().amax(-1) <= 1e-12 * reference.jte.abs().amax(-1)).all(), name
        torch.testing.assert_close(found.sse, reference.sse, rtol=1e-12, atol=0)
        if isinstance(found, Primal):
            lower = found.jtj.tril() + found.jtj.tril(-1).mT
            lower = path.in_module_order(lower)
            assert ((lower - jtj).abs().amax((1, 2)) <= 1e-12 * scale).all(), name
        else:
            assert isinstance(found, Dual)
            gram = found.gram.tril() + found.gram.tril(-1).mT
            pulled = -path.in_module_order(found.pull_back(torch.einsum("rqp,rp->rq", gram, found.e)))
            expected = torch.einsum("rqp,rp->rq", jtj, reference.jte)  # J^T (J J^T) e = (J^T J) J^T e
            assert ((pulled - expected).norm(dim=-1) <= 1e-11 * expected.norm(dim=-1)).all(), name
            torch.testing.assert_close(
                gram.diagonal(dim1=1, dim2=2).sum(1), jtj.diagonal(dim1=1, dim2=2).sum(1), rtol=1e-12, atol=0
            )


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("damping", DAMPINGS)
def test_large_damping_tends_to_gradient_descent_within_the_closed_form_bound(name, damping):
    problem = well_conditioned(20)
    jac, e = explicit(problem)
    gradient = jac.T @ e
    step = damped_step(name, problem, damping)[0]
    largest = torch.linalg.svdvals(jac)[0] ** 2
    assert 0 < (damping * step + gradient).norm() / gradient.norm() <= largest / (largest + damping)
    if damping == 1e6:
        assert torch.cosine_similarity(step, -gradient, dim=0) > 1 - 1e-8


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("n", [4, 40])
@pytest.mark.parametrize("damping", [1e-6, 1e-3, 1.0, 1e3])
def test_the_step_is_the_damped_svd_filter_and_the_augmented_qr(name, n, damping):
    """With 32 parameters, 4 rows make fewer residuals than parameters and 40 rows more."""
    problem = well_conditioned(n)
    jac, e = explicit(problem)
    u, s, vh = torch.linalg.svd(jac, full_matrices=False)
    by_svd = -vh.T @ (s / (s**2 + damping) * (u.T @ e))
    augmented = torch.cat([jac, damping**0.5 * torch.eye(jac.shape[1], dtype=jac.dtype)])
    right = torch.cat([-e, e.new_zeros(jac.shape[1])]).unsqueeze(-1)
    by_qr = torch.linalg.lstsq(augmented, right).solution.squeeze(-1)
    condition = float((s[0] ** 2 + damping) / damping)
    step = damped_step(name, problem, damping)[0]
    for expected in (by_svd, by_qr):
        assert (step - expected).norm() <= max(1e-10, 1e-15 * condition) * expected.norm()


@pytest.mark.parametrize("name", PATHS)
@pytest.mark.parametrize("n", [5, 33])
def test_streamed_and_batched_steps_are_the_single_step(name, n):
    x, y = draw(n, 3), draw(n, 2, seed=1)
    alone = [damped_step(name, fitting_problem(BPNetwork([3, 4, 2], seed=s), x, y), 0.1)[0] for s in range(3)]
    members = fitting_problem(BPNetwork([3, 4, 2], members=3), x, y)
    for chunk_rows in (None, 1, 4, 7, 32):
        together = damped_step(name, members, 0.1, chunk_rows)
        for step, expected in zip(together, alone, strict=True):
            assert (step - expected).norm() <= 1e-10 * expected.norm()


@pytest.mark.parametrize("name", PATHS)
def test_small_damping_of_a_linear_network_is_least_squares_in_one_step(name):
    """More rows than parameters where J^T J is factored, fewer where J J^T is: then the shortest solution."""
    n = 50 if name in PRIMAL else 4
    x, y = draw(n, 4), draw(n, 2, seed=1)
    network = BPNetwork([4, 2], output="identity")
    first = np.column_stack([parameter.detach().numpy() for parameter in network.parameters()]).T
    LevenbergMarquardt(network, solver=name, damping=1e-14).step(x, y)
    design = np.column_stack([x.numpy(), np.ones(n)])
    change = np.linalg.lstsq(design, y.numpy() - design @ first, rcond=None)[0]
    found = np.column_stack([parameter.detach().numpy() for parameter in network.parameters()]).T
    np.testing.assert_allclose(found, first + change, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", PATHS)
def test_the_step_shrinks_strictly_as_damping_grows_and_always_points_downhill(name):
    problem = well_conditioned(12)
    jac, e = explicit(problem)
    steps = torch.stack([damped_step(name, problem, 10.0**k)[0] for k in range(-6, 9)])
    assert (steps.norm(dim=-1).diff() < 0).all()
    assert (steps @ (jac.T @ e) < 0).all()


@settings(deadline=None, max_examples=60)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=2, max_size=4),
    output=st.sampled_from(["sigmoid", "identity"]),
    members=st.sampled_from([None, 5]),
    rows=st.lists(st.sampled_from([1, 3, 10, 30, 100, 300, 1_000, 3_000]), min_size=2, max_size=8, unique=True),
)
def test_auto_takes_the_least_predicted_time_and_more_rows_never_lead_from_packed_to_gram(sizes, output, members, rows):
    network = BPNetwork(sizes, output=output, members=members)
    dense = dense_shape(network)
    assert dense is not None
    chosen = []
    for n in sorted(rows):
        problem = fitting_problem(network, draw(1, sizes[0]).expand(n, -1), draw(1, sizes[-1]).expand(n, -1))
        name = choose_solver(network, problem, Settings())
        seconds = {each: predicted_seconds(each, dense, n, members or 1) for each in ("packed", "jacobian", "gram")}
        j_elements = (members or 1) * dense.n_parameters * n * sizes[-1]
        if j_elements > 2**22:
            del seconds["jacobian"]
        assert seconds[name] == min(seconds.values())
        assert choose_solver(network, problem, Settings("dual")) == "gram"
        assert choose_solver(network, problem, Settings("primal")) in ("packed", "jacobian")
        assert choose_solver(network, problem, Settings(accumulate_dtype=torch.float32)) in ("packed", "gram")
        assert choose_solver(network, problem, Settings("primal", chunk_rows=7)) == "packed"
        chosen.append(name)
    assert ("packed", "gram") not in itertools.combinations(chosen, 2)


@settings(deadline=None, max_examples=40)
@given(sizes=st.lists(st.integers(1, 60), min_size=3, max_size=4), n=st.integers(1, 400), factor=st.integers(2, 5))
def test_predicted_times_grow_with_rows_and_members(sizes, n, factor):
    dense = dense_shape(BPNetwork(sizes))
    assert dense is not None
    for name in ("packed", "jacobian", "gram"):
        alone = predicted_seconds(name, dense, n, 1)
        assert 0 < alone < predicted_seconds(name, dense, factor * n, 1)
        assert alone < predicted_seconds(name, dense, n, factor) < factor * alone


@pytest.mark.parametrize(("n", "taken"), [(40, "autodiff"), (5, "autodiff_gram")])
def test_a_general_module_factors_the_smaller_matrix(n, taken):
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Softplus(), torch.nn.Linear(4, 1)).double()
    optimizer = LevenbergMarquardt(module)
    assert optimizer.path is None
    optimizer.step(draw(n, 3), draw(n, 1))
    assert optimizer.path == taken


@pytest.mark.parametrize("members", [None, 3])
@pytest.mark.parametrize("name", PATHS)
def test_same_bits_on_every_device_and_kernels_without_host_waits(device, name, members):
    def run(where: torch.device | str) -> list[Tensor]:
        network = BPNetwork([3, 4, 2], members=members, seed=5, device=where)
        x, y, weight = (part.to(where) for part in (draw(9, 3), draw(9, 2, seed=1), draw(9, seed=2)))
        optimizer = LevenbergMarquardt(network, solver=name, chunk_rows=4)
        damping = [optimizer.step(x, y, weight).damping for _ in range(5)]
        problem = fitting_problem(network, x, y, weight)
        path = build_path(name, network, Settings(name, 4))
        chosen = None if members is None else torch.tensor([0, 2]).to(where)
        if torch.device(where).type != "pretend":
            return [*damping, *(each.cpu() for each in kernels(path, problem, chosen))]
        with PretendDevice(host_sync="error"):
            found = kernels(path, problem, chosen)
        return [*damping, *(each.cpu() for each in found)]

    for mine, theirs in zip(run(device), run("cpu"), strict=True):
        if device.type == "cuda":
            torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-8)
        else:
            assert torch.equal(mine, theirs)


def kernels(path: Any, problem: Problem, chosen: Tensor | None) -> list[Tensor]:
    """All that a path computes on the device, for all networks and for some."""
    with torch.no_grad():
        w = path.read()
        found = path.linearise(problem, w)
        damping = torch.ones_like(w[:, :1])
        if isinstance(found, Primal):
            triangle, failed = found.factor(damping, None)
            step = solve(triangle, -found.jte)
        else:
            step, failed = found.step(damping, None)
        results = [step.clone(), failed, found.jte, found.sse, path.sse(problem, w + step)]
        results.append(path.bend(problem, w, step))
        if chosen is not None:
            some = problem.select(chosen)
            if isinstance(found, Primal):
                results.append(found.factor(damping[:2], chosen)[0].tril())
            else:
                results.append(found.step(damping[:2], chosen)[0])
            results.append(path.sse(some, w.index_select(0, chosen)))
            results.append(path.linearise(some, w.index_select(0, chosen)).jte)
        path.write(w + step)
        return results


class Waits(TorchDispatchMode):
    """Counts how often the host waits for the pretend accelerator; to be entered within it."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        on_device = any(isinstance(leaf, PretendTensor) for leaf in torch.utils._pytree.tree_leaves((args, kwargs)))
        self.count += on_device and _host_waits(func, args, kwargs.get("device"))
        return func(*args, **kwargs)


@pytest.mark.parametrize("members", [None, 3])
@pytest.mark.parametrize(
    ("name", "options"),
    [(name, {}) for name in PATHS]
    + [(name, options) for name in PRIMAL for options in ({"geodesic": True, "scaling": "column"}, {"evidence": True})],
)
def test_the_host_waits_once_per_round_of_trials(name, options, members):
    with PretendDevice():
        network = BPNetwork([2, 4, 1], members=members, seed=1, device="pretend")
        x, y = (5 * draw(40, 2)).to("pretend"), draw(40, 1, seed=1).to("pretend")
        optimizer = LevenbergMarquardt(network, solver=name, damping=1e-9, **options)
        tries = []
        for _ in range(4):
            with Waits() as waits:
                report = optimizer.step(x, y)
            tries.append(int(report.tries.max()))
            assert waits.count == tries[-1]
    assert max(tries) > 1 or "evidence" in options


@pytest.mark.parametrize("name", ["packed", "jacobian", "autodiff"])
@settings(deadline=None, max_examples=12)
@given(case=cases.filter(lambda case: case.members is None))
def test_bend_is_the_pulled_back_second_derivative_of_the_residuals(name, case):
    """Against torch.func along a straight line, and against central differences of the residuals."""
    network = case.network()
    x, y, weight = case.data()
    problem = fitting_problem(network, x, y, weight)
    path = build_path(name, network, Settings(name, case.chunk_rows))
    w, v = flat_parameters(network), draw(flat_parameters(network).numel(), seed=3) - 0.5
    root = torch.ones(case.n, dtype=torch.float64) if weight is None else weight.sqrt()

    def residuals(at: Tensor) -> Tensor:
        pieces, place = {}, 0
        for key, parameter in network.named_parameters():
            pieces[key] = at[place : place + parameter.numel()].view_as(parameter)
            place += parameter.numel()
        return (root.unsqueeze(-1) * (y - torch.func.functional_call(network, pieces, (x,)))).flatten()

    def along(t: Tensor) -> Tensor:
        return residuals(w + t * v)

    zero = torch.zeros((), dtype=torch.float64)
    second = torch.func.jacrev(torch.func.jacrev(along))(zero)
    jac = torch.func.jacrev(residuals)(w)
    h = 1e-4
    differences = (along(zero + h) - 2 * along(zero) + along(zero - h)) / h**2
    with torch.no_grad():
        inverse = torch.empty_like(v)  # from the module's order into the path's
        inverse[path.in_module_order(torch.arange(len(v)).unsqueeze(0))[0]] = v
        bent = path.in_module_order(path.bend(problem, path.read(), inverse.unsqueeze(0)))[0]
    scale = 1 + (jac.abs().T @ second.abs()).max()
    assert (bent - jac.T @ second).abs().max() <= 1e-12 * scale
    assert (bent - jac.T @ differences).abs().max() <= 1e-5 * scale
