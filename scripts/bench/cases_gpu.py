"""The cases of the engine ``gpu``: every engine's kernel on a CUDA card, beside the same on the CPU.

They are measured only where there is a card; ``cases_on`` takes any devices, so the work itself is tried without one.

Shapes: n rows, d columns, k clusters or offers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import torch
from bench.case import Case, Check, Contender, Goal, Measures, Options, Run
from bench.lm_tasks import teacher_task

from marketnn.allocation import assign_offers
from marketnn.cluster.lloyd import lloyd
from marketnn.cluster.rows import HeldRows
from marketnn.errors import InputError
from marketnn.optim import LevenbergMarquardt
from marketnn.seed import child_seed, torch_generator

PER_STEP = "ms per step"
RESULT = "result"
CARD_MEMORY = "peak MB on the card"
CARD, HOST = "cuda:0", "cpu"

Prepare = Callable[[torch.device], Callable[[], tuple[int, float]]]  # the work returns its steps and its result


def check_machine() -> None:
    """Refuse to measure without a card.

    Raises:
        InputError: there is none.
    """
    if not torch.cuda.is_available():
        raise InputError(
            f"torch {torch.__version__} sees no CUDA card on this machine, so benchmarks/gpu.md stays as it is; "
            "run this on a machine with one."
        )


def cases(options: Options) -> list[Case]:
    """Return every case of the engine."""
    return cases_on(options, (CARD, HOST))


def cases_on(options: Options, devices: Sequence[str]) -> list[Case]:
    """Return the cases for some devices, of which the first is judged by its ratio to the last."""
    scale = 100 if options.quick else 1
    shapes = {"lm_25_16_5": ((25, 16, 5), 1_000_000), "lm_124_32_1": ((124, 32, 1), 500_000)}
    found = [
        _case(
            f"{name}_{dtype}",
            f"Levenberg-Marquardt steps of {'-'.join(map(str, sizes))} on {rows // scale:,} rows, sums in {dtype}.",
            lm_steps(sizes, rows // scale, getattr(torch, dtype), options.seed),
            devices,
        )
        for name, (sizes, rows) in shapes.items()
        for dtype in ("float64", "float32")
    ]
    n = 1_000_000 // scale
    text = f"Lloyd's rounds of one start, {n:,} rows of 50 columns, 8 clusters, float32."
    found.append(_case("lloyd", text, lloyd_rounds(n, 50, 8, options.seed), devices))
    text = f"The best offer of 10 for {n:,} customers under capacities, exactly; a step is the whole assignment."
    found.append(_case("assignment", text, assignment(n, 10, options.seed), devices))
    return found


def lm_steps(layer_sizes: tuple[int, ...], n: int, dtype: torch.dtype, seed: int) -> Prepare:
    """Return the work of five steps; its result is the MSE after them."""

    def prepare(device: torch.device) -> Callable[[], tuple[int, float]]:
        task = teacher_task(layer_sizes, n, 0.05, child_seed(seed, f"teacher {layer_sizes}"))
        x, y = task.x.to(device), task.y.to(device)

        def work() -> tuple[int, float]:
            network = task.network(seed).to(device)
            optimizer = LevenbergMarquardt(network, accumulate_dtype=dtype, solver="packed")
            losses = [optimizer.step(x, y).new_loss for _ in range(5)]
            return len(losses), float(losses[-1])

        return work

    return prepare


def lloyd_rounds(n: int, d: int, k: int, seed: int) -> Prepare:
    """Return the work of twenty rounds; its result is the sum of squares after them."""

    def prepare(device: torch.device) -> Callable[[], tuple[int, float]]:
        generator = torch_generator(seed)
        x_nd = torch.randn(n, d, generator=generator)
        x_nd += 2 * torch.randn(k, d, generator=generator)[torch.randint(k, (n,), generator=generator)]
        rows = HeldRows((x_nd - x_nd.mean(0)).to(device))
        start_1kd = rows.x_nd[None, :k].clone()

        def work() -> tuple[int, float]:
            result = lloyd(rows, start_1kd, max_rounds=20, tolerance=0.0)
            return result.n_rounds[0], result.history[0][-1]

        return work

    return prepare


def assignment(n: int, k: int, seed: int) -> Prepare:
    """Return the work of one assignment; its result is the value."""

    def prepare(device: torch.device) -> Callable[[], tuple[int, float]]:
        value_nk = torch.rand(n, k, generator=torch_generator(seed)).to(device)
        capacity = [0.6 * n // k] * k
        return lambda: (1, assign_offers(value_nk, capacity=capacity).value)

    return prepare


def _case(name: str, text: str, prepare: Prepare, devices: Sequence[str]) -> Case:
    return Case(
        name=name,
        text=text,
        columns=(PER_STEP, RESULT, CARD_MEMORY),
        contenders=tuple(_contender(device, prepare) for device in devices),
        check=Check(RESULT, relative=1e-3),
        goals=(Goal(PER_STEP, of=devices[-1], over=devices[0]),),
    )


def _contender(name: str, prepare: Prepare) -> Contender:
    device = torch.device(name)

    def prepared() -> Run:
        work = prepare(device)

        def run() -> Measures:
            if device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(device)
            start = time.perf_counter()
            # The result is a number on the host: when it is there, the card is done.
            steps, result = work()
            measures = {PER_STEP: 1e3 * (time.perf_counter() - start) / steps, RESULT: result}
            if device.type == "cuda":
                measures[CARD_MEMORY] = torch.cuda.max_memory_allocated(device) / 2**20
            return measures

        return run

    return Contender(name, _described(device), prepared)


def _described(device: torch.device) -> str:
    if device.type != "cuda":
        return "the machine's processor"
    return torch.cuda.get_device_name(device) if torch.cuda.is_available() else "a card"
