"""What a metric means: one schema for every pipeline, so that runs of all kinds can be compared in one place.

A metric is described by its name, or by a pattern where names are made of segments, portraits or algorithms. What nobody
described, such as the metrics of a pipeline of a user's own, is shown by its name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

Better = Literal["higher", "lower", "neither"]

METRIC_TAG = "metrics"  # TensorBoard's tags are this and the name


@dataclass(frozen=True)
class Metric:
    """A metric's meaning.

    Attributes:
        title: what to call it.
        meaning: one line.
        better: ``higher``, ``lower``, or ``neither`` for a fact such as a number of rows.
        unit: of its values; nothing for a pure number.
    """

    title: str
    meaning: str
    better: Better = "neither"
    unit: str = ""

    @property
    def description(self) -> str:
        """Meaning, unit and direction in one line."""
        direction = "" if self.better == "neither" else f"{self.better} is better"
        return "; ".join(part for part in (self.meaning, self.unit and f"in {self.unit}", direction) if part)


_HIGHER: Better = "higher"
_LOWER: Better = "lower"

METRICS = {  # in each part, what a reader looks at first comes first
    # How well a classifier ranks and decides, on the test rows.
    "auc": Metric("AUC", "chance that a positive row is ranked above a negative one", _HIGHER),
    "average_precision": Metric("average precision", "area under the precision-recall curve", _HIGHER),
    "precision": Metric("precision", "share of the rows decided positive that are (paper A, eq. 4.1)", _HIGHER),
    "recall": Metric("recall", "share of the positive rows that were found", _HIGHER),
    "f1": Metric("F1", "harmonic mean of precision and recall", _HIGHER),
    "accuracy": Metric("accuracy", "share of test rows decided rightly", _HIGHER),
    "balanced_accuracy": Metric("balanced accuracy", "mean of the shares found of positives and of negatives", _HIGHER),
    "brier": Metric("Brier score", "mean squared error of the probabilities", _LOWER),
    "log_loss": Metric("log loss", "mean negative log-likelihood of the outcomes", _LOWER),
    "tp": Metric("true positives", "positive rows decided positive", unit="rows"),
    "fp": Metric("false positives", "negative rows decided positive", unit="rows"),
    "fn": Metric("false negatives", "positive rows decided negative", unit="rows"),
    "tn": Metric("true negatives", "negative rows decided negative", unit="rows"),
    "threshold": Metric("threshold", "probability from which a row is decided positive"),
    "target_precision_threshold": Metric("threshold of the target precision", "least threshold that reaches it"),
    "target_precision_recall": Metric("recall at the target precision", "share of positives found there", _HIGHER),
    "target_precision_n_selected": Metric(
        "selected at the target precision", "rows decided positive there", unit="rows"
    ),
    # What a recommender is worth.
    "top_10_importance": Metric("importance of the top ten", "share that the ten most important features hold"),
    "n_suspects": Metric("suspect features", "that alone predict the outcome almost perfectly", _LOWER, "features"),
    "n_seen": Metric("test rows seen", "whose features all equal those of a training row", _LOWER, "rows"),
    "n_accepted": Metric("accepted offers", "rows with the positive outcome", unit="rows"),
    "n_likely_accept": Metric("likely to accept", "rows with a probability above the threshold", unit="rows"),
    "n_calibration": Metric("calibration rows", "training rows that the calibration was fitted on", unit="rows"),
    "tier_saving": Metric("saving in tier 4", "of messages instead of calls, test rows", unit="units of the revenue"),
    "expected_profit": Metric(
        "expected profit", "of the contacts of highest expected profit, test rows", _HIGHER, "units of the revenue"
    ),
    "observed_profit": Metric(
        "observed profit", "of the same contacts, by what happened", _HIGHER, "units of the revenue"
    ),
    "observed_profit_of_tiers": Metric(
        "observed profit of the tiers", "of the tiers' contacts, by what happened", _HIGHER, "units of the revenue"
    ),
    "n_offers": Metric("offers", "to choose from", unit="offers"),
    "mean_expected_value": Metric(
        "mean expected value", "probability times revenue of each row's best offer", _HIGHER, "units of the revenue"
    ),
    "policy_value": Metric(
        "value of recommending", "per row, had every test row got its best offer", _HIGHER, "units of the revenue"
    ),
    "policy_value_se": Metric("standard error of that", "of the value of recommending", unit="units of the revenue"),
    "best_single_value": Metric(
        "value of the best single offer", "per row, had every test row got it", _HIGHER, "units of the revenue"
    ),
    "as_offered_value": Metric(
        "value as offered", "per row, of the offers that were made", unit="units of the revenue"
    ),
    # What drives an outcome.
    "log_likelihood": Metric("log-likelihood", "of the logistic regression on the training rows", _HIGHER),
    "mcfadden": Metric("McFadden's R²", "1 - log-likelihood over that of a constant", _HIGHER),
    "n_significant": Metric("significant features", "features whose p value is below the level", unit="features"),
    "n_churned": Metric("customers who left", "rows with the positive outcome", unit="rows"),
    "n_likely": Metric("likely to leave", "rows with a probability above the threshold", unit="rows"),
    "n_portraits": Metric("portraits", "groups of the customers who left", unit="groups"),
    "portraits_total_error": Metric("total error of the portraits", "root of the SSE (paper A, eq. 2.9)", _LOWER),
    # How well a score is predicted, on the test rows.
    "rmse": Metric("RMSE", "root of the mean squared error", _LOWER, "units of the score"),
    "r2": Metric("R²", "share of the variance that is explained", _HIGHER),
    "mae": Metric("MAE", "mean absolute error", _LOWER, "units of the score"),
    "same_grade": Metric("same grade", "share of test rows whose predicted grade is the actual one", _HIGHER),
    "mean_score": Metric("mean score", "of the predictions", unit="units of the score"),
    "mean_direction_share": Metric(
        "slopes of the right sign", "share over indices and rows, by the index system", _HIGHER
    ),
    "min_direction_share": Metric("least slopes of the right sign", "share of rows, of the worst index", _HIGHER),
    "n_wrong_directions": Metric(
        "wrong directions", "indices with fewer than nine slopes in ten right", _LOWER, "indices"
    ),
    "min_sign_share": Metric("least share of one sign", "rows whose slope has the mean's sign, of the worst index"),
    # How a network was trained.
    "n_parameters": Metric("parameters", "of one network", unit="numbers"),
    "restarts": Metric("restarts", "networks trained from weights of their own", unit="networks"),
    "epochs": Metric("epochs", "until the training ended", unit="epochs"),
    "best_epoch": Metric("best epoch", "whose weights were kept", unit="epochs"),
    "last_train_mse": Metric("last training MSE", "scaled score, at the last epoch", _LOWER),
    "train_mse": Metric("training MSE", "scaled score, at the weights kept", _LOWER),
    "validation_mse": Metric("validation MSE", "scaled score, at the weights kept", _LOWER),
    # How rows are grouped.
    "silhouette": Metric(
        "silhouette", "how much nearer a row is to its own segment than to the next, -1 to 1", _HIGHER
    ),
    "total_error": Metric("total error", "root of the SSE (paper A, eq. 2.9)", _LOWER),
    "sse": Metric("SSE", "squared distances to the centres, scaled units", _LOWER),
    "sum_distances": Metric("sum of distances", "to the centres, scaled units", _LOWER),
    "mean_distance": Metric("mean distance", "of the rows to their segments' centres, scaled units", _LOWER),
    "n_clusters": Metric("segments", "number of segments", unit="segments"),
    "rounds": Metric("rounds", "of the algorithm, as it counts them", unit="rounds"),
    "gini": Metric("Gini", "0 where all rows hold the same, 1 where one holds everything"),
    "top_row_share": Metric("top rows", "share of the rows that are called the top"),
    "top_value_share": Metric("held by the top rows", "share of the value that they hold"),
    "above_mean_row_share": Metric("rows above the mean", "share of the rows"),
    "above_mean_value_share": Metric("held above the mean", "share of the value that the rows above the mean hold"),
    # How marketing is planned over segments, projects, resources and quarters.
    "benefit_gain": Metric("gain", "benefit of the assignment less today's", _HIGHER, "currency"),
    "benefit_assigned": Metric(
        "benefit", "of the assignment within the limits, all costs counted", _HIGHER, "currency"
    ),
    "benefit_today": Metric("benefit today", "everybody marketed today's project, all costs counted", unit="currency"),
    "project_gain": Metric("gain of all projects", "S = W - W0 without limits (paper B, eq. 6)", _HIGHER, "currency"),
    "launch_gain": Metric(
        "gain of the best projects", "of the best set of projects, without limits", _HIGHER, "currency"
    ),
    "assignment_upper_bound": Metric("bound of the benefit", "no assignment is worth more", unit="currency"),
    "assignment_gap": Metric("gap of the assignment", "bound less benefit, as a share", _LOWER),
    "highest_shadow_price": Metric("highest shadow price", "of one more unit of a limit", unit="currency"),
    "expected_worth": Metric("expected worth", "of the projects that new customers get", _HIGHER, "currency"),
    "n_contacted": Metric("contacted", "customers who get a project", unit="customers"),
    "fitness_auc": Metric("AUC of the scores", "on customers the networks did not see, mean over outcomes", _HIGHER),
    "fitness_brier": Metric("Brier score of the scores", "likewise", _LOWER),
    "newsvendor_loss": Metric("loss, newsvendor", "expected, of its quantities, all segments", _LOWER, "currency"),
    "entropy_loss": Metric("loss, entropy rule", "expected, of its quantities, all segments", _LOWER, "currency"),
    "limited_loss": Metric("loss within the limit", "expected, of the quantities within it", _LOWER, "currency"),
    "resource_shadow_price": Metric("price of a resource", "by what one more unit lowers the loss", unit="currency"),
    "plan_total": Metric("planned response", "what the planned quarters add, as assumed", _HIGHER, "currency"),
    "plan_even_total": Metric("even response", "what the same budget adds, spread evenly", unit="currency"),
    "plan_upper_bound": Metric("bound of the plan", "no plan adds more", unit="currency"),
    "plan_budget": Metric("budget", "planned over all quarters", unit="currency"),
    "plan_shadow_price": Metric("price of the budget", "what one more unit of budget adds", unit="currency"),
    # What an allocation comes to.
    "assignment_value": Metric("value of the assignment", "contacts and fixed costs paid", _HIGHER, "currency"),
    "n_assigned": Metric("customers with an offer", "in the assignment", unit="customers"),
    "n_without_offer": Metric("without an eligible offer", "customers who can get none", unit="customers"),
    "n_launched": Metric("projects worth launching", "in the best set", unit="projects"),
    # How an enterprise stands, and what its campaign should bring.
    "score": Metric("score", "of the enterprise's scorecard, 0 to 1", _HIGHER),
    "improved_score": Metric("improved score", "after the best use of the improvement budget", _HIGHER),
    "improvement_cost": Metric("cost of the improvement", "of the indices", unit="currency"),
    "scorecard_r2": Metric("R² of the scorecard", "on units that the network did not see", _HIGHER),
    "n_assumed": Metric("assumed indices", "whose value nobody told or measured", _LOWER, "indices"),
    "campaign_profit": Metric(
        "profit of the campaign", "expected revenue less the cost of contacts", _HIGHER, "currency"
    ),
    "campaign_revenue": Metric("revenue of the campaign", "expected", _HIGHER, "currency"),
    "campaign_cost": Metric("cost of the campaign", "of all contacts", unit="currency"),
    "campaign_upper_bound": Metric(
        "bound of the campaign", "no campaign within the limits earns more", unit="currency"
    ),
    "campaign_gap": Metric("gap of the campaign", "bound less profit, relative", _LOWER),
    "campaign_saving": Metric("saved by SMS", "instead of calls in tier 4", unit="currency"),
    "best_single_profit": Metric("profit of one offer to all", "the best such offer", unit="currency"),
    "marketing_cost": Metric("marketing cost", "C of paper A, eq. 3.4, the campaign included", _LOWER, "currency"),
    "marketing_cost_low": Metric("least marketing cost", "at the lowest rates", unit="currency"),
    "marketing_cost_high": Metric("greatest marketing cost", "at the highest rates", unit="currency"),
    "marketing_cost_before": Metric("marketing cost before the campaign", "C of eq. 3.4", unit="currency"),
    "cost_ratio": Metric("cost ratio", "marketing cost over sales", _LOWER),
    # What a run read.
    "n_rows": Metric("rows", "read", unit="rows"),
    "n_columns": Metric("columns", "read", unit="columns"),
    "n_features": Metric("features", "that a model may use", unit="features"),
    "n_train": Metric("training rows", "that a model learnt from", unit="rows"),
    "n_validation": Metric("validation rows", "that stopped the training", unit="rows"),
    "n_test": Metric("test rows", "that no model saw", unit="rows"),
    "positives_test": Metric("positive test rows", "test rows with the positive outcome", unit="rows"),
    "n_duplicates": Metric("duplicates", "rows whose features equal an earlier row's", unit="rows"),
    "n_left_out": Metric("left out", "rows with missing values", unit="rows"),
    "n_unknown": Metric("unknown categories", "values that no training row has", unit="values"),
    "n_problems": Metric("problems", "columns that cannot be used as they are", unit="columns"),
    # How two runs differ.
    "n_keys": Metric("keys that differ", "of the configuration", unit="keys"),
    "n_versions": Metric("versions that differ", "of the libraries", unit="versions"),
    "n_metrics": Metric("metrics that differ", "between two runs", unit="metrics"),
    "n_tables": Metric("tables that differ", "between two runs", unit="tables"),
}
_INDEX = re.compile(r"index_([A-Z]+\d*)")
_GROUP_SIZE = re.compile(r"(portrait|segment|tier)_\d+_size")
PARTS = {"offers": "of the offers"}  # parts of a run whose numbers carry their name first (``Run.part``)
_OF_A_MODEL = re.compile(r"(auc|brier|rmse|r2|mae|silhouette|total_error|sse|sum_distances|rounds)_(.+)")


def described(name: str) -> Metric:
    """Return what a metric means; an unknown one is called by its name."""
    part, _, rest = name.partition("_")
    if part in PARTS and name not in METRICS and is_described(rest):
        metric = described(rest)
        return replace(metric, title=f"{metric.title} {PARTS[part]}")
    base, suffix = _split(name)
    if base in METRICS:
        metric = METRICS[base]
        return replace(metric, title=f"{metric.title}, {suffix.replace('_', ' ')}") if suffix else metric
    if _GROUP_SIZE.fullmatch(name):
        return Metric(f"size of {name.removesuffix('_size').replace('_', ' ')}", "rows in the group", unit="rows")
    if _INDEX.fullmatch(name):
        return Metric(f"index {name.removeprefix('index_')}", "of the enterprise's scorecard, in its unit")
    return Metric(name, "")


def is_described(name: str) -> bool:
    """Say whether a metric is in the schema."""
    return bool(described(name).meaning)


def importance(name: str) -> tuple[int, int, str]:
    """Return a key that sorts metrics for a reader.

    Measures that tell better from worse come first, then what nobody described, then the measures of other models and
    algorithms, then plain facts; each part in the order of the schema.
    """
    base, suffix = _split(name)
    place = list(METRICS).index(base) if base in METRICS else len(METRICS)
    if not is_described(name):
        return 1, place, name
    if described(name).better == "neither":
        return 3, place, name
    return (2 if suffix else 0), place, name


def _split(name: str) -> tuple[str, str]:
    """Split ``rmse_linear`` into the metric and the model or algorithm that it is of; nothing is named for the run's own."""
    match = None if name in METRICS else _OF_A_MODEL.fullmatch(name)
    return (match[1], match[2]) if match else (name, "")
