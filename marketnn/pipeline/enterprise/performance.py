"""The enterprise's scorecard: its indices, five of them measured by this run, scored by a network that other units taught."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from marketnn import registry
from marketnn.data import assemble
from marketnn.data.index_scores import draw_index_scores
from marketnn.data.index_system import IndexSystem
from marketnn.data.index_values import middle_values, read_index_values
from marketnn.errors import InputError, unknown_name
from marketnn.scorecard import ImprovementPlan, PerformanceModel, ScoreErrors
from marketnn.seed import child_seed, numpy_generator

SCORE = "score"
N_MADE_UP = 1000
TEST_SHARE = 0.2
WHOLE_RANGE = 100.0  # what it costs to move an index over its usual range, unless the configuration says otherwise
ASSUMED = "assumed: the middle of its usual range"


@dataclass(frozen=True)
class Performance:
    """How the enterprise stands, and what would help it most.

    Attributes:
        system: what the indices are.
        indices: by code: ``value``, ``name``, ``unit``, ``direction``, ``origin`` (where the value comes from) and ``beyond``,
            whether it lies outside what the units had.
        made_up: whether the units are made up.
        n_units: units that taught the score.
        errors: on units that the network did not see.
        score, grade: of the enterprise.
        dimensions: a row per dimension: mean quality of the enterprise's indices and of the units'.
        effects: by index, the strongest first: ``slope`` of the score at the enterprise, ``effect`` of an improvement by a tenth
            of the usual range.
        plan: the best use of the improvement budget.
        budget: the improvement budget.
    """

    system: IndexSystem
    indices: pd.DataFrame
    made_up: bool
    n_units: int
    errors: ScoreErrors
    score: float
    grade: str
    dimensions: pd.DataFrame
    effects: pd.DataFrame
    plan: ImprovementPlan
    budget: float


def measure(
    measured: Mapping[str, tuple[float, str]],
    *,
    index_system: str,
    units: str | None,
    indices: str | None,
    restarts: int,
    improvement_costs: Mapping[str, float],
    improvement_budget: float,
    device: str,
    seed: int,
) -> Performance:
    """Score the enterprise.

    Args:
        measured: index -> its value and where this run has it from; they replace what the file says.
        index_system: ``default``, ``green`` or a YAML file.
        units: a CSV file of units with the indices and a ``score`` between 0 and 1; ``None`` makes units up.
        indices: a YAML file of the enterprise's other indices; ``None`` assumes the middle of their ranges.
        restarts: networks trained.
        improvement_costs: index -> cost of improving it by a unit; ``WHOLE_RANGE`` over the range for all, if there are none.
        improvement_budget: to spend on indices.
        device, seed: of the network.

    Raises:
        InputError: a file cannot be used, or a cost or the budget is out of range.
    """
    system = IndexSystem.load(index_system)
    x, y = _units(units, system, index_system, child_seed(seed, "units"))
    test = numpy_generator(child_seed(seed, "test units")).permutation(len(x))[: round(TEST_SHARE * len(x))]
    rest = np.setdiff1d(np.arange(len(x)), test)
    model = PerformanceModel(
        system, restarts=restarts, score_range=(0, 1), device=device, random_state=child_seed(seed, "scorecard")
    )
    model.fit(x.iloc[rest], y[rest])

    table = _own(system, measured, indices, x)
    own = table["value"].to_frame().T.reset_index(drop=True).astype(float)
    slope = model.slopes(own).iloc[0]
    tenth = pd.Series({index.code: (index.high - index.low) / 10 for index in system.indices}) * system.signs
    effects = pd.DataFrame({"name": table["name"], "slope": slope, "effect": slope * tenth})
    costs = _costs(system, improvement_costs)
    return Performance(
        system=system,
        indices=table,
        made_up=units is None,
        n_units=len(x),
        errors=model.errors(x.iloc[test], y[test]),
        score=float(model.predict(own)[0]),
        grade=str(model.grade(own)[0]),
        dimensions=_dimensions(system, own, x),
        effects=effects.sort_values("effect", ascending=False, kind="stable").rename_axis("index"),
        plan=model.cheapest_improvement(
            own, unit_costs=costs, budget=improvement_budget, bounds=_bounds(system, own.iloc[0])
        ),
        budget=improvement_budget,
    )


def _units(path: str | None, system: IndexSystem, name: str, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Return indices (n, d) and scores (n,) of units."""
    if path is None:
        if name not in ("default", "green"):
            raise InputError(
                f"pipeline.index_system={name} has no made-up units; pass pipeline.units=FILE.csv, units with its indices and a "
                "column 'score' between 0 and 1."
            )
        drawn = draw_index_scores(N_MADE_UP, name, seed=seed)
        return drawn.indices, drawn.score
    module, config = registry.configure("data", {"name": "csv", "path": path, "target": SCORE})
    table = assemble(module.read(config)).ready()
    system.require(list(table.features.columns), table.source)
    score = table.numeric_target()
    outside = (score < 0) | (score > 1)
    if outside.any():
        raise InputError(
            f"{table.source}: score is {score[outside][0]:g} in row {table.row_numbers[outside][0]}; write it between 0 and 1."
        )
    return table.features[system.codes], score


def _own(
    system: IndexSystem, measured: Mapping[str, tuple[float, str]], path: str | None, units: pd.DataFrame
) -> pd.DataFrame:
    """List the enterprise's indices and where each comes from."""
    known = {} if path is None else read_index_values(path, system)
    values = middle_values(system) | known
    origin = dict.fromkeys(system.codes, ASSUMED) | dict.fromkeys(known, f"told: {path}")
    for code, (value, source) in measured.items():
        if code in values:
            values[code], origin[code] = value, f"measured: {source}"
    table = system.table().set_index("code")[["name", "unit", "direction"]]
    table.insert(0, "value", pd.Series(values))
    table["origin"] = pd.Series(origin)
    table["beyond"] = (table["value"] < units.min()[table.index]) | (table["value"] > units.max()[table.index])
    return table.rename_axis("index")


def _dimensions(system: IndexSystem, own: pd.DataFrame, units: pd.DataFrame) -> pd.DataFrame:
    """Return the quality of the enterprise's dimensions beside the units' mean, on the scale that both span."""
    quality = system.dimension_scores(system.quality(pd.concat([own, units], ignore_index=True)))
    return pd.DataFrame({"this enterprise": quality.iloc[0], "mean unit": quality.iloc[1:].mean()}).rename_axis(
        "dimension"
    )


def _costs(system: IndexSystem, given: Mapping[str, float]) -> dict[str, float]:
    for code in given:
        if code not in system.codes:
            raise unknown_name("index in pipeline.improvement_costs", code, system.codes)
    return dict(given) or {index.code: WHOLE_RANGE / (index.high - index.low) for index in system.indices}


def _bounds(system: IndexSystem, own: pd.Series) -> dict[str, tuple[float, float]]:
    """Return how far each index may go: its usual range, and where it stands."""
    return {index.code: (min(index.low, own[index.code]), max(index.high, own[index.code])) for index in system.indices}
