"""The options of Levenberg-Marquardt: acceleration, scaling, evidence, coarse products, compilation, rules, mini-batches."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from marketnn.errors import InputError
from marketnn.network import BPNetwork
from marketnn.optim import LevenbergMarquardt, gauss_newton_system, train
from marketnn.optim.damping import LARGEST
from marketnn.optim.evidence import effective_parameters
from marketnn.optim.problem import flat_parameters, load_parameters

PRIMAL = ("packed", "jacobian", "autodiff")


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


class Rosenbrock(nn.Module):
    """Residuals 10 (b - a^2) and 1 - a: a curved valley with its minimum, 0, at (1, 1)."""

    def __init__(self, a: float, b: float) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([a, b], dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.w.unbind()
        return x * torch.stack((10 * (b - a * a), 1 - a))


def steps_to(optimizer: LevenbergMarquardt, x: Tensor, y: Tensor, goal: float, most: int = 500) -> int:
    for step in range(1, most + 1):
        if float(optimizer.step(x, y).new_loss) <= goal:
            return step
    raise AssertionError(f"the loss is still above {goal} after {most} steps")


def sine(n: int = 40) -> tuple[Tensor, Tensor]:
    x = torch.linspace(0, 1, n, dtype=torch.float64).unsqueeze(-1)
    return x, 0.5 + 0.4 * torch.sin(2 * torch.pi * x)


def test_acceleration_needs_fewer_steps_in_a_curved_valley_and_ends_at_the_same_optimum():
    x, y = torch.ones(1, 2, dtype=torch.float64), torch.zeros(1, 2, dtype=torch.float64)
    for start in ((-1.2, 1.0), (-1.0, -1.0), (2.0, -2.0), (0.0, 3.0)):
        counts = {}
        for geodesic in (False, True):
            module = Rosenbrock(*start)
            optimizer = LevenbergMarquardt(module, solver="autodiff", geodesic=geodesic)
            counts[geodesic] = steps_to(optimizer, x, y, 1e-20)
            torch.testing.assert_close(flat_parameters(module), torch.ones_like(module.w.detach()), rtol=0, atol=1e-8)
        assert counts[True] <= counts[False]


@pytest.mark.parametrize("solver", ["packed", "jacobian"])
def test_acceleration_of_a_network_adds_half_the_second_derivative_of_the_geodesic(solver):
    """The step is v + a / 2 with (J^T J + mu I) a = -J^T r_vv; r_vv by differences along v."""
    x, y = draw(30, 2), draw(30, 1, seed=1)
    network = BPNetwork([2, 4, 1], seed=2)
    w = flat_parameters(network)
    jtj, jte, _ = gauss_newton_system(network, x, y)
    damped = jtj + 10 * torch.eye(len(w), dtype=w.dtype)
    v = -torch.linalg.solve(damped, jte)
    outputs = []
    for t in (1e-3, 0.0, -1e-3):
        load_parameters(network, w + t * v)
        outputs.append((y - network(x)).detach())
    bent = (outputs[0] - 2 * outputs[1] + outputs[2]) / 1e-6
    load_parameters(network, w)
    _, jt_bent, _ = gauss_newton_system(network, x, network(x).detach() + bent)  # its e is r_vv
    expected = v - torch.linalg.solve(damped, jt_bent) / 2
    report = LevenbergMarquardt(network, solver=solver, damping=10.0, geodesic=True).step(x, y)
    assert bool(report.accepted)
    assert int(report.tries) == 1
    change = flat_parameters(network) - w
    assert (change - expected).norm() < 1e-4 * (expected - v).norm()


@pytest.mark.parametrize("solver", PRIMAL[:2])
def test_accelerated_networks_reach_the_same_loss_in_no_more_steps(solver):
    x, y = sine()
    counts: dict[bool, int] = {}
    for geodesic in (False, True):
        counts[geodesic] = sum(
            steps_to(
                LevenbergMarquardt(
                    BPNetwork([1, 6, 1], output="identity", seed=seed), solver=solver, geodesic=geodesic
                ),
                x,
                y,
                1e-6,
            )
            for seed in range(6)
        )
    assert counts[True] <= counts[False]


@pytest.mark.parametrize("solver", PRIMAL)
@settings(deadline=None, max_examples=10)
@given(exponents=st.lists(st.floats(-1, 1), min_size=3, max_size=3), seed=st.integers(0, 99))
def test_with_column_scaling_the_steps_do_not_depend_on_the_units_of_the_inputs(solver, exponents, seed):
    """x_j / c_j with weights c_j w_j is the same network; its outputs stay the same through all steps."""
    units = 10.0 ** torch.tensor(exponents, dtype=torch.float64)
    x, y = draw(40, 3, seed=seed), draw(40, 2, seed=seed + 1)
    networks = [BPNetwork([3, 4, 2], seed=seed, output="identity", init="glorot") for _ in range(2)]
    with torch.no_grad():
        networks[1].layers[0].weight *= units
    for network, data in zip(networks, (x, x / units), strict=True):
        optimizer = LevenbergMarquardt(network, solver=solver, scaling="column", damping=100.0)
        for _ in range(2):
            optimizer.step(data, y)
    torch.testing.assert_close(networks[1](x / units), networks[0](x), rtol=0, atol=1e-7)


def test_identity_damping_does_depend_on_the_units_of_the_inputs():
    x, y, units = draw(40, 3), draw(40, 2, seed=1), torch.tensor([100.0, 1.0, 0.01], dtype=torch.float64)
    networks = [BPNetwork([3, 4, 2], init="glorot") for _ in range(2)]
    with torch.no_grad():
        networks[1].layers[0].weight *= units
    LevenbergMarquardt(networks[0], damping=0.1).step(x, y)
    LevenbergMarquardt(networks[1], damping=0.1).step(x / units, y)
    assert (networks[1](x / units) - networks[0](x)).abs().max() > 1e-3


@pytest.mark.parametrize("solver", PRIMAL)
def test_one_column_scaled_step_is_marquardts(solver):
    x, y = draw(30, 2), draw(30, 1, seed=1)
    network = BPNetwork([2, 3, 1], seed=2)
    w = flat_parameters(network)
    jtj, jte, _ = gauss_newton_system(network, x, y)
    report = LevenbergMarquardt(network, solver=solver, scaling="column", damping=0.3).step(x, y)
    expected = w - torch.linalg.solve(jtj + 0.3 * jtj.diagonal().diag(), jte)
    assert (int(report.tries), bool(report.accepted)) == (1, True)
    torch.testing.assert_close(flat_parameters(network), expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("solver", PRIMAL)
def test_evidence_of_a_linear_network_converges_to_mackays_fixed_point(solver):
    """alpha = gamma / |w|^2 and beta = (N - gamma) / |e|^2 (MacKay 1992, eq. 3.2), iterated with NumPy."""
    n, d = 60, 8
    x = normal(n, d)
    y = x @ torch.linspace(0, 1, d, dtype=torch.float64).unsqueeze(-1) + 0.8 * normal(n, 1, seed=1)
    design = np.column_stack([x.numpy(), np.ones(n)])
    gram, moment = design.T @ design, design.T @ y.numpy()[:, 0]
    strength = 1.0
    for _ in range(1_000):
        inverse = np.linalg.inv(gram + strength * np.eye(d + 1))
        w = inverse @ moment
        gamma = d + 1 - strength * np.trace(inverse)
        e = y.numpy()[:, 0] - design @ w
        strength = gamma / (w @ w) * (e @ e) / (n - gamma)
    network = BPNetwork([d, 1], output="identity")
    optimizer = LevenbergMarquardt(network, solver=solver, evidence=True)
    for _ in range(200):
        report = optimizer.step(x, y)
    assert float(optimizer.state_dict()["prior"]) == pytest.approx(strength, rel=1e-6)
    assert report.effective_parameters is not None
    assert float(report.effective_parameters) == pytest.approx(gamma, rel=1e-6)
    np.testing.assert_allclose(flat_parameters(network).numpy(), w, rtol=0, atol=1e-6)


@pytest.mark.parametrize("members", [None, 3])
def test_evidence_keeps_too_many_hidden_units_from_learning_noise(members):
    def noisy(n: int, seed: int) -> tuple[Tensor, Tensor]:
        x = 2 * draw(n, 1, seed=seed) - 1
        return x, torch.sin(3 * x) + 0.3 * normal(n, 1, seed=seed + 1)

    x, y = noisy(60, 3)
    x_test = torch.linspace(-0.95, 0.95, 400, dtype=torch.float64).unsqueeze(-1)
    y_test = torch.sin(3 * x_test)
    errors = {}
    for evidence in (False, True):
        network = BPNetwork([1, 15, 1], hidden="tanh", output="identity", members=members, seed=4)
        optimizer = LevenbergMarquardt(network, solver="primal", evidence=evidence)
        for _ in range(60):
            report = optimizer.step(x, y)
            if evidence:
                assert report.effective_parameters is not None
                assert ((report.effective_parameters >= 0) & (report.effective_parameters <= 46)).all()
        errors[evidence] = (y_test - network(x_test).detach()).square().mean((-2, -1))
    assert (errors[True] < 0.5 * errors[False]).all()
    assert (errors[True] < 0.02).all()
    assert report.effective_parameters is not None
    assert (report.effective_parameters < 12).all()  # of 46


@pytest.mark.parametrize("output", ["sigmoid", "identity"])
def test_evidence_does_not_prune_a_network_before_it_has_learned(output):
    """Estimated from the first weights' errors, the noise would seem to be all there is."""

    def clear(n: int, seed: int) -> tuple[Tensor, Tensor]:
        x = draw(n, 2, seed=seed)
        return x, 0.5 + 0.3 * torch.sin(9 * x[:, :1]) * x[:, 1:] + 0.05 * (draw(n, 1, seed=seed + 1) - 0.5)

    x_test, y_test = clear(300, 5)
    network = BPNetwork([2, 6, 1], output=output, members=20)
    train(network, *clear(80, 0), optimizer=partial(LevenbergMarquardt, evidence=True), max_epochs=80)
    errors = (y_test - network(x_test).detach()).square().mean((-2, -1))
    pruned = errors > 0.5 * y_test.var()
    assert int(pruned.sum()) <= 1
    assert float(errors.median()) < 0.03 * float(y_test.var())


def test_an_evidence_step_lowers_the_regularised_loss_it_states():
    x, y = draw(50, 2), draw(50, 1, seed=1)
    network = BPNetwork([2, 8, 1], output="identity", seed=1)
    optimizer = LevenbergMarquardt(network, evidence=True)
    for _ in range(25):
        w = flat_parameters(network)
        _, jte, sse = gauss_newton_system(network, x, y)
        report = optimizer.step(x, y)
        strength = optimizer.state_dict()["prior"]
        new = flat_parameters(network)
        _, _, new_sse = gauss_newton_system(network, x, y)
        if bool(report.accepted):
            before = sse + strength * w.square().sum()
            assert new_sse + strength * new.square().sum() <= before * (1 + 1e-14)
        gradient = 2 / y.numel() * (jte + strength * w)
        assert float(report.gradient_norm) == pytest.approx(float(gradient.norm()), rel=1e-9)
        assert float(report.new_loss) == pytest.approx(float(new_sse) / y.numel(), rel=1e-9)


@pytest.mark.parametrize("members", [None, 3])
@pytest.mark.parametrize("solver", PRIMAL)
@pytest.mark.parametrize("kind", ["duplicated columns", "constant inputs", "few rows", "saturated"])
def test_evidence_survives_a_singular_curvature_and_still_regularises(kind, solver, members):
    x, y = draw(30, 2), draw(30, 1, seed=1)
    if kind == "duplicated columns":
        x = x[:, :1].expand(-1, 2).contiguous()
    elif kind == "constant inputs":
        x = torch.full_like(x, 0.5)
    elif kind == "few rows":
        x, y = x[:4], y[:4]
    else:
        x = 300 * x
    network = BPNetwork([2, 6, 1], members=members, seed=3)
    optimizer = LevenbergMarquardt(network, solver=solver, evidence=True)
    for _ in range(30):
        report = optimizer.step(x, y)
        assert report.effective_parameters is not None
        assert ((report.effective_parameters >= 0) & (report.effective_parameters <= 25)).all()
    assert flat_parameters(network).isfinite().all()
    assert (optimizer.state_dict()["prior"] > 0).all()


def test_effective_parameters_are_the_sum_over_eigenvalues():
    jac = normal(20, 9)
    jtj, strength = (jac.T @ jac).unsqueeze(0), torch.tensor([0.7], dtype=torch.float64)
    eigenvalues = torch.linalg.eigvalsh(jtj[0])
    expected = (eigenvalues / (eigenvalues + 0.7)).sum()
    torch.testing.assert_close(effective_parameters(jtj, strength)[0], expected, rtol=1e-12, atol=0)
    torch.testing.assert_close(effective_parameters(jtj, 0 * strength), torch.tensor([9.0], dtype=torch.float64))


@pytest.mark.parametrize("options", [{"scaling": "column"}, {"geodesic": True}, {"evidence": True}])
def test_options_that_need_j_transpose_j_say_so_and_turn_auto_into_primal(options):
    x, y = draw(3, 5), draw(3, 1)
    for network in (BPNetwork([5, 20, 1]), nn.Linear(5, 1).double()):
        optimizer = LevenbergMarquardt(network, **options)
        optimizer.step(x, y)
        assert optimizer.path in PRIMAL
        with pytest.raises(InputError, match=r"need J\^T J, which solver=.*gram does not form; pass primal"):
            LevenbergMarquardt(network, solver="dual", **options).step(x, y)


@pytest.mark.parametrize("solver", ["packed", "autodiff"])
def test_single_precision_products_end_at_the_same_optimum(solver):
    x = 8 * draw(150, 1) - 4
    y = (2 * x).tanh() - 0.5 * (x - 1).tanh() + 0.05 * normal(150, 1, seed=1)
    found = []
    for dtype in (None, torch.float32):
        network = BPNetwork([1, 2, 1], hidden="tanh", output="identity", seed=1)
        optimizer = LevenbergMarquardt(network, solver=solver, accumulate_dtype=dtype)
        for _ in range(60):
            report = optimizer.step(x, y)
        assert float(report.gradient_norm) < 1e-7
        found.append((float(report.new_loss), network(x).detach()))
    assert found[1][0] == pytest.approx(found[0][0], rel=1e-12)
    torch.testing.assert_close(found[1][1], found[0][1], rtol=0, atol=1e-6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of torch about its own compiler
def test_a_compiled_jacobian_takes_the_same_steps(monkeypatch):
    """Traced and differentiated by the compiler's front end; generating machine code would take a minute."""
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    x, y = draw(16, 3), draw(16, 1, seed=1)
    found = []
    for compile in (False, True):
        module = nn.Sequential(nn.Linear(3, 3), nn.Softplus(), nn.Linear(3, 1)).double()
        load_parameters(module, draw(flat_parameters(module).numel(), seed=2) - 0.5)
        optimizer = LevenbergMarquardt(module, solver="autodiff", compile=compile)
        for _ in range(3):
            optimizer.step(x, y)
        found.append(flat_parameters(module))
    torch.testing.assert_close(found[1], found[0], rtol=1e-9, atol=1e-12)


def test_the_multiplicative_rule_is_mathworks_trainlm():
    """mu starts at 0.001, falls to a tenth after a success and rises tenfold after every failure."""
    x, y = 8 * draw(25, 2), draw(25, 1, seed=1)
    network = BPNetwork([2, 6, 1], output="identity", seed=1)
    optimizer = LevenbergMarquardt(network, damping_rule="multiplicative")
    mu, failures = 1e-3, 0
    for _ in range(30):
        report = optimizer.step(x, y)
        failed = int(report.tries) - int(report.accepted)
        failures += failed
        used = mu * 10**failed
        assert float(report.damping) == pytest.approx(used, rel=1e-9)
        if not bool(report.accepted):
            assert used > LARGEST
            break
        mu = used * 0.1
        assert float(optimizer.state_dict()["damping"]) == pytest.approx(mu, rel=1e-9)
    assert failures > 0


@pytest.mark.parametrize("members", [None, 3])
@pytest.mark.parametrize("solver", ["packed", "jacobian", "gram", "autodiff", "autodiff_gram"])
def test_the_first_damping_is_a_share_of_the_curvature_when_none_is_given(solver, members):
    x, y = 5 * draw(9, 2), draw(9, 2, seed=1)
    network = BPNetwork([2, 4, 2], members=members, seed=3)
    jtj, *_ = gauss_newton_system(network, x, y)
    report = LevenbergMarquardt(network, solver=solver, damping=None, damping_rule="multiplicative").step(x, y)
    first = report.damping / 10.0 ** (report.tries - report.accepted.long())
    torch.testing.assert_close(first, 1e-3 * jtj.diagonal(dim1=-2, dim2=-1).mean(-1), rtol=1e-9, atol=0)


def test_the_loss_and_the_damping_follow_the_number_of_rows():
    """J^T J grows with the rows: the step on rows repeated k times is the same step."""
    x, y = draw(20, 2), draw(20, 1, seed=1)
    for k in (1, 2, 7):
        networks = [BPNetwork([2, 4, 1], seed=3) for _ in range(2)]
        plain, mixed = (LevenbergMarquardt(network, damping=0.5) for network in networks)
        expected = [plain.step(x, y) for _ in range(2)]
        first = mixed.step(x, y)
        second = mixed.step(x.repeat(k, 1), y.repeat(k, 1))
        assert torch.equal(first.loss, expected[0].loss)
        assert float(second.loss) == pytest.approx(float(expected[1].loss), rel=1e-12)
        assert float(second.damping) == pytest.approx(k * float(expected[1].damping), rel=1e-12)
        assert float(second.gradient_norm) == pytest.approx(float(expected[1].gradient_norm), rel=1e-9)
        torch.testing.assert_close(*(flat_parameters(network) for network in networks), rtol=0, atol=1e-12)


def test_training_by_evidence_records_the_effective_parameters():
    x, y = draw(50, 2), draw(50, 1, seed=1)
    network = BPNetwork([2, 8, 1], members=2)
    result = train(network, x, y, optimizer=partial(LevenbergMarquardt, evidence=True), max_epochs=10)
    recorded = torch.tensor(result.history["effective_parameters"])
    assert recorded.shape == (10, 2)
    assert recorded[0].tolist() == [33.0, 33.0]
    assert ((recorded > 0) & (recorded <= 33)).all()


@pytest.mark.parametrize("members", [None, 2])
def test_evidence_on_every_device(device, members):
    def run(where: torch.device | str) -> tuple[Tensor, Tensor]:
        network = BPNetwork([2, 5, 1], members=members, seed=1, device=where)
        optimizer = LevenbergMarquardt(network, evidence=True, geodesic=True, scaling="column")
        for _ in range(5):
            report = optimizer.step(draw(40, 2).to(where), draw(40, 1, seed=1).to(where))
        assert report.effective_parameters is not None
        return flat_parameters(network).cpu(), report.effective_parameters.cpu()

    for mine, theirs in zip(run(device), run("cpu"), strict=True):
        if device.type == "cuda":
            torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-8)
        else:
            assert torch.equal(mine, theirs)
