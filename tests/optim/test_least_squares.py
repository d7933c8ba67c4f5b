"""least_squares against SciPy, closed forms and its own invariants."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import scipy.optimize
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pretend_device import PretendDevice
from torch import Tensor
from torch.func import jacrev

from marketnn.errors import InputError
from marketnn.optim.least_squares import covariance_of, least_squares
from marketnn.optim.trust_region.bounds import make_box
from marketnn.optim.trust_region.residual_function import ResidualFunction, forward_jacobian
from marketnn.optim.trust_region.search import Iterate, bounded_step, gauss_newton_step, trust_region_step
from marketnn.seed import torch_generator

TIMES = torch.tensor([1.0, 2.0, 3.0, 5.0, 7.0, 10.0], dtype=torch.float64)
DEMAND = torch.tensor([109.0, 149.0, 149.0, 191.0, 213.0, 224.0], dtype=torch.float64)
DEMAND_FIT = torch.tensor([213.80940889, 0.54723748542], dtype=torch.float64)  # NIST's BoxBOD


def vector(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def demand(x: Tensor) -> Tensor:
    return DEMAND - x[0] * (1 - torch.exp(-x[1] * TIMES))


def rosenbrock(x: Tensor) -> Tensor:
    return torch.stack([10 * (x[1] - x[0] ** 2), 1 - x[0]])


def linear_problem(seed: int, m: int, p: int) -> tuple[Tensor, Tensor]:
    generator = torch_generator(seed)
    columns = torch.randn(m, p, generator=generator, dtype=torch.float64)
    return columns, torch.randn(m, generator=generator, dtype=torch.float64)


def scipy_cost(residual: Callable[[Tensor], Tensor], x0: Tensor, lower: Tensor, upper: Tensor) -> float:
    """The better cost of SciPy's two bounded methods."""
    fits = [
        scipy.optimize.least_squares(
            lambda x: residual(torch.from_numpy(x)).numpy(),
            x0.numpy(),
            jac=lambda x: jacrev(residual)(torch.from_numpy(x)).numpy(),
            bounds=(lower.numpy(), upper.numpy()),
            method=method,
            x_scale="jac",
            xtol=1e-15,
            ftol=1e-15,
            gtol=1e-15,
            max_nfev=300,
        )
        for method in ("trf", "dogbox")
    ]
    return min(fit.cost for fit in fits)


@settings(deadline=None, max_examples=12)
@given(seed=st.integers(0, 10_000), p=st.integers(1, 6), extra=st.integers(1, 200))
def test_a_linear_problem_is_solved_in_few_evaluations(seed: int, p: int, extra: int) -> None:
    columns, y = linear_problem(seed, p + extra, p)
    fit = least_squares(lambda x: y - columns @ x, torch.zeros(p, dtype=torch.float64))
    torch.testing.assert_close(fit.x, torch.linalg.lstsq(columns, y).solution, rtol=1e-9, atol=1e-11)
    assert fit.n_evaluations <= 8
    assert fit.cost.item() == pytest.approx(((y - columns @ fit.x) ** 2).sum().item() / 2)


@settings(deadline=None, max_examples=6)
@given(exponents=st.lists(st.integers(-30, 30), min_size=2, max_size=2))
def test_units_of_the_parameters_do_not_matter(exponents: list[int]) -> None:
    unit = torch.tensor([2.0**exponent for exponent in exponents], dtype=torch.float64)
    plain = least_squares(demand, vector(100, 0.75))
    scaled = least_squares(lambda x: demand(x * unit), vector(100, 0.75) / unit)
    torch.testing.assert_close(scaled.x * unit, plain.x, rtol=1e-12, atol=0)
    torch.testing.assert_close(scaled.standard_error * unit, plain.standard_error, rtol=1e-9, atol=0)
    assert scaled.n_evaluations == plain.n_evaluations


def test_a_batch_of_starts_is_its_single_starts() -> None:
    starts = torch.stack([vector(100, 0.75), vector(1, 1), vector(1, 10), DEMAND_FIT])
    batch = least_squares(demand, starts)
    assert batch.x.shape == (4, 2)
    assert batch.covariance.shape == (4, 2, 2)
    assert batch.residual.shape == (4, 6)
    for s, start in enumerate(starts):
        single = least_squares(demand, start)
        torch.testing.assert_close(batch.x[s], single.x, rtol=1e-10, atol=0)
        torch.testing.assert_close(batch.standard_error[s], single.standard_error, rtol=1e-8, atol=0)
        assert batch.cost[s].item() == pytest.approx(single.cost.item(), rel=1e-12)
    assert isinstance(batch.n_evaluations, list)
    assert batch.n_evaluations[3] < min(batch.n_evaluations[:3])


def test_a_device_gives_the_numbers_of_the_cpu(device: torch.device) -> None:
    times, demands = TIMES.to(device), DEMAND.to(device)

    def demand_there(x: Tensor) -> Tensor:
        return demands - x[0] * (1 - torch.exp(-x[1] * times))

    starts = torch.stack([vector(100, 0.75), vector(150, 1)])
    here = least_squares(demand, starts, upper=vector(210, 3))
    there = least_squares(demand_there, starts.to(device), upper=vector(210, 3))
    assert there.x.device.type == device.type
    torch.testing.assert_close(there.x.cpu(), here.x, rtol=1e-12, atol=0)
    torch.testing.assert_close(there.covariance.cpu(), here.covariance, rtol=1e-10, atol=0)
    assert (there.status, there.n_evaluations) == (here.status, here.n_evaluations)


def test_forward_mode_runs_on_a_device(device: torch.device) -> None:
    times = torch.linspace(0, 1, 50, dtype=torch.float64)
    times_there, x = times.to(device), torch.stack([vector(1, 2), vector(3, -1)])
    function = ResidualFunction(lambda x: x[0] * torch.exp(x[1] * times_there), batched=True)
    growth = torch.exp(x[:, 1:] * times)
    expected = torch.stack([growth, x[:, :1] * times * growth], dim=-1)
    torch.testing.assert_close(function.jacobian(x.to(device), 50).cpu(), expected, rtol=1e-14, atol=0)


def test_kernels_do_not_make_the_host_wait() -> None:
    with PretendDevice():
        columns, y = (tensor.to("pretend").expand(3, *tensor.shape) for tensor in linear_problem(1, 9, 4))
        ones = torch.ones(3, 4, dtype=torch.float64).to("pretend")
        box = make_box(0 * ones, -0.1, 0.1)
        assert box.bounded
        with PretendDevice(host_sync="error"):
            gauss_newton_step(columns, y, ones)
            trust_region_step(columns, y, ones, ones[:, 0])
            bounded_step(Iterate(0 * ones, y, columns), ones, ones[:, 0], box)
            covariance_of(columns, ones[:, 0])


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10_000), share=st.floats(0.01, 3.0))
def test_the_step_is_the_constrained_minimum(seed: int, share: float) -> None:
    columns, r = linear_problem(seed, 8, 3)
    scale = torch.rand(3, generator=torch_generator(seed), dtype=torch.float64) + 0.1
    newton, offset = gauss_newton_step(columns.unsqueeze(0), r.unsqueeze(0), scale)
    torch.testing.assert_close(newton[0], torch.linalg.lstsq(columns, -r).solution, rtol=1e-9, atol=1e-12)
    assert offset.item() == pytest.approx((columns @ newton[0]).norm().item(), rel=1e-9)
    radius = share * (scale * newton).norm(dim=-1)
    step = trust_region_step(columns.unsqueeze(0), r.unsqueeze(0), scale.unsqueeze(0), radius)[0]
    gradient = columns.T @ (r + columns @ step)
    if share >= 1:
        torch.testing.assert_close(step, newton[0], rtol=1e-9, atol=1e-12)
    else:  # the multiplier: the model's gradient is -mu D^2 p, and the step as long as the radius lets it be
        damping = -gradient / (scale**2 * step)
        torch.testing.assert_close(damping, damping.mean().expand(3), rtol=1e-6, atol=1e-9)
        assert damping.min() > -1e-9
        assert 0.9 <= ((scale * step).norm() / radius).item() <= 1.1001


def test_forward_and_reverse_mode_are_one_jacobian() -> None:
    x = vector(0.3, -1.2, 2.0)
    generator = torch_generator(0)
    t = torch.rand(40, generator=generator, dtype=torch.float64)

    def curve(x: Tensor) -> Tensor:
        return x[0] * torch.exp(x[1] * t) + torch.sin(x[2] * t) - t

    torch.testing.assert_close(forward_jacobian(curve)(x), jacrev(curve)(x), rtol=1e-14, atol=1e-14)


def test_a_stalled_search_starts_again_scaled_by_x0() -> None:
    fit = least_squares(demand, vector(1, 10))  # the first step makes exp(-x1 t) vanish
    torch.testing.assert_close(fit.x, DEMAND_FIT, rtol=1e-9, atol=0)
    assert "stalled" in fit.message
    assert "rank" not in fit.message


def test_trials_that_are_not_finite_are_rejected() -> None:
    fit = least_squares(lambda x: torch.log(x), vector(10))  # the Gauss-Newton step leads to a negative x
    assert fit.x.item() == pytest.approx(1.0, abs=1e-15)
    assert fit.cost.item() == 0

    def edge(x: Tensor) -> Tensor:
        return torch.sqrt(x) + 1

    fit = least_squares(edge, vector(1), lower=0.0, max_evaluations=40)  # at 0, where it is least, it has no derivative
    assert 0 < fit.x.item() < 1e-3
    assert fit.covariance.isinf().all()


def test_covariance_is_that_of_regression() -> None:
    columns, y = linear_problem(2, 30, 4)
    fit = least_squares(lambda x: y - columns @ x, torch.zeros(4, dtype=torch.float64))
    variance = ((y - columns @ fit.x) ** 2).sum() / 26
    expected = variance * torch.linalg.inv(columns.T @ columns)
    torch.testing.assert_close(fit.covariance, expected, rtol=1e-9, atol=1e-14)
    torch.testing.assert_close(fit.standard_error, expected.diagonal().sqrt(), rtol=1e-9, atol=0)
    _, scipys = scipy.optimize.curve_fit(
        lambda t, a, b: a * (1 - np.exp(-b * t)), TIMES.numpy(), DEMAND.numpy(), p0=[100, 0.75], xtol=1e-12, ftol=1e-12
    )
    ours = least_squares(demand, vector(100, 0.75)).covariance
    torch.testing.assert_close(ours, torch.from_numpy(scipys), rtol=1e-5, atol=0)


@pytest.mark.parametrize("seed", range(8))
def test_bounded_linear_problems_equal_scipy(seed: int) -> None:
    columns, y = linear_problem(seed, 12, 4)
    generator = torch_generator(seed)
    lower, upper = -torch.rand(4, generator=generator).double(), torch.rand(4, generator=generator).double()
    fit = least_squares(
        lambda x: 3 * y - columns @ x, torch.zeros(4, dtype=torch.float64), lower=lower / 2, upper=upper / 2
    )
    theirs = scipy.optimize.lsq_linear(
        columns.numpy(), 3 * y.numpy(), (lower.numpy() / 2, upper.numpy() / 2), tol=1e-14
    )
    torch.testing.assert_close(fit.x, torch.from_numpy(theirs.x), rtol=1e-6, atol=1e-7)
    assert fit.cost.item() <= theirs.cost * (1 + 1e-12)


@pytest.mark.parametrize(
    ("residual", "x0", "lower", "upper"),
    [
        (rosenbrock, (-1.2, 1.0), (-2, -2), (0.5, 2)),
        (rosenbrock, (2.0, 2.0), (1.5, -3), (3, 3)),
        (rosenbrock, (0.0, 0.0), (-1, -1), (0.9, 0.3)),
        (demand, (100.0, 0.75), (0, 0), (200, 5)),
        (demand, (300.0, 0.2), (0, 0), (500, 0.4)),
        (demand, (230.0, 1.0), (220, 0), (math.inf, math.inf)),
    ],
)
def test_bounded_curves_equal_scipy(
    residual: Callable[[Tensor], Tensor], x0: tuple, lower: tuple, upper: tuple
) -> None:
    fit = least_squares(residual, vector(*x0), lower=vector(*lower), upper=vector(*upper))
    assert bool(((fit.x >= vector(*lower)) & (fit.x <= vector(*upper))).all())
    assert fit.cost.item() <= scipy_cost(residual, vector(*x0), vector(*lower), vector(*upper)) * (1 + 1e-9)


def test_equal_bounds_fix_a_parameter() -> None:
    fit = least_squares(demand, vector(100, 0.5), lower=vector(-math.inf, 0.5), upper=vector(math.inf, 0.5))
    shape = 1 - torch.exp(-0.5 * TIMES)
    assert fit.x[1].item() == 0.5
    assert fit.x[0].item() == pytest.approx(((shape @ DEMAND) / (shape @ shape)).item(), rel=1e-12)


def test_more_parameters_than_residuals() -> None:
    fit = least_squares(lambda x: torch.stack([x[0] + x[1] - 2, x[0] * x[2] - 1]), vector(1, 2, 3))
    assert fit.cost.item() < 1e-30
    assert "no degrees of freedom" in fit.message or "rank" in fit.message
    assert bool(torch.isposinf(fit.covariance).all())
    assert bool(torch.isposinf(fit.standard_error).all())


def test_parameters_that_only_their_sum_matters() -> None:
    fit = least_squares(lambda x: (x[0] + x[1]) * TIMES - DEMAND, vector(1, 2))
    assert fit.x.sum().item() == pytest.approx((TIMES @ DEMAND / (TIMES @ TIMES)).item(), rel=1e-9)
    assert "rank 1 of 2" in fit.message
    assert bool(torch.isposinf(fit.covariance).all())


def test_a_residual_that_does_not_depend_on_x() -> None:
    fit = least_squares(lambda x: TIMES, vector(1, 2))
    assert fit.status == "gradient"
    assert fit.n_evaluations == 1
    assert fit.x.tolist() == [1, 2]
    assert "does not depend on x" in fit.message
    assert not fit.covariance.isnan().any()


def test_every_end_has_its_name() -> None:
    solved = least_squares(rosenbrock, vector(1, 1))
    assert (solved.status, solved.n_evaluations, solved.cost.item()) == ("gradient", 1, 0)
    short = least_squares(demand, vector(100, 0.75), max_evaluations=3)
    assert (short.status, short.n_evaluations) == ("max_evaluations", 3)
    assert "larger max_evaluations" in short.message
    coarse, fine = (least_squares(demand, vector(100, 0.75), tolerance=tolerance) for tolerance in (1e-3, 1e-9))
    assert coarse.n_evaluations < fine.n_evaluations < least_squares(demand, vector(100, 0.75)).n_evaluations
    assert coarse.status in ("decrease", "step", "gradient")
    torch.testing.assert_close(coarse.x, DEMAND_FIT, rtol=0.05, atol=0)
    torch.testing.assert_close(fine.x, DEMAND_FIT, rtol=1e-4, atol=0)


def test_evaluations_are_counted_and_limited() -> None:
    seen = []

    def counted(x: Tensor) -> Tensor:
        seen.append(torch.is_grad_enabled())
        return demand(x)

    fit = least_squares(counted, vector(1, 1))
    assert seen.count(False) == fit.n_evaluations  # the others are calls for a Jacobian
    assert least_squares(demand, vector(1, 10), max_evaluations=20).n_evaluations <= 20


def test_x0_is_left_alone_and_seeds_are_not_touched() -> None:
    x0, state = vector(1, 1), torch.get_rng_state()
    least_squares(demand, x0)
    assert x0.tolist() == [1, 1]
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("x0", "options", "words"),
    [
        ([1.0], {}, "x0 is a list"),
        (torch.ones(2), {}, r"torch.float32.*x0.double"),
        (torch.ones(0, dtype=torch.float64), {}, r"shape \(0,\)"),
        (torch.tensor(1.0, dtype=torch.float64), {}, r"shape \(\)"),
        (vector(1, math.nan), {}, "x0 is not finite: position 1 is nan"),
        (vector(1, 1), {"max_evaluations": 0}, "max_evaluations=0"),
        (vector(1, 1), {"tolerance": 0.0}, "tolerance=0"),
        (vector(1, 1), {"tolerance": math.nan}, "tolerance=nan"),
        (vector(1, 1), {"lower": 2.0, "upper": 0.0}, "lower is not at most upper: position 0 is 2"),
        (vector(1, 1), {"lower": vector(0, 1.5)}, "below lower.*position 0, 1 is 1"),
        (vector(1, 1), {"upper": vector(0.5, 3)}, "above upper.*position 0, 0 is 1"),
        (vector(1, 1), {"lower": vector(1, 2, 3)}, r"lower has shape \(3,\)"),
        (vector(1, 1), {"upper": math.nan}, "lower is not at most upper"),
    ],
)
def test_arguments_that_cannot_be_used(x0: Tensor, options: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        least_squares(rosenbrock, x0, **options)


@pytest.mark.parametrize(
    ("residual", "words"),
    [
        (lambda x: x.sum(), r"shape \(\)"),
        (lambda x: x.new_zeros(2, 2), r"shape \(2, 2\)"),
        (lambda x: x[:0], r"shape \(0,\)"),
        (lambda x: 1.0, "returned a float"),
        (lambda x: x.float(), "torch.float32.*torch.float64"),
        (lambda x: torch.log(-x), "residual at x0 is not finite.*position 0, 0 is nan"),
        (lambda x: torch.sqrt(x - 1), "Jacobian at x0 is not finite.*is inf"),
        (lambda x: x * 1e200, "overflows"),
    ],
)
@pytest.mark.parametrize("batched", [False, True])
def test_residuals_that_cannot_be_used(residual: Callable, words: str, batched: bool) -> None:
    with pytest.raises(InputError, match=words):
        least_squares(residual, torch.ones((3, 1) if batched else 1, dtype=torch.float64))
