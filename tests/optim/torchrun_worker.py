"""Run by ``torchrun``: trains on this process's rows together with the others' and writes what came of it.

Arguments: the folder to write to, and the name of a case of ``CASES``.
"""

from __future__ import annotations

import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import torch.distributed as dist
from safetensors.torch import save_file
from torch import Tensor, nn

from marketnn.network import BPNetwork
from marketnn.optim import LevenbergMarquardt, ParquetRows, train
from marketnn.optim.paths.solver import Settings, build_path
from marketnn.optim.problem import fitting_problem, flat_parameters, load_parameters
from marketnn.optim.processes import reduction

EPOCHS = 8
EVIDENCE_EPOCHS = 32  # the network has learned by then, and the prior counts
ROWS = 400
SPLIT = 110  # rows of the first process, the others are the second's


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def data(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """All rows: x (n, 6), y (n, 3) and weights (n,)."""
    x = 2 * draw(ROWS, 6, seed=seed) - 1
    y = torch.stack((x[:, 0] * x[:, 1], x.square().mean(1), (2 * x[:, 2]).sin()), dim=1)
    return x, y + 0.1 * draw(ROWS, 3, seed=seed + 1), 0.2 + draw(ROWS, seed=seed + 2)


def dense(members: int | None = None) -> BPNetwork:
    return BPNetwork([6, 10, 3], hidden="tanh", output="identity", members=members, seed=3)


def general() -> nn.Module:
    module = nn.Sequential(nn.Linear(6, 4), nn.Softplus(), nn.Linear(4, 3)).double()
    load_parameters(module, draw(flat_parameters(module).numel(), seed=4) - 0.5)
    return module


CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "packed": (dense, {"solver": "packed"}),
    "jacobian": (dense, {"solver": "jacobian"}),
    "members": (lambda: dense(2), {"solver": "packed"}),
    "validated": (lambda: dense(2), {"solver": "packed"}),
    "evidence": (dense, {"solver": "packed", "evidence": True}),
    "autodiff": (general, {"solver": "autodiff"}),
    "parquet": (dense, {"solver": "packed"}),
    "geodesic": (dense, {"solver": "packed", "geodesic": True, "scaling": "column"}),
}


def parquet_rows(x: Tensor, y: Tensor) -> tuple[ParquetRows]:
    """Write rows to a file of this process's own."""
    columns = {f"x{place}": values for place, values in enumerate(x.T.tolist())}
    targets = {f"y{place}": values for place, values in enumerate(y.T.tolist())}
    file = Path(tempfile.mkdtemp()) / "rows.parquet"
    pd.DataFrame({**columns, **targets}).to_parquet(file)
    return (ParquetRows(file, list(columns), list(targets)),)


def fit(case: str, rows: slice, group: Any, solver: str | None = None) -> dict[str, Tensor]:
    """Train on some of the rows; returns J^T J at the start, the courses of the training and the final weights."""
    build, options = CASES[case]
    options = options if solver is None else {**options, "solver": solver}
    x, y, weight = (part[rows] for part in data())
    weight = None if case == "parquet" else weight
    module = build()
    path = build_path(CASES[case][1]["solver"], module, Settings(reduce=reduction(group)))
    with torch.no_grad():
        found = path.linearise(fitting_problem(module, x, y, weight), path.read())
    assert hasattr(found, "jtj")
    steppers: list[LevenbergMarquardt] = []

    def optimizer(module: nn.Module) -> LevenbergMarquardt:
        steppers.append(LevenbergMarquardt(module, process_group=group, **options))
        return steppers[0]

    named = {"jtj": found.jtj.tril().clone(), "jte": found.jte.clone(), "sse": found.sse.clone()}
    fitted = parquet_rows(x, y) if case == "parquet" else (x, y)
    result = train(
        module,
        *fitted,
        weight=weight,
        optimizer=optimizer,
        max_epochs=EVIDENCE_EPOCHS if case == "evidence" else EPOCHS,
        validation=tuple(part[rows] for part in data(10)) if case == "validated" else None,
    )
    for name in ("loss", "damping", "gradient_norm", "tries", "validation_loss"):
        if name in result.history:
            named[name] = torch.tensor(result.history[name], dtype=torch.float64)
    if case == "evidence":
        named["prior"] = steppers[0].state_dict()["prior"].clone()
    best_epochs = torch.tensor(result.best_epoch, dtype=torch.float64)
    return named | {"weights": flat_parameters(module), "best_epochs": best_epochs}


def main() -> None:
    folder, cases = Path(sys.argv[1]), sys.argv[2:]
    dist.init_process_group("gloo", timeout=timedelta(seconds=10))
    rank = dist.get_rank()
    rows = slice(0, SPLIT) if rank == 0 else slice(SPLIT, None)
    for case in cases:
        name, _, solver = case.partition(":")
        save_file(fit(name, rows, dist.group.WORLD, solver or None), folder / f"{name}{solver}-{rank}.safetensors")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
