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
from marketnn.optim.damping import LARGEST, SMALLEST, multiplicative, nielsen
from marketnn.optim.problem import fitting_problem, flat_parameters, load_parameters, sum_of_squares

XOR_X = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=torch.float64)
XOR_Y = torch.tensor([[0], [1], [1], [0]], dtype=torch.float64)


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def sine(n: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.linspace(0, 1, n, dtype=torch.float64).unsqueeze(-1)
    return x, 0.5 + 0.4 * torch.sin(2 * torch.pi * x)


def linear_network(d: int = 4, m: int = 2) -> BPNetwork:
    return BPNetwork([d, m], output="identity")


def jacobian(network, x, y):
    """J (n m, P) and e (n m,), from one autograd pass per residual."""
    e, parameters = (y - network(x)).flatten(), list(network.parameters())
    rows = [torch.autograd.grad(value, parameters, retain_graph=True) for value in e]
    return torch.stack([torch.cat([part.flatten() for part in row]) for row in rows]), e.detach()


def damped_step(jtj, jte, damping):
    """Eq. 2.7 as it stands, for any leading dimensions."""
    matrix = jtj + damping[..., None, None] * torch.eye(jtj.shape[-1], dtype=jtj.dtype)
    return torch.linalg.solve(matrix, -jte)


@pytest.mark.parametrize("damping", [1.0, 1e2, 1e4, 1e6])
def test_large_damping_tends_to_gradient_descent_within_the_closed_form_bound(damping):
    network, x, y = BPNetwork([3, 5, 1], seed=1), draw(60, 3), draw(60, 1, seed=1)
    jtj, jte, _ = gauss_newton_system(network, x, y)
    step = damped_step(jtj, jte, torch.tensor(damping, dtype=torch.float64))
    largest = torch.linalg.eigvalsh(jtj)[-1]
    error = (damping * step + jte).norm() / jte.norm()
    assert 0 < error <= largest / (largest + damping)


@pytest.mark.parametrize("damping", [1e-6, 1e-3, 1.0, 1e3])
def test_the_step_is_the_damped_svd_filter_and_equals_every_other_form(damping):
    network, x, y = BPNetwork([3, 5, 2], seed=1), draw(60, 3), draw(60, 2, seed=1)
    jac, e = jacobian(network, x, y)
    jtj, jte, _ = gauss_newton_system(network, x, y, chunk_rows=7)
    mu = torch.tensor(damping, dtype=torch.float64)
    primal = damped_step(jtj, jte, mu)
    dual = jac.T @ damped_step(jac @ jac.T, e, mu)
    p = jac.shape[1]
    augmented = torch.cat([jac, damping**0.5 * torch.eye(p, dtype=jac.dtype)])
    right = torch.cat([-e, e.new_zeros(p)]).unsqueeze(-1)
    by_qr = torch.linalg.lstsq(augmented, right).solution.squeeze(-1)
    u, s, vh = torch.linalg.svd(jac, full_matrices=False)
    by_svd = -vh.T @ (s / (s**2 + damping) * (u.T @ e))
    batched = damped_step(torch.stack([jtj, 2 * jtj]), torch.stack([jte, jte]), torch.stack([mu, mu]))
    condition = float((s[0] ** 2 + damping) / damping)
    for other in (dual, by_qr, by_svd, batched[0]):
        assert (primal - other).norm() <= max(1e-10, 1e-15 * condition) * primal.norm()


def test_small_damping_of_a_linear_network_is_least_squares_in_one_step():
    x, y = draw(50, 4), draw(50, 2, seed=1)
    network = linear_network()
    report = LevenbergMarquardt(network, damping=1e-14).step(x, y)
    design = np.column_stack([x.numpy(), np.ones(50)])
    solution, residual, *_ = np.linalg.lstsq(design, y.numpy(), rcond=None)
    weight, bias = (parameter.detach().numpy() for parameter in network.parameters())
    np.testing.assert_allclose(np.column_stack([weight, bias]).T, solution, rtol=0, atol=1e-12)
    assert float(report.new_loss) == pytest.approx(residual.sum() / 100, rel=1e-12)
    assert float(report.gain_ratio) == pytest.approx(1, abs=1e-9)


def test_the_step_shrinks_strictly_as_damping_grows():
    network, x, y = linear_network(), draw(50, 4), draw(50, 2, seed=1)
    jtj, jte, _ = gauss_newton_system(network, x, y)
    dampings = torch.logspace(-8, 8, 60, dtype=torch.float64)
    steps = damped_step(jtj.expand(60, -1, -1), jte.expand(60, -1), dampings)
    assert (steps.norm(dim=-1).diff() < 0).all()


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 999), exponent=st.floats(-6, 6))
def test_the_step_points_downhill_and_the_printed_sign_with_the_outputs_jacobian_uphill(seed, exponent):
    network, x, y = BPNetwork([2, 4, 1], seed=seed), draw(15, 2, seed=seed), draw(15, 1, seed=seed + 1)
    jtj, jte, _ = gauss_newton_system(network, x, y)
    mu = torch.tensor(10**exponent, dtype=torch.float64)
    step = damped_step(jtj, jte, mu)
    assert step @ jte < 0
    uphill = damped_step(jtj, -jte, mu)  # J of the outputs multiplies e = y - yhat
    assert uphill @ jte > 0


def test_one_step_is_equation_2_7_with_unnormalised_matrices_and_mse():
    network, x, y = BPNetwork([3, 4, 2], seed=2), draw(20, 3), draw(20, 2, seed=1)
    weight = 0.5 + draw(20, seed=3)
    jtj, jte, sse = gauss_newton_system(network, x, y, weight=weight)
    before = flat_parameters(network)
    report = LevenbergMarquardt(network, damping=0.5).step(x, y, weight)
    assert bool(report.accepted)
    assert (int(report.tries), float(report.damping)) == (1, 0.5)
    expected = before - torch.linalg.solve(jtj + 0.5 * torch.eye(len(jte), dtype=jtj.dtype), jte)
    torch.testing.assert_close(flat_parameters(network), expected, rtol=0, atol=1e-12)
    terms = 2 * weight.sum()
    new_sse = (weight.unsqueeze(-1) * (y - network(x).detach()).square()).sum()
    assert float(report.loss) == pytest.approx(float(sse / terms), rel=1e-14)
    assert float(report.new_loss) == pytest.approx(float(new_sse / terms), rel=1e-14)
    assert float(report.gradient_norm) == pytest.approx(float(2 * jte.norm() / terms), rel=1e-14)
    h = expected - before
    predicted = -(2 * jte @ h + h @ jtj @ h)
    assert float(report.gain_ratio) == pytest.approx(float((sse - new_sse) / predicted), rel=1e-9)


def test_damping_rules():
    for gain, factor in ((1.0, 1 / 3), (5.0, 1 / 3), (1e200, 1 / 3), (0.5, 1.0), (0.25, 1.125), (0.0, 2.0)):
        assert nielsen(6.0, 8.0, gain, True) == pytest.approx((6 * factor, 2))
    assert nielsen(6.0, 8.0, -1.0, False) == (48, 16)
    assert multiplicative(6.0, 2.0, 1.0, True) == pytest.approx((0.6, 2))
    assert multiplicative(6.0, 2.0, -1.0, False) == (60, 2)
    assert multiplicative(SMALLEST, 2.0, 1.0, True)[0] == SMALLEST


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 999),
    rule=st.sampled_from(["nielsen", "multiplicative"]),
    solver=st.sampled_from(["primal", "dual"]),
    damping=st.sampled_from([1e-9, 1e-3, 10.0]),
)
def test_the_loss_never_rises(seed, rule, solver, damping):
    network, x, y = BPNetwork([2, 4, 1], seed=seed), 10 * draw(12, 2, seed=seed), draw(12, 1, seed=seed + 1)
    optimizer = LevenbergMarquardt(network, damping=damping, damping_rule=rule, solver=solver)
    last = torch.inf
    for _ in range(15):
        before = flat_parameters(network)
        report = optimizer.step(x, y)
        assert report.loss <= last * (1 + 1e-12)
        if bool(report.accepted):
            assert report.new_loss < report.loss
        else:
            assert torch.equal(flat_parameters(network), before)
            assert report.new_loss == report.loss
        last = report.new_loss
    assert last == pytest.approx(float((y - network(x).detach()).square().mean()), rel=1e-9)


@pytest.mark.parametrize(("rule", "tries"), [("nielsen", 9), ("multiplicative", 14)])
def test_a_step_whose_every_try_fails_leaves_the_parameters(rule, tries):
    network, (x, y) = BPNetwork([1, 4, 1]), sine()
    y = network(x).detach()
    before = flat_parameters(network)
    optimizer = LevenbergMarquardt(network, damping_rule=rule, solver="primal")
    report = optimizer.step(x, y)
    assert torch.equal(flat_parameters(network), before)
    assert not bool(report.accepted)
    assert report.damping > LARGEST
    assert int(report.tries) == tries
    again = optimizer.step(x, y)
    assert (int(again.tries), bool(again.accepted)) == (0, False)


@pytest.mark.parametrize("solver", ["primal", "dual"])
@pytest.mark.parametrize("own_data", [False, True])
def test_a_member_is_the_same_network_alone(solver, own_data):
    lead = (4,) if own_data else ()
    x, y = draw(*lead, 12, 2), draw(*lead, 12, 1, seed=1)
    members = BPNetwork([2, 4, 1], members=4, seed=20)
    together = LevenbergMarquardt(members, solver=solver)
    reports = [together.step(x, y) for _ in range(8)]
    for r in range(4):
        single = BPNetwork([2, 4, 1], seed=20 + r)
        alone = LevenbergMarquardt(single, solver=solver)
        for report in reports:
            own = alone.step(x[r] if own_data else x, y[r] if own_data else y)
            for name in ("loss", "new_loss", "damping", "gradient_norm"):
                assert float(getattr(report, name)[r]) == pytest.approx(float(getattr(own, name)), rel=1e-8, abs=1e-12)
            assert (int(report.tries[r]), bool(report.accepted[r])) == (int(own.tries), bool(own.accepted))
        torch.testing.assert_close(flat_parameters(members)[r], flat_parameters(single), rtol=1e-10, atol=1e-10)


def test_inactive_members_keep_parameters_and_damping():
    members, (x, y) = BPNetwork([1, 4, 1], members=3), sine()
    optimizer = LevenbergMarquardt(members)
    optimizer.step(x, y)
    before, damping = flat_parameters(members), optimizer.state_dict()["damping"]
    report = optimizer.step(x, y, active=torch.tensor([True, False, True]))
    assert report.accepted.tolist() == [True, False, True]
    assert [tries > 0 for tries in report.tries.tolist()] == [True, False, True]
    assert (flat_parameters(members) == before).all(-1).tolist() == [False, True, False]
    assert (optimizer.state_dict()["damping"] == damping).tolist() == [False, True, False]


@pytest.mark.parametrize("rule", ["nielsen", "multiplicative"])
def test_xor_and_sine_are_fitted_from_several_seeds(rule):
    for sizes, (x, y) in (([2, 4, 1], (XOR_X, XOR_Y)), ([1, 10, 1], sine())):
        network = BPNetwork(sizes, output="identity", members=5, seed=0)
        optimizer = LevenbergMarquardt(network, damping_rule=rule)
        for _ in range(60):
            report = optimizer.step(x, y)
        assert report.new_loss.max() < 1e-6


@pytest.mark.parametrize(
    ("layer_sizes", "n_rows", "taken"),
    [([1, 5, 1], 41, "jacobian"), ([25, 16, 5], 2_000, "packed"), ([20, 30, 1], 15, "gram")],
)
def test_auto_takes_the_fastest_path_and_all_paths_take_the_same_step(layer_sizes, n_rows, taken):
    x, y = draw(n_rows, layer_sizes[0]), draw(n_rows, layer_sizes[-1], seed=1)
    weights, taken_paths = {}, {}
    for solver in ("auto", "primal", "dual", "packed", "jacobian", "gram", "autodiff", "autodiff_gram"):
        if n_rows > 1_000 and solver in ("dual", "gram", "autodiff_gram"):
            continue
        network = BPNetwork(layer_sizes)
        optimizer = LevenbergMarquardt(network, solver=solver, damping=0.1)
        optimizer.step(x, y)
        weights[solver], taken_paths[solver] = flat_parameters(network), optimizer.path
    assert taken_paths.pop("auto") == taken
    assert taken_paths.pop("primal") in ("packed", "jacobian")
    assert taken_paths.pop("dual", "gram") == "gram"
    assert all(solver == path for solver, path in taken_paths.items())
    for found in weights.values():
        torch.testing.assert_close(found, weights["autodiff"], rtol=0, atol=1e-9)


def test_single_precision_accumulation_reaches_the_same_optimum():
    x, y = draw(200, 2), draw(200, 1, seed=1)
    weights = []
    for dtype in (None, torch.float32):
        network = BPNetwork([2, 1], seed=3)
        optimizer = LevenbergMarquardt(network, accumulate_dtype=dtype)
        for _ in range(30):
            optimizer.step(x, y)
        weights.append(flat_parameters(network))
    torch.testing.assert_close(weights[1], weights[0], rtol=0, atol=1e-7)


def run(device: torch.device | str, members: int | None, solver: str) -> list[torch.Tensor]:
    network = BPNetwork([2, 5, 1], members=members, seed=3, device=device)
    x, y = draw(14, 2).to(device), draw(14, 1, seed=1).to(device)
    optimizer = LevenbergMarquardt(network, solver=solver)
    reports = [optimizer.step(x, y) for _ in range(6)]
    return [flat_parameters(network).cpu(), *(report.damping.cpu() for report in reports)]


@pytest.mark.parametrize("members", [None, 3])
@pytest.mark.parametrize("solver", ["primal", "dual"])
def test_same_seed_same_bits_on_every_device(device, members, solver):
    found, expected = run(device, members, solver), run("cpu", members, solver)
    for mine, theirs in zip(found, expected, strict=True):
        if device.type == "cuda":
            torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-8)
        else:
            assert torch.equal(mine, theirs)


def test_kernels_never_make_the_host_wait_and_a_step_waits_once_per_try():
    with PretendDevice():
        network = BPNetwork([2, 5, 1], members=2, device="pretend")
        problem = fitting_problem(network, draw(14, 2).to("pretend"), draw(14, 1).to("pretend"))
        with PretendDevice(host_sync="error"):
            w = flat_parameters(network)
            _, jte, _ = gauss_newton_system(network, problem.x, problem.y)
            sum_of_squares(problem, w - jte)
            load_parameters(network, w - jte)
            with pytest.raises(RuntimeError, match="host would wait"):
                LevenbergMarquardt(network).step(problem.x, problem.y)


@pytest.mark.parametrize("name", ["x", "y", "weight"])
@pytest.mark.parametrize("members", [None, 2])
def test_data_that_are_not_finite_leave_everything_untouched(name, members):
    data = {"x": draw(12, 2), "y": draw(12, 1), "weight": torch.ones(12, dtype=torch.float64)}
    data[name][4] = -1.0 if name == "weight" else torch.nan
    network = BPNetwork([2, 3, 1], members=members)
    before, optimizer = flat_parameters(network), LevenbergMarquardt(network)
    state = optimizer.state_dict()
    with pytest.raises(InputError, match=rf"the loss is not finite \(nan.*{name} is .*not finite in row 5; repair"):
        optimizer.step(**data)
    assert torch.equal(flat_parameters(network), before)
    assert all(torch.equal(value, state[key]) for key, value in optimizer.state_dict().items())


def test_an_overflowing_loss_is_refused():
    with pytest.raises(InputError, match=r"not finite \(inf\) although the data are"):
        LevenbergMarquardt(BPNetwork([2, 1])).step(draw(5, 2), 1e200 * draw(5, 1))


def test_state_continues_a_run_bit_for_bit():
    x, y = sine()
    network = BPNetwork([1, 5, 1])
    optimizer = LevenbergMarquardt(network)
    for _ in range(3):
        optimizer.step(x, y)
    copy = BPNetwork([1, 5, 1])
    copy.load_state_dict(network.state_dict())
    resumed = LevenbergMarquardt(copy)
    resumed.load_state_dict(optimizer.state_dict())
    for _ in range(3):
        optimizer.step(x, y)
        resumed.step(x, y)
    assert torch.equal(flat_parameters(network), flat_parameters(copy))
    with pytest.raises(
        InputError,
        match=r"the state holds damping \(\), growth \(\), loss \(\), terms \(\), learned \(\); .* of \(2,\)",
    ):
        LevenbergMarquardt(BPNetwork([1, 5, 1], members=2)).load_state_dict(optimizer.state_dict())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"damping": 0.0}, "damping=0 is not possible"),
        ({"damping": 1e11}, "damping=1e"),
        ({"damping": -1e-3}, "damping=-0.001 is not possible"),
        ({"damping": float("nan")}, "damping=nan is not possible"),
        ({"damping": "small"}, "damping='small' is not possible"),
        ({"accumulate_dtype": "float32"}, "accumulate_dtype='float32' is no dtype"),
        ({"chunk_rows": 0}, "chunk_rows=0"),
        ({"damping_rule": "nilsen"}, "Did you mean 'nielsen'"),
        ({"solver": "qr"}, "There are: auto, autodiff, autodiff_gram, dual, gram, jacobian, packed, primal"),
    ],
)
def test_refusals_say_what_to_pass(arguments, message):
    with pytest.raises(InputError, match=message):
        LevenbergMarquardt(BPNetwork([1, 1]), **arguments)
