"""Allocation against OR-tools, HiGHS, SLSQP and NumPy: the same task, the same value, or the row is void."""

from __future__ import annotations

from functools import cache

from bench import allocation_contenders as contend
from bench.allocation_tasks import channels, offers, rewards
from bench.case import Case, Check, Goal, Options
from bench.machine import MEMORY

OURS = "marketnn"
TIERED = "marketnn, tiered scores"
TEN_TIMES = "marketnn, ten times as many"
ORTOOLS = "OR-tools, min-cost flow"
HIGHS = "SciPy, HiGHS"
SLSQP = "SciPy, SLSQP"
NUMPY = "NumPy"
OFFERS = 10


def cases(options: Options) -> list[Case]:
    """List the cases."""
    return [
        assignment(options, 10_000, at_least=1, repeats=5),
        assignment(options, 100_000, at_least=8, repeats=2),
        assignment(options, 1_000_000, at_least=40, repeats=1),
        growth(options),
        budgets(options),
        plan(options),
        max_plus(options),
    ]


def assignment(options: Options, customers: int, at_least: float, repeats: int) -> Case:
    """Integer optimum under capacities."""
    n = max(customers // 100, 500) if options.quick else customers
    make = cache(lambda: offers(n, OFFERS, options.seed))
    return Case(
        name=f"assignment_{customers}",
        text=f"{n:,} customers, {OFFERS} offers with capacities for six customers in ten: the best whole assignment.",
        columns=(contend.SECONDS, contend.VALUE, contend.GAP),
        contenders=(contend.ours(OURS, make), contend.ortools_flow(ORTOOLS, make, repeats=repeats)),
        # The flow's values are rounded to millionths of the largest.
        check=Check(contend.VALUE, relative=1e-6),
        goals=(
            Goal(contend.SECONDS, of=ORTOOLS, over=OURS, at_least=at_least),
            Goal(contend.GAP, of=OURS, at_most=1e-9),
        ),
        slow=customers == 1_000_000,
    )


def growth(options: Options) -> Case:
    """What ties and ten times as many customers cost."""
    n = 2_000 if options.quick else 1_000_000
    make = cache(lambda: offers(n, OFFERS, options.seed))
    return Case(
        name="assignment_growth",
        text=f"{n:,} customers, the same with scores in four tiers, and {10 * n:,} customers.",
        columns=(contend.SECONDS, contend.VALUE, contend.GAP),
        contenders=(
            contend.ours(OURS, make),
            contend.ours(TIERED, cache(lambda: offers(n, OFFERS, options.seed, tiered=True))),
            contend.ours(TEN_TIMES, cache(lambda: offers(10 * n, OFFERS, options.seed)), repeats=2),
        ),
        goals=(
            Goal(contend.SECONDS, of=TIERED, over=OURS, at_most=5),
            Goal(contend.SECONDS, of=TEN_TIMES, over=OURS, at_most=7),
            Goal(contend.GAP, of=TEN_TIMES, at_most=1e-9),
            # The value matrix of ten times as many has 400 MB; 1.3 of it may come on top.
            Goal(MEMORY, of=TEN_TIMES, at_most=1.3 * 400),
        ),
        repeats=3,
        memory=(TEN_TIMES,),
        slow=True,
    )


def budgets(options: Options) -> Case:
    """Integer optimum under capacities and channel budgets."""
    n = 500 if options.quick else 100_000
    make = cache(lambda: offers(n, OFFERS, options.seed))
    return Case(
        name="budgets_100000",
        text=f"{n:,} customers, {OFFERS} offers with capacities, three channels with budgets of which two bind.",
        columns=(contend.SECONDS, contend.VALUE, contend.GAP),
        contenders=(contend.ours(OURS, make, budgets=True), contend.highs(HIGHS, make, repeats=1)),
        # Whole customers cost a few of them what the relaxation gains; of few customers that is a larger part.
        check=Check(contend.VALUE, relative=1e-2 if options.quick else 1e-5),
        goals=(
            Goal(contend.SECONDS, of=HIGHS, over=OURS, at_least=70),
            Goal(contend.GAP, of=OURS),
        ),
        slow=True,
    )


def plan(options: Options) -> Case:
    """A year of weeks with carry-over."""
    weeks = 8 if options.quick else 52
    make = cache(lambda: channels(OFFERS, weeks, options.seed))
    return Case(
        name="plan_10_52",
        text=f"{OFFERS} channels, {weeks} weeks, carry-over, one budget: concave responses, to a gap of 1e-6.",
        columns=(contend.SECONDS, contend.VALUE, contend.GAP),
        contenders=(contend.our_plan(OURS, make), contend.slsqp(SLSQP, make)),
        check=Check(contend.VALUE, relative=1e-5),
        goals=(
            Goal(contend.SECONDS, of=SLSQP, over=OURS, at_least=80),
            Goal(contend.GAP, of=OURS, at_most=1e-6),
        ),
    )


def max_plus(options: Options) -> Case:
    """Dynamic programming over channels, for many scenarios."""
    scenarios, levels = (8, 31) if options.quick else (256, 201)
    make = cache(lambda: rewards(scenarios, OFFERS, levels, options.seed))
    return Case(
        name="max_plus_256_10_201",
        text=f"{scenarios} scenarios, {OFFERS} channels, {levels} levels of spend: the best shares by (max,+) convolution.",
        columns=(contend.SECONDS, contend.VALUE),
        contenders=(contend.our_max_plus(OURS, make), contend.numpy_max_plus(NUMPY, make)),
        check=Check(contend.VALUE, relative=1e-5),
        goals=(Goal(contend.SECONDS, of=NUMPY, over=OURS, at_least=25),),
    )
