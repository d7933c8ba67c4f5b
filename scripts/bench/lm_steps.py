"""Contenders that take a fixed number of Levenberg-Marquardt steps: the time they need, and the loss that they reach.

Under the same first damping and rule ours and torch-levenberg-marquardt do the same mathematics step by step, and their
losses must agree.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from bench.case import Contender, Measures, Run
from bench.lm_tasks import Task, teacher_task

from marketnn.optim import LevenbergMarquardt, gauss_newton_system

PER_STEP = "ms per step"
LOSS = "MSE after the steps"
SECONDS = "s for all"
MEDIAN_LOSS = "median MSE"
RATE = "GFLOP/s"
TORCH_LM = "torch-levenberg-marquardt"
DAMPING_PER_ROW = 1e-3

MakeTask = Callable[[], Task]


def ours(
    name: str,
    make: MakeTask,
    seed: int,
    steps: int,
    *,
    accumulate_dtype: torch.dtype | None = None,
    damping_rule: str = "multiplicative",
    untimed: int = 0,
) -> Contender:
    """Step our ``LevenbergMarquardt`` with the first damping of the peer and, unless told otherwise, its rule."""

    def run(task: Task) -> Measures:
        optimizer = LevenbergMarquardt(
            task.network(seed),
            damping=DAMPING_PER_ROW * len(task.x),
            damping_rule=damping_rule,
            accumulate_dtype=accumulate_dtype,
        )
        return _timed_steps(lambda: optimizer.step(task.x, task.y).new_loss, steps, untimed)

    coarse = accumulate_dtype == torch.float32
    accumulated = "float32, same result within 1e-2" if coarse else "float64"
    settings = f"float64, damping {damping_rule}, J^T J accumulated in {accumulated}"
    return Contender(name, settings, lambda: _awake(run, make()), relative=1e-2 if coarse else None)


def torch_lm(
    name: str, make: MakeTask, seed: int, steps: int, *, slice_rows: int | None = None, untimed: int = 0
) -> Contender:
    """Step the peer, its Jacobian whole or in slices of rows."""

    def run(task: Task) -> Measures:
        from bench.peer_torch_lm import stepper

        optimizer = stepper(task.network(seed), slice_rows=slice_rows)
        return _timed_steps(lambda: optimizer.training_step(task.x, task.y)[1], steps, untimed)

    jacobian = f"Jacobian in slices of {slice_rows:,} rows" if slice_rows else "whole Jacobian (default)"
    settings = f"float64, Cholesky, vmap, {jacobian}"
    return Contender(name, settings, lambda: _awake(run, make()), requires=(TORCH_LM,))


def ours_batched(name: str, make: MakeTask, seed: int, members: int, steps: int) -> Contender:
    """Step all restarts as the members of one network."""

    def prepare() -> Run:
        task = make()

        def run() -> Measures:
            optimizer = LevenbergMarquardt(task.network(seed, members))
            start = time.perf_counter()
            for _ in range(steps):
                report = optimizer.step(task.x, task.y)
            losses = report.new_loss.tolist()
            return _restart_measures(start, losses)

        return run

    return Contender(name, f"BPNetwork(members={members})", prepare)


def torch_lm_loop(name: str, make: MakeTask, seed: int, members: int, steps: int) -> Contender:
    """Fit the restarts one after another with the peer."""

    def prepare() -> Run:
        from bench.peer_torch_lm import stepper

        task = make()

        def run() -> Measures:
            optimizers = [stepper(task.network(seed + member)) for member in range(members)]
            start, losses = time.perf_counter(), []
            for optimizer in optimizers:
                for _ in range(steps):
                    _, loss, *_ = optimizer.training_step(task.x, task.y)
                losses.append(float(loss))
            return _restart_measures(start, losses)

        return run

    return Contender(name, "float64, Cholesky, vmap, one network after another", prepare, requires=(TORCH_LM,))


def optimistix_batched(name: str, make: MakeTask, seed: int, members: int, steps: int) -> Contender:
    """Fit all restarts with the peer, compiled in the unmeasured first run."""

    def prepare() -> Run:
        from bench.peer_optimistix import batched_fit

        task = make()
        parameters = task.network(seed, members).parameters()
        fit = batched_fit(task, torch.cat([p.detach().flatten(1) for p in parameters], 1), steps)

        def run() -> Measures:
            start = time.perf_counter()
            losses = fit().tolist()
            return _restart_measures(start, losses)

        return run

    settings = "float64, vmap and jit, compile time excluded, Cholesky of the normal equations, forward-mode Jacobian"
    return Contender(name, settings, prepare, requires=("optimistix", "jax"), repeats=3)


def ours_system(name: str, make: MakeTask, seed: int) -> Contender:
    """Compute J^T J, J^T e and the sum of squares of a network with one hidden layer.

    The rate counts the product of packed pairs alone: h (h + 1) / 2 of deltas by i (i + 1) / 2 of inputs, 2 flops each.
    """

    def prepare() -> Run:
        task = make()
        network = task.network(seed)
        pairs = _pairs(task)

        def run() -> Measures:
            start = time.perf_counter()
            gauss_newton_system(network, task.x, task.y)
            return {RATE: 2e-9 * pairs[0] * pairs[1] * len(task.x) / (time.perf_counter() - start)}

        return run

    return Contender(name, "gauss_newton_system, float64; flops of the packed product alone", prepare, checked=False)


def torch_mm(name: str, make: MakeTask, rows: int, products: int) -> Contender:
    """Multiply matrices of the packed product's shape, a chunk of rows at a time, as the rate that is there to reach."""

    def prepare() -> Run:
        left, right = (torch.rand(rows, size, dtype=torch.float64) for size in _pairs(make()))

        def run() -> Measures:
            start = time.perf_counter()
            for _ in range(products):
                torch.mm(left.T, right)
            seconds = time.perf_counter() - start
            return {RATE: 2e-9 * left.shape[1] * right.shape[1] * rows * products / seconds}

        return run

    return Contender(name, f"one product over {rows:,} rows, float64", prepare, checked=False)


def _pairs(task: Task) -> tuple[int, int]:
    """Count the packed pairs of deltas and of inputs (the bias among them) of the first layer."""
    n_in, n_hidden, _ = task.layer_sizes
    return n_hidden * (n_hidden + 1) // 2, (n_in + 1) * (n_in + 2) // 2


def _awake(run: Callable[[Task], Measures], task: Task) -> Run:
    """Bind a run to its task after a tiny one, so that what the libraries import late is no memory of the task."""
    run(teacher_task((2, 2, 1), rows=16, noise=0.0, seed=0))
    return lambda: run(task)


def _timed_steps(step: Callable[[], torch.Tensor], steps: int, untimed: int) -> Measures:
    """Take the steps and time all but the first ``untimed``, in which memory is laid out."""
    for _ in range(untimed):
        step()
    start = time.perf_counter()
    for _ in range(steps):
        loss = step()
    mse = float(loss)
    return {PER_STEP: 1e3 * (time.perf_counter() - start) / steps, LOSS: mse}


def _restart_measures(start: float, losses: list[float]) -> Measures:
    return {SECONDS: time.perf_counter() - start, MEDIAN_LOSS: float(torch.tensor(losses).median())}
