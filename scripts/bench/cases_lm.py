"""The cases of the engine ``lm``: Levenberg-Marquardt against its peers, on networks from 16 to 48,561 parameters."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import torch
from bench import lm_goals, lm_large, lm_steps
from bench.case import Case, Check, Contender, Goal, Options
from bench.lm_steps import TORCH_LM
from bench.lm_tasks import Task, bank_task, sine_task, smooth_task, teacher_task
from bench.machine import MEMORY

from marketnn.seed import child_seed, numpy_generator

OURS = "marketnn"
OURS_32 = "marketnn, float32"
SLICED = f"{TORCH_LM}, sliced"
ADAM = "torch Adam"
LARGE = (40, 400, 80, 1)
MISSED = "a fit that misses it counts as infinitely slow"


def cases(options: Options) -> list[Case]:
    """Return every case of the engine."""
    return [
        gauss_25_16_5(options),
        gauss_124_32_1(options),
        gemm_124_32_1(options),
        time_to_error(options),
        restarts(options),
        sine(options),
        sine_step(options),
        large(options),
        large_step(options),
        bank(options),
        *(random_shape(options, number) for number in (1, 2, 3)),
    ]


def gauss_25_16_5(options: Options) -> Case:
    """501 parameters and five outputs on many rows, where leaving J out pays most."""
    goals = (
        *_faster(lm_steps.PER_STEP, OURS, (TORCH_LM, SLICED), at_least=25),
        *_faster(lm_steps.PER_STEP, OURS_32, (TORCH_LM, SLICED), at_least=40),
        Goal(MEMORY, of=OURS, over=TORCH_LM, at_most=1 / 20),
        Goal(MEMORY, of=OURS, over=SLICED),
    )
    return _step_case(options, "gauss_25_16_5", (25, 16, 5), 20_000, steps=5, goals=goals)


def gauss_124_32_1(options: Options) -> Case:
    """4,033 parameters, where one product of matrices and one Cholesky are the work."""
    goals = (
        *_faster(lm_steps.PER_STEP, OURS, (TORCH_LM, SLICED), at_least=4),
        *_faster(lm_steps.PER_STEP, OURS_32, (TORCH_LM, SLICED), at_least=6),
        Goal(MEMORY, of=OURS, at_most=400),
    )
    return _step_case(options, "gauss_124_32_1", (124, 32, 1), 50_000, steps=1, goals=goals, repeats=3)


def gemm_124_32_1(options: Options) -> Case:
    """The share of the machine's own rate of multiplication that J^T J reaches."""
    make = _teacher(options, (124, 32, 1), 50_000)
    return Case(
        name="gemm_124_32_1",
        text=f"J^T J of 124-32-1 on {_rows(options, 50_000):,} rows, as a rate, beside torch.mm of the shape that does its"
        " work (528 x 7,875).",
        columns=(lm_steps.RATE,),
        contenders=(
            lm_steps.ours_system(OURS, make, options.seed),
            lm_steps.torch_mm("torch.mm", make, rows=2_000, products=2 if options.quick else 25),
        ),
        goals=(Goal(lm_steps.RATE, of=OURS, over="torch.mm", at_least=0.85),),
    )


def time_to_error(options: Options) -> Case:
    """Seconds to a training error, where the peers may go their own ways."""
    seeds = range(options.seed, options.seed + (1 if options.quick else 5))
    goal = 0.005
    contenders = lm_goals.goal_contenders(
        _teacher(options, (20, 12, 1), 2_000), seeds, goal, seconds=5 if options.quick else 60, adam_rate=0.01
    )
    return Case(
        name="time_to_error_20_12_1",
        text=f"20-12-1 on {_rows(options, 2_000):,} rows of a noisy teacher, from {len(seeds)} first weights to MSE {goal:g};"
        f" {MISSED}.",
        columns=(lm_goals.reached_of(len(seeds)), lm_goals.PER_FIT, lm_goals.WORST),
        contenders=contenders,
        check=Check(lm_goals.WORST, at_most=goal),
        goals=_goal_ratios(contenders, at_least=4),
    )


def restarts(options: Options) -> Case:
    """Many first weights of one network at once."""
    members, steps = 4 if options.quick else 64, 20
    make = _teacher(options, (20, 10, 1), 500, noise=0.1)
    given = (make, options.seed, members, steps)
    return Case(
        name="restarts_64",
        text=f"{members} restarts of 20-10-1 on {_rows(options, 500)} rows, {steps} iterations each; the noise alone is MSE .01.",
        columns=(lm_steps.SECONDS, lm_steps.MEDIAN_LOSS),
        contenders=(
            lm_steps.ours_batched(OURS, *given),
            lm_steps.torch_lm_loop(TORCH_LM, *given),
            lm_steps.optimistix_batched("optimistix", *given),
        ),
        check=Check(lm_steps.MEDIAN_LOSS, at_most=0.012),
        goals=(
            Goal(lm_steps.SECONDS, of=TORCH_LM, over=OURS, at_least=3),
            Goal(lm_steps.SECONDS, of="optimistix", over=OURS, at_least=4),
        ),
    )


def sine(options: Options) -> Case:
    """The classic small fit, from twenty first weights."""
    seeds = range(options.seed, options.seed + (2 if options.quick else 20))
    seconds = 1.0 if options.quick else 3.0
    contenders = lm_goals.goal_contenders(partial(sine_task, 41), seeds, 1e-6, seconds, adam_rate=0.01)
    return Case(
        name="sin_1_5_1",
        text=f"1-5-1 on 41 points of a sine, from {len(seeds)} first weights to MSE 1e-6, at most {seconds:g} s"
        f" each; {MISSED}.",
        columns=(lm_goals.reached_of(len(seeds)), lm_goals.PER_FIT, lm_goals.WORST),
        contenders=contenders,
        goals=_goal_ratios(contenders),
        repeats=3,
    )


def sine_step(options: Options) -> Case:
    """What a step costs where there is next to nothing to compute."""
    make, warm = partial(sine_task, 41), 5
    return Case(
        name="sin_step_1_5_1",
        text=f"50 steps of the same fit in the steady state: {warm} steps before them are not timed.",
        columns=(lm_steps.PER_STEP, lm_steps.LOSS),
        contenders=(
            lm_steps.ours(OURS, make, options.seed, steps=50, damping_rule="nielsen", untimed=warm),
            lm_steps.torch_lm(TORCH_LM, make, options.seed, steps=50, untimed=warm),
        ),
        goals=(
            Goal(lm_steps.PER_STEP, of=OURS, at_most=0.10, threads=1),
            Goal(lm_steps.PER_STEP, of=TORCH_LM, over=OURS),
        ),
    )


def large(options: Options) -> Case:
    """Mini-batch LM against Adam where J^T J has no place in memory."""
    seconds = 2.0 if options.quick else 120.0
    make = _large_task(options, rows=5_000 if options.quick else 100_000)
    return Case(
        name="large_40_400_80_1",
        text=f"40-400-80-1, 48,561 parameters, on a smooth function without noise, {seconds:g} s each.",
        columns=(lm_large.END_LOSS, lm_large.TO_ADAM),
        contenders=(
            lm_large.ours_large(OURS, make, options, seconds),
            lm_large.adam_large(ADAM, make, options, seconds),
        ),
        goals=(
            Goal(lm_large.TO_ADAM, of=ADAM, over=OURS, at_least=6),
            Goal(lm_large.END_LOSS, of=ADAM, over=OURS, at_least=5),
            Goal(MEMORY, of=OURS, at_most=1_000),
        ),
        repeats=3,
        memory=(OURS,),
    )


def large_step(options: Options) -> Case:
    """What a step on one mini-batch costs."""
    make = _large_task(options, rows=500)
    return Case(
        name="large_step_40_400_80_1",
        text="Steps of 40-400-80-1 on the same 500 rows; each must lower their MSE.",
        columns=(lm_steps.PER_STEP, lm_large.DECREASE),
        contenders=(
            lm_large.ours_step(OURS, make, options.seed, steps=3),
            lm_large.torch_lm_step(TORCH_LM, make, options.seed, steps=3),
            lm_large.torch_lm_step(lm_goals.TORCH_LM_QR, make, options.seed, steps=3, solve_method="qr"),
        ),
        check=Check(lm_large.DECREASE, at_most=1.0),
        goals=_faster(lm_steps.PER_STEP, OURS, (TORCH_LM, lm_goals.TORCH_LM_QR), at_least=50),
    )


def bank(options: Options) -> Case:
    """A real and noisy table, where a lower training error need not help."""
    seconds = 1.0 if options.quick else 15.0
    make = cache(partial(bank_task, 32, options.seed, 2_000 if options.quick else None))
    adams = [
        lm_large.adam_on_parts(f"{ADAM}, rate {rate:g}", make, rate, options.seed, seconds) for rate in lm_large.RATES
    ]
    return Case(
        name="bank_telemarketing",
        text=f"One hidden layer of 32 on the bank telemarketing calls, squared error of the probability, {seconds:g} s each;"
        " validation rows choose the weights.",
        columns=(lm_large.TEST_LOSS, lm_large.TO_BEST),
        contenders=(lm_large.ours_on_parts(OURS, make, options.seed, seconds), *adams),
        goals=tuple(
            Goal(measure, of=adam.name, over=OURS)
            for adam in adams
            for measure in (lm_large.TEST_LOSS, lm_large.TO_BEST)
        ),
        repeats=3,
    )


def random_shape(options: Options, number: int) -> Case:
    """A network and rows whose sizes come from the seed, against tuning to the shapes above."""
    generator = numpy_generator(child_seed(options.seed, f"random {number}"))
    hidden = generator.integers(4, 25, size=generator.integers(1, 3)).tolist()
    layer_sizes = (int(generator.integers(5, 41)), *hidden, int(generator.integers(1, 5)))
    rows = int(generator.integers(1_000, 8_001))
    goals = _faster(lm_steps.PER_STEP, OURS, (TORCH_LM, SLICED))
    return _step_case(options, f"random_{number}", layer_sizes, rows, steps=5, goals=goals)


def _step_case(
    options: Options,
    name: str,
    layer_sizes: tuple[int, ...],
    rows: int,
    *,
    steps: int,
    goals: tuple[Goal, ...],
    repeats: int = 5,
) -> Case:
    """Compare the time of the same steps from the same first weights."""
    make = _teacher(options, layer_sizes, rows)
    seed = options.seed
    return Case(
        name=name,
        text=f"{'-'.join(map(str, layer_sizes))} on {_rows(options, rows):,} rows, {steps} iteration(s) from the same first"
        " weights with the same damping.",
        columns=(lm_steps.PER_STEP, lm_steps.LOSS),
        contenders=(
            lm_steps.ours(OURS, make, seed, steps),
            lm_steps.ours(OURS_32, make, seed, steps, accumulate_dtype=torch.float32),
            lm_steps.torch_lm(TORCH_LM, make, seed, steps),
            lm_steps.torch_lm(SLICED, make, seed, steps, slice_rows=1_000),
        ),
        check=Check(lm_steps.LOSS, relative=1e-5),
        goals=goals,
        repeats=repeats,
        memory=(OURS, OURS_32, TORCH_LM, SLICED),
    )


def _faster(measure: str, ours: str, peers: tuple[str, ...], at_least: float | None = None) -> tuple[Goal, ...]:
    return tuple(Goal(measure, of=peer, over=ours, at_least=at_least) for peer in peers)


def _goal_ratios(contenders: tuple[Contender, ...], at_least: float | None = None) -> tuple[Goal, ...]:
    """Set the seconds of every peer over ours, with a limit for the peer of the same method."""
    names = [contender.name for contender in contenders]
    ours = [name for name in names if name.startswith(OURS)]
    return tuple(
        Goal(lm_goals.PER_FIT, of=peer, over=own, at_least=at_least if peer.startswith(TORCH_LM) else None)
        for own in ours
        for peer in names
        if peer not in ours
    )


def _teacher(options: Options, layer_sizes: tuple[int, ...], rows: int, noise: float = 0.05) -> Callable[[], Task]:
    """Return the function that draws a teacher's rows, once in a process."""
    seed = child_seed(options.seed, f"teacher {layer_sizes}")
    return cache(partial(teacher_task, layer_sizes, _rows(options, rows), noise, seed))


def _rows(options: Options, rows: int) -> int:
    """Take a fiftieth of the rows when quick, but more than any peer needs."""
    return max(400, rows // 50) if options.quick else rows


def _large_task(options: Options, rows: int) -> Callable[[], Task]:
    return cache(partial(smooth_task, LARGE, rows, child_seed(options.seed, "smooth")))
