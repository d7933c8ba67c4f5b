"""Run by ``torchrun``: assigns this process's customers together with the others' and writes what came of it.

Arguments: the folder to write to, and the names of cases of ``CASES``.
"""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from marketnn.allocation import AssignmentResult, assign_offers
from marketnn.errors import InputError

OFFERS = 6


def values(n: int, *, tiers: bool = False) -> np.ndarray:
    """What each of n customers is worth with each offer; ``tiers``: few different numbers."""
    value = np.random.default_rng(5).normal(1, 2, (n, OFFERS)).astype(np.float32)
    value[::97] = -np.inf
    return value.round() if tiers else value


def costs(n: int) -> np.ndarray:
    """What a contact of each customer with each offer costs."""
    return np.random.default_rng(6).uniform(1, 2, (n, OFFERS)).astype(np.float32)


CASES: dict[str, tuple[int, dict[str, Any]]] = {
    "free": (3_000, {}),
    "small": (3_000, {"capacity": [100, 400, 90, 0, 700, 200]}),
    "large": (90_000, {"capacity": [3_000, 9_000, 2_500, 0, 30_000, 5_000]}),
    "tiers": (60_000, {"capacity": [2_000, 6_000, 2_500, 0, 20_000, 5_000]}),
    "budget": (50_000, {"channel": list("aabbcc"), "channel_budget": {"a": 9_000.0, "c": 4_000.0}}),
}


def assign(case: str, rows: slice, process_group: Any = None) -> AssignmentResult:
    """Assign the customers of some rows of a case."""
    n, limits = CASES[case]
    cost = {"cost": costs(n)[rows]} if case == "budget" else {}
    return assign_offers(values(n, tiers=case == "tiers")[rows], process_group=process_group, **limits, **cost)


def main(folder: str, *cases: str) -> None:
    dist.init_process_group("gloo", timeout=timedelta(seconds=60))
    rank = dist.get_rank()
    for case in cases:
        n = CASES[case][0]
        rows = (slice(0, n // 3), slice(n // 3, n))[rank]
        found = assign(case, rows, dist.group.WORLD)
        np.savez(
            Path(folder) / f"{case}-{rank}.npz",
            offer=found.offer,
            prices=np.append(found.shadow_price, list(found.channel_price.values())),
            sums=[found.value, found.upper_bound, found.gap, found.n_without_offer],
        )
    try:
        assign_offers(torch.zeros(3, 2 + rank), process_group=dist.group.WORLD)
    except InputError as error:
        (Path(folder) / f"message-{rank}.txt").write_text(str(error))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
