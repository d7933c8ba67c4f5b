"""The interior-point kernels on every device, and the tangent's maximum against a linear programme."""

from __future__ import annotations

import numpy as np
import torch
from pretend_device import PretendDevice, is_pretend
from scipy.optimize import linprog

from marketnn.allocation import LogCurve, plan_budget
from marketnn.allocation.plan_concave import Problem, assess, best_on_tangent, frame_of, start, step, tangent_at


def _problem(device) -> Problem:
    rng = np.random.default_rng(5)
    curve = LogCurve(rng.uniform(1, 3, (2, 3)), rng.uniform(1, 3, (2, 3))).to(device)
    lag = torch.arange(4)[:, None] - torch.arange(4)
    effect = torch.where(lag >= 0, 0.5 ** lag.clamp(min=0).double(), 0.0).expand(3, 4, 4)
    tensors = {
        "effect_kpt": effect,
        "carried_kp": torch.zeros(3, 4, dtype=torch.float64),
        "weight_p": torch.ones(4, dtype=torch.float64),
        "lower_kt": torch.tensor(rng.uniform(0, 0.1, (3, 4))),
        "upper_kt": torch.tensor(rng.uniform(0.5, 2, (3, 4))),
        "rows_rt": torch.cat([torch.ones(1, 4), torch.eye(4)]).double(),
        "budget_r": torch.tensor([5.0, 1.5, 1.0, 2.0, 3.0], dtype=torch.float64),
    }
    return Problem(curve, curve.derivative, **{name: tensor.to(device) for name, tensor in tensors.items()})


def test_steps_on_every_device_are_the_cpus(device):
    answers = []
    for where in (torch.device("cpu"), device):
        problem = _problem(where)
        frame = frame_of(problem)
        with PretendDevice(host_sync="error" if is_pretend(where) else "allow"):
            at = start(problem, frame, 2)
            for _ in range(12):
                at = step(problem, frame, at, tangent_at(problem, frame, at.y_bkt))
            plan = assess(problem, frame, at, tangent_at(problem, frame, at.y_bkt))
        answers.append([plan.spend_bkt.cpu(), plan.value_b.cpu(), plan.bound_b.cpu()])
    for expected, got in zip(*answers, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-12)
    spend, value, bound = answers[0]
    assert ((bound - value) / bound < 1e-6).all()
    assert (spend.sum((1, 2)) <= 5.0).all()


def test_greedy_reaches_the_linear_programmes_maximum():
    problem = _problem("cpu")
    frame = frame_of(problem)
    gain = torch.rand(2, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    rows = np.vstack([np.ones(12), np.tile(np.eye(4), 3)])
    for scenario, got in zip(gain, best_on_tangent(problem, frame, gain), strict=True):
        bounds = [(0, width) for width in frame.width_kt.flatten().tolist()]
        found = linprog(-scenario.flatten().numpy(), A_ub=rows, b_ub=frame.room_r.numpy(), bounds=bounds)
        np.testing.assert_allclose(float(got), -found.fun, rtol=1e-9)


def test_plans_on_every_device(device):
    numbers = np.random.default_rng(7).uniform(0.5, 3, (2, 4, 3))
    plans = [plan_budget(LogCurve(*numbers).to(where), 6.0, 5, adstock=0.3) for where in ("cpu", device)]
    np.testing.assert_allclose(plans[1].spend, plans[0].spend, rtol=1e-9, atol=1e-12)
