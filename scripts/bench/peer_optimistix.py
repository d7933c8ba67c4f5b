"""The peer optimistix: Levenberg-Marquardt of a batch of networks under JAX's vmap and jit, in float64."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import lineax
import optimistix
from bench.lm_tasks import Task
from torch import Tensor

jax.config.update("jax_enable_x64", True)


def batched_fit(task: Task, w: Tensor, steps: int) -> Callable[[], Tensor]:
    """Return the function that fits every network for the same number of steps and returns their MSEs (R,).

    A rejected trial is a step too. The linear solver is Cholesky of the normal equations and the Jacobian forward-mode:
    of the solver's two and JAX's two modes, the fastest pair here.

    Args:
        task: the rows; sigmoid hidden layers, linear output.
        w: first weights (R, P), weight and bias of the first layer, of the second, and so on.
        steps: of each network.
    """
    x_nd, y_nm, w_rp = (jnp.asarray(tensor.numpy()) for tensor in (task.x, task.y, w))

    def residual(w_p: jax.Array, _: None) -> jax.Array:
        a_nh, position = x_nd, 0
        pairs = list(itertools.pairwise(task.layer_sizes))
        for depth, (n_in, n_out) in enumerate(pairs, 1):
            weight = w_p[position : position + n_in * n_out].reshape(n_out, n_in)
            bias = w_p[position + n_in * n_out : position + (n_in + 1) * n_out]
            position += (n_in + 1) * n_out
            net = a_nh @ weight.T + bias
            a_nh = jax.nn.sigmoid(net) if depth < len(pairs) else net
        return (y_nm - a_nh).ravel()

    solver = optimistix.LevenbergMarquardt(rtol=0.0, atol=0.0, linear_solver=lineax.Normal(lineax.Cholesky()))

    def fit(w_p: jax.Array) -> jax.Array:
        options = {"jac": "fwd"}
        solution = optimistix.least_squares(residual, solver, w_p, options=options, max_steps=steps, throw=False)
        return jnp.square(residual(solution.value, None)).mean()

    compiled = jax.jit(jax.vmap(fit))
    return lambda: jax.block_until_ready(compiled(w_rp))
