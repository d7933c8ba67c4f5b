"""What paper A claims of its churn analysis, compared with a run of the churn pipeline on public customers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scipy.stats import beta

from experiments.claims import Claims
from experiments.ledger import Row, compare
from experiments.logistic_audit import PrintedRow, audit
from experiments.run_folder import RunFolder

FORMULA_TOLERANCE = 1e-10
SHOWN = ("n_significant", "auc", "precision", "recall", "n_rows", "n_test", "n_portraits", "n_likely")


def analysis_row(claims: Claims, experiment: str, customers: str, run: RunFolder) -> Row:
    """The analysis as a whole: features with p below the printed level are kept, and its own table passes the audit."""
    level = float(claims.printed["A"]["Churn analysis"]["level"])
    coefficients = run.table("coefficients").set_index("variable").drop(index="const")
    cells = coefficients[["coef", "std_err", "z", "p_value"]]
    rows = [PrintedRow(str(variable), *texts) for variable, *texts in cells.itertuples()]
    n_below = sum(float(row.p) < level for row in rows)
    ours = {
        "kept features without p below the level": abs(run.metrics["n_significant"] - n_below),
        "significance level": run.config["pipeline"]["level"],
        "faulty cells in the coefficient table": len(audit(rows)),
        **{name: run.metrics[name] for name in SHOWN},
    }
    published = {
        "kept features without p below the level": 0,
        "significance level": level,
        "faulty cells in the coefficient table": 0,
    }
    return compare(
        "A",
        f"Churn analysis on {customers}",
        experiment,
        ours=ours,
        published=published,
        tolerance=0.0,
        reason=claims.finding("A", "Churn analysis"),
        in_kind=True,
    )


def precision_row(claims: Claims, experiment: str, run: RunFolder) -> Row:
    """Eq. 4.1: the formula on the run's own counts, and what the printed precision costs on its test customers."""
    claim = claims.printed["A"]["Equation 4.1"]
    metrics, wanted = run.metrics, float(claim["precision"])
    curve = run.table("threshold_curve").astype(float)
    n_selected = metrics.get("target_precision_n_selected")
    # Where no threshold reaches it, the best one is what there is to compare.
    place = curve["precision"].idxmax() if n_selected is None else (curve["n_selected"] == n_selected).idxmax()
    threshold, precision, recall, named = (
        float(curve.at[place, name]) for name in ("threshold", "precision", "recall", "n_selected")
    )
    hits = round(precision * named)
    lower_bound = float(beta.ppf(0.05, hits, named - hits + 1)) if hits else 0.0
    ours = {
        "a threshold reaches the precision": int(precision >= wanted),
        "precision reached": precision,
        "precision looked for": run.config["pipeline"]["target_precision"],
        "TP / (TP + FP) on the run's counts": metrics["precision"],
        "recall where reached": recall,
        "threshold where reached": threshold,
        "customers named where reached": int(named),
        "precision where reached, lower 95 % bound": lower_bound,
    }
    formula = _count(metrics, claim["numerator"]) / _count(metrics, claim["denominator"])
    published = {
        "a threshold reaches the precision": 1,
        "precision looked for": wanted,
        "TP / (TP + FP) on the run's counts": formula,
    }
    tolerance = {
        "a threshold reaches the precision": 0.0,
        "precision looked for": 0.0,
        "TP / (TP + FP) on the run's counts": FORMULA_TOLERANCE,
    }
    reason = (
        f"{claims.finding('A', 'Equation 4.1')} Here the threshold {threshold:.3f} names {named:.0f} of {metrics['n_test']:,} "
        f"test customers, finds {recall:.1%} of the leavers, and of so few the precision may be as low as {lower_bound:.0%}."
    )
    return compare(
        "A",
        "Equation 4.1",
        experiment,
        ours=ours,
        published=published,
        tolerance=tolerance,
        reason=reason,
        in_kind=True,
    )


def stages_row(claims: Claims, experiment: str, run: RunFolder) -> Row:
    """Figure 3.3: whether the run shows each stage of the application idea, 1 for yes."""
    published = claims.printed["A"]["Figure 3.3"]["stages"]
    segments, metrics = run.table("segments"), run.metrics
    churned, likely = segments["churned"].astype(int).sum(), segments["likely"].astype(int).sum()
    shown = (
        metrics["n_significant"] > 0,
        len(segments) > 1 and churned == metrics["n_churned"],
        0 < likely == metrics["n_likely"] == len(run.table("likely_churners")),
        bool(segments["action"].str.strip().all()),
    )
    ours: dict[str, float] = {stage: int(found) for stage, found in zip(published, shown, strict=True)}
    ours |= {"portraits": len(segments), "customers lost": int(churned), "customers likely to leave": int(likely)}
    return compare(
        "A",
        "Figure 3.3",
        experiment,
        ours=ours,
        published=published,
        tolerance=0.0,
        reason=claims.finding("A", "Figure 3.3"),
        in_kind=True,
    )


def _count(metrics: Mapping[str, float], cells: Sequence[str]) -> float:
    return sum(metrics[cell] for cell in cells)
