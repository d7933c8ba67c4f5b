"""Contenders that fit a network until an MSE is reached: how many first weights get there, and how soon.

A fit that does not get there has taken infinitely long: a median over the fits that do would favour who gives up.

Every fit is a function ``(task, network, watch) -> None`` that ends once ``watch`` says so.

Shapes: n rows, d inputs, h hidden units, P parameters.
"""

from __future__ import annotations

import contextlib
import math
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import scipy.optimize
import torch
from bench.case import Contender, Measures, Run
from bench.lm_steps import TORCH_LM, MakeTask
from bench.lm_tasks import Task

from marketnn.network import BPNetwork
from marketnn.optim import LevenbergMarquardt, train

PER_FIT = "median s of all fits"
WORST = "highest MSE"


def reached_of(fits: int) -> str:
    """Name the measure that counts the fits that reach the goal, so that it says of how many."""
    return f"fits of {fits} that reach it"


class Over(Exception):
    """Ends a fit inside a library that offers no other way out."""


class Watch:
    """Ends a fit at the goal or when its seconds are over.

    Attributes:
        goal: MSE that is good enough.
        seconds: the fit's time at most.
        mse: the lowest one seen.
    """

    def __init__(self, goal: float, seconds: float) -> None:
        self.goal = goal
        self.seconds = seconds
        self.mse = math.inf
        self._start = time.perf_counter()

    def over(self, mse: float) -> bool:
        """Take note of the MSE and say whether the fit ends here."""
        self.mse = min(self.mse, mse)
        return mse <= self.goal or time.perf_counter() - self._start > self.seconds

    def check(self, mse: float) -> None:
        """End the fit by ``Over`` when it is over."""
        if self.over(mse):
            raise Over


OURS_32 = "marketnn, float32"
TORCH_LM_QR = f"{TORCH_LM}, QR"
_QUICK: dict[str, Any] = {"damping": None, "damping_rule": "multiplicative", "accumulate_dtype": torch.float32}

Fit = Callable[[Task, BPNetwork, Watch], None]


def goal_contenders(
    make: MakeTask, seeds: Sequence[int], goal: float, seconds: float, adam_rate: float
) -> tuple[Contender, ...]:
    """Return ours and every peer, each fitting a network from the first weights of every seed.

    Args:
        make: the task; one hidden layer, one output.
        seeds: of the first weights.
        goal: MSE to reach.
        seconds: of each fit at most.
        adam_rate: Adam's learning rate.
    """

    def contender(
        name: str, settings: str, fit: Fit, requires: tuple[str, ...] = (), warm_up: bool = True
    ) -> Contender:
        return Contender(name, settings, lambda: _fits(make(), fit, seeds, goal, seconds), requires, warm_up=warm_up)

    return (
        contender("marketnn", "train, optimizer=lm", _our_fit()),
        contender(
            OURS_32, "multiplicative rule from J^T J's mean diagonal, J^T J accumulated in float32", _our_fit(**_QUICK)
        ),
        contender(TORCH_LM, "float64, Cholesky, vmap, whole Jacobian", _torch_lm_fit("cholesky"), (TORCH_LM,)),
        contender(TORCH_LM_QR, "float64, QR (its default), vmap, whole Jacobian", _torch_lm_fit("qr"), (TORCH_LM,)),
        contender("scipy, lm", "least_squares, MINPACK, Jacobian by hand in NumPy", _scipy_fit("lm"), ("scipy",)),
        contender("scipy, trf", "least_squares, Jacobian by hand in NumPy", _scipy_fit("trf"), ("scipy",)),
        contender("torch L-BFGS", "history 50, strong Wolfe", _fit_lbfgs),
        contender("torch Adam", f"all rows, rate {adam_rate:g}, fused", _adam_fit(adam_rate), warm_up=False),
    )


def _fits(task: Task, fit: Fit, seeds: Sequence[int], goal: float, seconds: float) -> Run:
    def run() -> Measures:
        times, losses = [], []
        for seed in seeds:
            network, watch = task.network(seed), Watch(goal, seconds)
            start = time.perf_counter()
            with contextlib.suppress(Over):
                fit(task, network, watch)
            times.append(time.perf_counter() - start)
            losses.append(watch.mse)
        reached = [mse <= goal for mse in losses]
        soon = [spent if there else math.inf for spent, there in zip(times, reached, strict=True)]
        return {reached_of(len(seeds)): float(sum(reached)), PER_FIT: statistics.median(soon), WORST: max(losses)}

    return run


def _our_fit(**options: Any) -> Fit:
    """Fit by ``train`` with Levenberg-Marquardt's options."""

    def fit(task: Task, network: BPNetwork, watch: Watch) -> None:
        train(
            network,
            task.x,
            task.y,
            optimizer=partial(LevenbergMarquardt, **options),
            max_epochs=100_000,
            on_epoch=lambda record: watch.over(record["loss"]),
        )

    return fit


def _torch_lm_fit(solve_method: str) -> Fit:
    def fit(task: Task, network: BPNetwork, watch: Watch) -> None:
        from bench.peer_torch_lm import stepper

        optimizer = stepper(network, solve_method=solve_method)
        stop = False
        while not stop:
            _, loss, stop, _ = optimizer.training_step(task.x, task.y)
            stop = watch.over(float(loss)) or stop

    return fit


def _fit_lbfgs(task: Task, network: BPNetwork, watch: Watch) -> None:
    optimizer = torch.optim.LBFGS(
        network.parameters(),
        max_iter=10**6,
        max_eval=10**6,
        tolerance_grad=0,
        tolerance_change=0,
        history_size=50,
        line_search_fn="strong_wolfe",
    )

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = (network(task.x) - task.y).square().mean()
        watch.check(float(loss.detach()))
        loss.backward()
        return loss

    optimizer.step(closure)


def _adam_fit(rate: float) -> Fit:
    def fit(task: Task, network: BPNetwork, watch: Watch) -> None:
        optimizer = torch.optim.Adam(network.parameters(), lr=rate, fused=True)
        while True:
            optimizer.zero_grad()
            loss = (network(task.x) - task.y).square().mean()
            if watch.over(float(loss.detach())):
                return
            loss.backward()
            optimizer.step()

    return fit


def _scipy_fit(method: str) -> Fit:
    """Fit by ``scipy.optimize.least_squares`` until nothing more is representable."""

    def fit(task: Task, network: BPNetwork, watch: Watch) -> None:
        x_nd, y_n = task.x.numpy(), task.y.numpy()[:, 0]
        n_in, n_hidden, _ = task.layer_sizes
        w_p = torch.cat([p.detach().flatten() for p in network.parameters()]).numpy()

        def hidden(w_p: np.ndarray) -> np.ndarray:
            w_hd, b_h = w_p[: n_hidden * n_in].reshape(n_hidden, n_in), w_p[n_hidden * n_in : n_hidden * (n_in + 1)]
            return 1 / (1 + np.exp(-(x_nd @ w_hd.T + b_h)))

        def residual(w_p: np.ndarray) -> np.ndarray:
            e_n = hidden(w_p) @ w_p[-1 - n_hidden : -1] + w_p[-1] - y_n
            watch.check(float(np.mean(e_n**2)))
            return e_n

        def jacobian(w_p: np.ndarray) -> np.ndarray:
            a_nh = hidden(w_p)
            d_nh = w_p[-1 - n_hidden : -1] * a_nh * (1 - a_nh)
            weights = (d_nh[:, :, None] * x_nd[:, None, :]).reshape(len(x_nd), -1)
            return np.hstack([weights, d_nh, a_nh, np.ones((len(x_nd), 1))])

        tolerances = dict.fromkeys(("ftol", "xtol", "gtol"), 1e-15)
        with np.errstate(over="ignore"):  # a trial may saturate the sigmoid
            scipy.optimize.least_squares(residual, w_p, jacobian, method=method, max_nfev=10**6, **tolerances)

    return fit
