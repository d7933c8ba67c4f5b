"""least_squares against the certified values of NIST's 27 nonlinear regression problems, from both official starts.

Eight higher-difficulty tables stand beside this file; the other 19 are in the folder of real tables.
https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor

from marketnn.optim.least_squares import least_squares

BESIDE = Path(__file__).parent / "nist_strd"
DIGITS = 9
STANDARD_ERROR_DIGITS = 7


@dataclass(frozen=True)
class Problem:
    """One table: its starts (2, P), certified values and standard deviations (P,), sum of squares, y and x."""

    starts: Tensor
    certified: Tensor
    deviation: Tensor
    sum_of_squares: float
    y: Tensor
    x: Tensor


def read_problem(file: Path) -> Problem:
    text = file.read_text()
    rows = [line.split("=")[1].split() for line in text.splitlines() if re.match(r"\s*b\d+ =", line)]
    parameters = torch.tensor([[float(value) for value in row] for row in rows], dtype=torch.float64)
    table = re.split(r"\nData:.*", text)[-1].split("\n")
    data = torch.tensor([[float(value) for value in row.split()] for row in table if row.strip()], dtype=torch.float64)
    found = re.search(r"Residual Sum of Squares:\s+(\S+)", text)
    assert found
    return Problem(parameters[:, :2].T, parameters[:, 2], parameters[:, 3], float(found[1]), data[:, 0], data[:, 1:].T)


def saturation(b: Tensor, x: Tensor) -> Tensor:
    return b[0] * (1 - torch.exp(-b[1] * x))


def decay_over_line(b: Tensor, x: Tensor) -> Tensor:
    return torch.exp(-b[0] * x) / (b[1] + b[2] * x)


def decay_and_two_peaks(b: Tensor, x: Tensor) -> Tensor:
    peaks = b[2] * torch.exp(-(((x - b[3]) / b[4]) ** 2)) + b[5] * torch.exp(-(((x - b[6]) / b[7]) ** 2))
    return b[0] * torch.exp(-b[1] * x) + peaks


def three_decays(b: Tensor, x: Tensor) -> Tensor:
    return b[0] * torch.exp(-b[1] * x) + b[2] * torch.exp(-b[3] * x) + b[4] * torch.exp(-b[5] * x)


def cubic_over_cubic(b: Tensor, x: Tensor) -> Tensor:
    return (b[0] + b[1] * x + b[2] * x**2 + b[3] * x**3) / (1 + b[4] * x + b[5] * x**2 + b[6] * x**3)


def three_cycles(b: Tensor, x: Tensor) -> Tensor:
    def cycle(cosine: Tensor, sine: Tensor, period: Tensor | float) -> Tensor:
        return cosine * torch.cos(2 * math.pi * x / period) + sine * torch.sin(2 * math.pi * x / period)

    return b[0] + cycle(b[1], b[2], 12.0) + cycle(b[4], b[5], b[3]) + cycle(b[7], b[8], b[6])


MODELS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "Bennett5": lambda b, x: b[0] * (b[1] + x) ** (-1 / b[2]),
    "BoxBOD": saturation,
    "Chwirut1": decay_over_line,
    "Chwirut2": decay_over_line,
    "DanWood": lambda b, x: b[0] * x ** b[1],
    "ENSO": three_cycles,
    "Eckerle4": lambda b, x: b[0] / b[1] * torch.exp(-0.5 * ((x - b[2]) / b[1]) ** 2),
    "Gauss1": decay_and_two_peaks,
    "Gauss2": decay_and_two_peaks,
    "Gauss3": decay_and_two_peaks,
    "Hahn1": cubic_over_cubic,
    "Kirby2": lambda b, x: (b[0] + b[1] * x + b[2] * x**2) / (1 + b[3] * x + b[4] * x**2),
    "Lanczos1": three_decays,
    "Lanczos2": three_decays,
    "Lanczos3": three_decays,
    "MGH09": lambda b, x: b[0] * (x**2 + x * b[1]) / (x**2 + x * b[2] + b[3]),
    "MGH10": lambda b, x: b[0] * torch.exp(b[1] / (x + b[2])),
    "MGH17": lambda b, x: b[0] + b[1] * torch.exp(-x * b[3]) + b[2] * torch.exp(-x * b[4]),
    "Misra1a": saturation,
    "Misra1b": lambda b, x: b[0] * (1 - (1 + b[1] * x / 2) ** (-2)),
    "Misra1c": lambda b, x: b[0] * (1 - (1 + 2 * b[1] * x) ** (-0.5)),
    "Misra1d": lambda b, x: b[0] * b[1] * x / (1 + b[1] * x),
    "Nelson": lambda b, x: b[0] - b[1] * x[:1] * torch.exp(-b[2] * x[1:]),
    "Rat42": lambda b, x: b[0] / (1 + torch.exp(b[1] - b[2] * x)),
    "Rat43": lambda b, x: b[0] / (1 + torch.exp(b[1] - b[2] * x)) ** (1 / b[3]),
    "Roszman1": lambda b, x: b[0] - b[1] * x - torch.arctan(b[2] / (x - b[3])) / math.pi,
    "Thurber": cubic_over_cubic,
}


def digits(ours: Tensor, certified: Tensor) -> float:
    """The least number of digits that agree, of the eleven that are certified."""
    return -torch.log10(((ours - certified) / certified).abs().clamp(min=1e-11)).max().item()


@pytest.mark.parametrize("start", [1, 2])
@pytest.mark.parametrize("name", MODELS)
def test_certified_values(name: str, start: int, request: pytest.FixtureRequest) -> None:
    beside = BESIDE / f"{name}.dat"
    file = beside if beside.exists() else request.getfixturevalue("real_data") / "nist_strd" / f"{name}.dat"
    problem = read_problem(file)
    y = problem.y.log() if name == "Nelson" else problem.y  # its model is of log[y]

    def residual(b: Tensor) -> Tensor:
        return y - MODELS[name](b, problem.x).squeeze(0)

    fit = least_squares(residual, problem.starts[start - 1])
    assert fit.status != "max_evaluations"
    assert digits(fit.x, problem.certified) >= DIGITS

    # s is the residual's size: it can have no more digits than the residual keeps after y - yhat is rounded
    rounding = torch.finfo(torch.float64).eps * y.abs().max().item()
    deviation = math.sqrt(problem.sum_of_squares / (len(y) - len(fit.x)))
    assert digits(fit.standard_error, problem.deviation) >= min(
        STANDARD_ERROR_DIGITS, -math.log10(rounding / deviation)
    )
    assert 2 * fit.cost.item() == pytest.approx(problem.sum_of_squares, rel=max(1e-9, rounding / deviation))
