from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pretend_device import PretendDevice

from marketnn.errors import InputError
from marketnn.network import BPNetwork
from marketnn.optim import LevenbergMarquardt, gauss_newton_system
from marketnn.optim.minibatch import MiniBatchLM
from marketnn.optim.paths.autodiff import AutodiffPath
from marketnn.optim.paths.dense import dense_shape
from marketnn.optim.paths.dense_paths import PackedPath
from marketnn.optim.paths.solver import LARGEST_JTJ, Settings, choose_solver
from marketnn.optim.problem import active_members, fitting_problem, flat_parameters, load_parameters


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def explicit_system(network, x, y, weight=None):
    """J^T J, J^T e, sse and J of a single network, from one autograd pass per residual."""
    e = (y - network(x)).flatten()
    parameters = list(network.parameters())
    gradients = [torch.autograd.grad(value, parameters, retain_graph=True) for value in e]
    jac = torch.stack([torch.cat([part.flatten() for part in row]) for row in gradients])
    each = torch.ones_like(e) if weight is None else weight.repeat_interleave(y.shape[-1])
    e = e.detach()
    return jac.T @ (each[:, None] * jac), jac.T @ (each * e), (each * e * e).sum(), jac


def assert_systems_close(ours, expected):
    for mine, theirs in zip(ours, expected, strict=True):
        scale = theirs.abs().max()
        torch.testing.assert_close(mine / scale, theirs / scale, rtol=0, atol=1e-12)


@settings(deadline=None, max_examples=120)
@given(
    hidden_sizes=st.lists(st.integers(1, 5), min_size=0, max_size=3),
    n_out=st.integers(1, 5),
    members=st.sampled_from([None, 1, 3]),
    weighted=st.booleans(),
    own_data=st.booleans(),
    chunk_rows=st.sampled_from([None, 1, 4, 7, 11, 50]),
    seed=st.integers(0, 99),
    output=st.sampled_from(["identity", "sigmoid", "tanh"]),
    solver=st.sampled_from(["packed", "jacobian", "autodiff"]),
)
def test_equals_the_explicit_jacobian(
    hidden_sizes, n_out, members, weighted, own_data, chunk_rows, seed, output, solver
):
    n, d = 11, 3
    sizes = [d, *hidden_sizes, n_out]
    network = BPNetwork(sizes, members=members, seed=seed, hidden="tanh", output=output)
    lead = (members,) if members and own_data else ()
    x, y = draw(*lead, n, d, seed=seed), draw(*lead, n, n_out, seed=seed + 1)
    weight = 3 * draw(n, seed=seed + 2) if weighted else None
    ours = gauss_newton_system(network, x, y, weight=weight, chunk_rows=chunk_rows, solver=solver)
    for r in range(members or 1):
        single = BPNetwork(sizes, seed=seed + r, hidden="tanh", output=output)
        *expected, _ = explicit_system(single, x[r] if lead else x, y[r] if lead else y, weight)
        assert_systems_close(ours if members is None else [part[r] for part in ours], expected)


def test_any_module_that_maps_rows():
    torch_module = torch.nn.Sequential(
        torch.nn.Conv1d(1, 2, 3), torch.nn.Softplus(), torch.nn.Flatten(), torch.nn.Linear(6, 2)
    ).double()
    x, y = draw(9, 1, 5), draw(9, 2)
    *expected, _ = explicit_system(torch_module, x, y)
    assert_systems_close(gauss_newton_system(torch_module, x, y, chunk_rows=4), expected)


def test_jacobian_is_that_of_the_residual_by_central_differences():
    network, x, y = BPNetwork([3, 4, 2], seed=1), draw(6, 3), draw(6, 2, seed=1)
    *_, jac = explicit_system(network, x, y)
    w = flat_parameters(network)
    numeric = torch.empty_like(jac)
    for p in range(len(w)):
        shift = torch.zeros_like(w)
        shift[p] = 1e-6
        sides = []
        for sign in (1, -1):
            load_parameters(network, w + sign * shift)
            sides.append((y - network(x)).detach().flatten())
        numeric[:, p] = (sides[0] - sides[1]) / 2e-6
    load_parameters(network, w)
    e = (y - network(x)).detach().flatten()
    torch.testing.assert_close(jac, numeric, rtol=0, atol=1e-8)
    assert_systems_close(gauss_newton_system(network, x, y), (jac.T @ jac, jac.T @ e, e @ e))


def test_jte_is_the_gradient_of_half_the_sse_as_backpropagation_gives_it():
    network, x, y = BPNetwork([3, 4, 2], seed=1), draw(20, 3), draw(20, 2, seed=1)
    _, jte, sse = gauss_newton_system(network, x, y)
    w1, b1, w2, b2 = (parameter.detach() for parameter in network.parameters())
    h = torch.sigmoid(x @ w1.T + b1)
    yhat = torch.sigmoid(h @ w2.T + b2)
    d2 = (yhat - y) * yhat * (1 - yhat)
    d1 = (d2 @ w2) * h * (1 - h)
    by_hand = torch.cat([(d1.T @ x).flatten(), d1.sum(0), (d2.T @ h).flatten(), d2.sum(0)])
    torch.testing.assert_close(jte, by_hand, rtol=0, atol=1e-13)
    (0.5 * (y - network(x)).square().sum()).backward()
    torch.testing.assert_close(
        jte, torch.cat([parameter.grad.flatten() for parameter in network.parameters()]), rtol=0, atol=1e-13
    )
    assert float(sse) == pytest.approx(float((y - yhat).square().sum()), rel=1e-14)


@pytest.mark.parametrize("members", [None, 2])
@pytest.mark.parametrize("chunk_rows", [None, 4])
def test_same_bits_on_every_device_without_host_waits(device, members, chunk_rows):
    x, y, weight = draw(10, 3), draw(10, 2, seed=1), draw(10, seed=2)
    expected = gauss_newton_system(BPNetwork([3, 4, 2], members=members), x, y, weight=weight, chunk_rows=chunk_rows)
    network = BPNetwork([3, 4, 2], members=members, device=device)
    arguments = [tensor.to(device) for tensor in (x, y, weight)]

    def run():
        return gauss_newton_system(network, *arguments[:2], weight=arguments[2], chunk_rows=chunk_rows)

    if device.type == "pretend":
        with PretendDevice(host_sync="error"):
            found = run()
    else:
        found = run()
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.device.type == device.type
        if device.type == "cuda":
            torch.testing.assert_close(mine.cpu(), theirs)
        else:
            assert torch.equal(mine.cpu(), theirs)


@pytest.mark.parametrize("path", ["packed", "autodiff"])
def test_coarse_accumulation_leaves_the_gradient_exact(path):
    network, x, y = BPNetwork([3, 6, 1], seed=1), draw(500, 3), draw(500, 1, seed=1)
    problem = fitting_problem(network, x, y)

    def system(dtype):
        if path == "autodiff":
            return AutodiffPath(network, 100, accumulate_dtype=dtype)
        return PackedPath(network, dense_shape(network), 100, accumulate_dtype=dtype)

    fine, coarse = (system(dtype) for dtype in (None, torch.float32))
    with torch.no_grad():
        exact, found = fine.linearise(problem, fine.read()), coarse.linearise(problem, coarse.read())
    assert found.jtj.dtype == torch.float64
    difference = (found.jtj - exact.jtj).tril().abs().max()
    assert 0 < difference < 1e-6 * exact.jtj.tril().abs().max()
    assert torch.equal(found.jte, exact.jte)
    assert torch.equal(found.sse, exact.sse)


@pytest.mark.parametrize(
    ("x", "y", "weight", "message"),
    [
        (draw(5, 3), draw(5), None, r"y has shape \(5,\); .* y.unsqueeze"),
        (draw(5, 3), draw(4, 1), None, "x has 5 rows and y has 4"),
        (draw(0, 3), draw(0, 1), None, "x has 0 rows"),
        (draw(5, 3), draw(5, 2), None, r"outputs \(1,\), y has \(2,\)|outputs \(5, 1\), y has \(5, 2\)"),
        (draw(5, 3), draw(5, 1), draw(4), r"weight has shape \(4,\)"),
        (draw(5, 3).float(), draw(5, 1), None, "x is torch.float32 on cpu, the module torch.float64"),
        (draw(5, 3), draw(2, 5, 1), None, "y has shape"),
        (draw(5, 3)[0, 0], draw(5, 1), None, r"x has shape \(\); pass \(rows, 3\)"),
        (draw(5), draw(5, 1), None, r"x has shape \(5,\); pass \(rows, 3\)"),
        (draw(1, 5, 3), draw(5, 1), None, r"x has shape \(1, 5, 3\); pass \(rows, 3\)"),
        (draw(5, 4), draw(5, 1), None, "x has 4 columns, the network 3 inputs"),
        (draw(5, 3), draw(5, 1), [1.0] * 5, "weight is a list; pass a tensor"),
        (draw(5, 3).tolist(), draw(5, 1), None, "x is a list; pass a tensor"),
    ],
)
def test_data_that_do_not_fit_are_refused(x, y, weight, message):
    with pytest.raises(InputError, match=message):
        gauss_newton_system(BPNetwork([3, 2, 1]), x, y, weight=weight)


def test_members_and_parameterless_modules_are_checked():
    with pytest.raises(InputError, match="leads with 3, but the module has 2 members"):
        gauss_newton_system(BPNetwork([3, 1], members=2), draw(3, 5, 3), draw(5, 1))
    with pytest.raises(InputError, match="Identity has no parameters"):
        gauss_newton_system(torch.nn.Identity(), draw(5, 3), draw(5, 3))


def test_jtj_is_symmetric_and_positive_semidefinite():
    network = BPNetwork([4, 8, 2], seed=2)
    jtj, *_ = gauss_newton_system(network, draw(30, 4), draw(30, 2, seed=1), chunk_rows=7)
    torch.testing.assert_close(jtj, jtj.T, rtol=0, atol=1e-14)
    assert np.linalg.eigvalsh(jtj.numpy()).min() > -1e-12 * float(jtj.trace())


def general() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1)).double()


def second_order(name, module, x, y):
    """One of the three ways into the engine."""
    if name == "gauss_newton_system":
        return gauss_newton_system(module, x, y)
    return (LevenbergMarquardt(module) if name == "LevenbergMarquardt" else MiniBatchLM(module)).step(x, y)


WAYS = ("gauss_newton_system", "LevenbergMarquardt", "MiniBatchLM")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("build", "frozen"), [(general, "2.bias"), (lambda: BPNetwork([3, 4, 1]), "layers.0.weight")], ids=["any", "dense"]
)
def test_a_frozen_parameter_is_refused_and_nothing_moves(way, build, frozen):
    module = build()
    module.get_parameter(frozen).requires_grad_(False)
    before = flat_parameters(module)
    with pytest.raises(InputError, match=rf"parameter '{frozen}' has requires_grad=False.*requires_grad_\(True\)"):
        second_order(way, module, draw(5, 3), draw(5, 1))
    assert torch.equal(flat_parameters(module), before)
    assert fitting_problem(module, draw(5, 3), draw(5, 1), frozen=True).n_rows == 5
    module.requires_grad_(True)
    second_order(way, module, draw(5, 3), draw(5, 1))


class Attention(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = torch.nn.MultiheadAttention(3, 1, dropout=0.5)

    def forward(self, x):
        return self.inner(x.unsqueeze(0), x.unsqueeze(0), x.unsqueeze(0), need_weights=False)[0].sum(0)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (lambda: torch.nn.Dropout(0.5), r"layer '1' \(Dropout\) is in training mode.*module.eval\(\)"),
        (lambda: torch.nn.AlphaDropout(0.5), r"'1' \(AlphaDropout\).*module.eval"),
        (lambda: torch.nn.BatchNorm1d(4), r"'1' \(BatchNorm1d\).*module.eval"),
    ],
    ids=["dropout", "alpha dropout", "batch norm"],
)
def test_layers_that_draw_or_mix_rows_are_refused_in_training_mode_only(way, layer, message):
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), layer(), torch.nn.Tanh(), torch.nn.Linear(4, 1)).double()
    x, y = draw(6, 3), draw(6, 1)
    before = flat_parameters(module)
    with pytest.raises(InputError, match=message):
        second_order(way, module, x, y)
    assert torch.equal(flat_parameters(module), before)
    module.eval()
    *expected, _ = explicit_system(module, x, y)
    assert_systems_close(gauss_newton_system(module, x, y, chunk_rows=4), expected)
    second_order(way, module, x, y)


def test_dropout_within_a_layer_of_none_and_batch_norm_without_statistics():
    x, y = draw(6, 3), draw(6, 3)
    with pytest.raises(InputError, match=r"'inner' \(MultiheadAttention\) is in training mode"):
        gauss_newton_system(Attention().double(), x, y)
    quiet = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Dropout(0.0)).double()
    *expected, _ = explicit_system(quiet, x, y)
    assert_systems_close(gauss_newton_system(quiet, x, y), expected)
    mixing = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(3, track_running_stats=False)).double()
    with pytest.raises(InputError, match="'1' mixes rows; build it with track_running_stats=True"):
        gauss_newton_system(mixing.eval(), x, y)


def test_single_precision_accumulation_takes_buffers_along():
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 1)).double().eval()
    module[1].running_mean.copy_(draw(4))
    module[1].running_var.copy_(0.5 + draw(4, seed=1))
    problem = fitting_problem(module, draw(50, 3), draw(50, 1))
    fine, coarse = (AutodiffPath(module, None, accumulate_dtype=dtype) for dtype in (None, torch.float32))
    with torch.no_grad():
        exact, found = fine.linearise(problem, fine.read()), coarse.linearise(problem, coarse.read())
    assert 0 < (found.jtj - exact.jtj).abs().max() < 1e-6 * exact.jtj.abs().max()
    assert torch.equal(found.jte, exact.jte)
    assert module[1].running_mean.dtype == torch.float64


def test_matrices_beyond_the_budget_are_refused_before_they_are_made():
    network = BPNetwork([100, 400, 1])
    assert LARGEST_JTJ < 8 * 40_801**2
    x, y = draw(6, 100), draw(6, 1)
    message = r"J\^T J of 40,801 parameters takes 13,317,772,808 bytes .*\n.*solver=dual.*MiniBatchLM"
    for solver in ("primal", "packed", "jacobian", "autodiff"):
        with pytest.raises(InputError, match=message):
            gauss_newton_system(network, x, y, solver=solver)
        with pytest.raises(InputError, match=message):
            LevenbergMarquardt(network, solver=solver).step(x, y)
    members = BPNetwork([10, 40, 1], members=5_000)
    with pytest.raises(InputError, match=r"J\^T J of 481 parameters .* for 5000 network\(s\)"):
        gauss_newton_system(members, x[:, :10], y)
    assert bool(LevenbergMarquardt(network).step(x, y).accepted)
    many = 50_000  # more residuals than parameters: only the dual form is left, and too large as well
    rows = fitting_problem(network, x[:1].expand(many, -1), y[:1].expand(many, -1))
    assert choose_solver(network, rows, Settings()) == "gram"
    module = torch.nn.Linear(40_000, 1, dtype=torch.float64)
    rows = fitting_problem(module, draw(1, 40_000).expand(many, -1), y[:1].expand(many, -1))
    assert choose_solver(module, rows, Settings()) == "autodiff_gram"


def test_a_jacobian_beyond_the_budget_is_refused_by_name():
    network = BPNetwork([10, 10, 1])
    rows = fitting_problem(network, draw(1, 10).expand(10**7, -1), draw(1, 1).expand(10**7, -1))
    with pytest.raises(InputError, match=r"J of 10,000,000 rows takes 9,680,000,000 bytes .* pass solver=packed"):
        choose_solver(network, rows, Settings("jacobian"))
    assert choose_solver(network, rows, Settings()) == "packed"


@pytest.mark.parametrize(
    "active", [[1, 0, 1], torch.ones(3), [True, False], torch.ones(3, 1, dtype=torch.bool), torch.tensor(True)]
)
def test_active_must_be_one_truth_value_per_member(active):
    with pytest.raises(InputError, match=r"active is .*; pass one bool per member, \(3,\)"):
        active_members(active, 3)


def test_active_members_are_numbered():
    assert active_members(None, 3) == [0, 1, 2]
    for active in ([True, False, True], torch.tensor([True, False, True]), np.array([True, False, True])):
        assert active_members(active, 3) == [0, 2]
