"""The planning itself: from a table of customers to segments, projects, resources and quarters, without writing anything."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass

import pandas as pd

from marketnn.cluster.concentration import Concentration, concentration
from marketnn.data import Table
from marketnn.data.projects import Project
from marketnn.data.schema import is_number
from marketnn.errors import InputError, unknown_name
from marketnn.pipeline.omnichannel.allotment import Allotment, allot
from marketnn.pipeline.omnichannel.case import Case, calibrate
from marketnn.pipeline.omnichannel.config import Config
from marketnn.pipeline.omnichannel.fitness import Fitness, fitness
from marketnn.pipeline.omnichannel.model import OmnichannelModel
from marketnn.pipeline.omnichannel.outcomes import Outcome, current_place, offered, read_outcome
from marketnn.pipeline.omnichannel.quarters import QuarterPlan, plan_quarters
from marketnn.pipeline.omnichannel.resources import Resources, provide
from marketnn.pipeline.omnichannel.segments import Segmentation, Selection, segment, select
from marketnn.pipeline.parts import Parts, Stage


@dataclass(frozen=True)
class OmnichannelAnalysis:
    """Everything a planning found.

    Attributes:
        table: the customers.
        selection: features chosen.
        segmentation: segments.
        fitness: scores.
        allotment: projects to customers.
        spread: concentration of ``value_name``; ``None`` where there is nothing to share.
        value_name: what that is.
        resources: quantities by segment.
        quarters: the budget's plan; ``None`` where no benefit is planned.
        case: the calibration, unless it is left out.
        model: scores new customers.
    """

    table: Table
    selection: Selection
    segmentation: Segmentation
    fitness: Fitness
    allotment: Allotment
    spread: Concentration | None
    value_name: str
    resources: Resources
    quarters: QuarterPlan | None
    case: Case | None
    model: OmnichannelModel

    @property
    def segment_names(self) -> list[str]:
        """Of the segments, the largest first."""
        return [found.name for found in self.segmentation.segments]


def analyse(
    table: Table, config: Config, parts: Parts, *, stage: Stage = lambda _: nullcontext()
) -> OmnichannelAnalysis:
    """Plan for the customers of a table.

    Args:
        table: a row per customer.
        config: how.
        parts: scaler, algorithm, network, optimiser, device and seed.
        stage: entered around each named stage, for timing and progress.

    Raises:
        InputError: the table or the configuration cannot be used; the message says what to change.
    """
    config.check()
    case = calibrate(config) if config.case else None
    with stage("customers"):
        table = table.ready()
        projects = offered(table, config)
        current = current_place(projects, config)
        outcomes, outcome = _outcomes(table, projects, current, config)
        _check_value(table, config)
        features = _features(table, projects, config)
        selection = select(features, outcome.values, config, table.source)
    with stage("segments"):
        segmentation = segment(features[selection.columns], selection, config, parts, table.source)
    names, labels = [found.name for found in segmentation.segments], segmentation.labels
    with stage("fitness scores"):
        scored = fitness(selection.frame, labels, len(names), projects, outcomes, config, parts, table.source)
    with stage("projects"):
        allotment = allot(scored.probability, projects, current, config, parts)
    with stage("resources"):
        resources = provide(table, labels, names, allotment.customer_probability, config)
    with stage("quarters"):
        quarters = plan_quarters(allotment.customer_worth, labels, names, config)
    value_name = config.value or "planned benefit"
    values = table.frame[config.value].to_numpy() if config.value else allotment.customer_worth
    model = OmnichannelModel.of(table, selection, segmentation, scored, outcomes, allotment)
    return OmnichannelAnalysis(
        table=table,
        selection=selection,
        segmentation=segmentation,
        fitness=scored,
        allotment=allotment,
        spread=concentration(values, name=value_name) if values.any() else None,
        value_name=value_name,
        resources=resources,
        quarters=quarters,
        case=case,
        model=model,
    )


def _outcomes(
    table: Table, projects: tuple[Project, ...], current: int, config: Config
) -> tuple[tuple[Outcome, ...], Outcome]:
    """Read every project's column, and what the importance of features is for."""
    key = config.projects or ("data.target" if config.outcome is None else "pipeline.outcome")
    outcomes = tuple(read_outcome(table, project.column, project.above, key) for project in projects)
    if config.outcome is not None:
        return outcomes, read_outcome(table, config.outcome, config.outcome_above, "pipeline.outcome")
    if table.options.target is not None:
        return outcomes, read_outcome(table, table.options.target, config.outcome_above, "data.target")
    return outcomes, outcomes[current]


def _features(table: Table, projects: tuple[Project, ...], config: Config) -> pd.DataFrame:
    """Return the features without the columns that say what came of a project."""
    told = {config.outcome, *(project.column for project in projects)}
    features = table.features.drop(columns=told & set(table.features.columns))
    if features.empty:
        raise InputError(
            f"{table.source}: no column is a feature besides the outcomes; pipeline=inspect shows the roles."
        )
    return features


def _check_value(table: Table, config: Config) -> None:
    if config.value is None:
        return
    if config.value not in table.frame.columns:
        raise InputError(
            f"{table.source}: {unknown_name('column in pipeline.value', config.value, table.frame.columns)}"
        )
    if not is_number(table.frame[config.value]):
        raise InputError(f"{table.source}: pipeline.value={config.value} is text; name a number.")
