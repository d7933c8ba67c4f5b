"""What a finished scorecard says of new rows, written down: their grades, and how well the scores were predicted."""

from __future__ import annotations

import numpy as np
import pandas as pd

from marketnn.data.schema import is_number
from marketnn.pipeline.scorecard.model import ScorecardModel
from marketnn.scorecard import LOWEST_GRADE, ScoreErrors
from marketnn.spelling import counted
from marketnn.tracking import Run


def record_scores(
    model: ScorecardModel, scored: pd.DataFrame, outcome: pd.Series | None, source: str, out: Run
) -> None:
    """Record how many rows have each grade, and compare with the actual scores where there are any.

    Args:
        model: what scored them.
        scored: ``ScorecardModel.predict``'s frame.
        outcome: the target of the same rows.
        source: the rows' file, for messages.
        out: where to.
    """
    mean = scored["score"].mean()
    out.headline(f"{counted(len(scored), 'row')} of {source} scored; the mean {model.target} is {mean:.4g}.")
    out.table("grades", grade_counts(model, {"rows": scored["score"].to_numpy()}), "Rows by grade", size="rows")
    out.metric(mean_score=mean)
    if outcome is None:
        return
    known = outcome.notna().to_numpy()
    if not is_number(outcome) or outcome[known].nunique() < 2:
        out.headline(f"The file's '{model.target}' holds no two different numbers, so scores are not compared with it.")
        return
    errors = ScoreErrors.of(outcome[known].to_numpy(), scored["score"].to_numpy()[known])
    out.metric(**errors.as_metrics(), n_test=int(known.sum()))
    out.headline(f"The file has the score: RMSE {errors.rmse:.4g}, R² {errors.r2:.3f}, MAE {errors.mae:.4g}.")


def grade_counts(model: ScorecardModel, scores: dict[str, np.ndarray]) -> pd.DataFrame:
    """Count the rows of each grade, best first, one column per set of scores."""
    low, high = model.score_range
    grades = sorted(model.thresholds, key=lambda name: -model.thresholds[name])
    starts = [low + model.thresholds[name] * (high - low) for name in grades]
    counts = {name: pd.Series(model.grades(values)).value_counts() for name, values in scores.items()}
    table = pd.DataFrame({"grade": [*grades, LOWEST_GRADE], f"{model.target} from": [*starts, np.nan]})
    for name, count in counts.items():
        table[name] = [int(count.get(grade, 0)) for grade in table["grade"]]
    return table
