"""The peer torch-levenberg-marquardt with its best settings; imported only where it is installed.

Its own first damping is kept: on these tasks it is as good as any from 1e-5 to 1e-2. The peer divides J^T J and J^T e by
the rows, so that the same step of ours takes a damping of so much per row.
"""

from __future__ import annotations

from bench.lm_steps import DAMPING_PER_ROW
from torch_levenberg_marquardt.damping import StandardDampingStrategy
from torch_levenberg_marquardt.training import LevenbergMarquardtModule

from marketnn.network import BPNetwork


def stepper(
    network: BPNetwork, *, slice_rows: int | None = None, solve_method: str = "cholesky"
) -> LevenbergMarquardtModule:
    """Return the peer's optimiser of a network; success and failure change its damping as our ``multiplicative`` rule.

    Args:
        network: changed in place.
        slice_rows: rows whose Jacobian is held at a time, ``None`` for all, the peer's default.
        solve_method: the fastest, or ``qr``, the peer's default.
    """
    strategy = StandardDampingStrategy(DAMPING_PER_ROW, min_value=1e-25)
    return LevenbergMarquardtModule(
        network, damping_strategy=strategy, solve_method=solve_method, max_batch_size=slice_rows
    )
