"""Logistic regression for inference: which columns move the odds of churn, by how much, and how sure that is.

Paper A, table 4.1: estimate, standard error, z and p of every column; a column is kept where p < .05. The fit is
maximum likelihood by Newton's method in statsmodels. Shapes: n rows, p columns; the design has the intercept first.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from scipy.special import expit, xlogy
from statsmodels.discrete.discrete_model import Logit
from statsmodels.stats.multitest import multipletests

from marketnn.classify.collinearity import find_dependencies, refuse_dependencies, variance_inflation
from marketnn.classify.labels import Vector, binary_labels
from marketnn.classify.separation import find_separation, refuse_separation
from marketnn.errors import InputError, rows_text, unknown_name
from marketnn.preprocess.scaling import check_columns, read_matrix, scale
from marketnn.preprocess.standard import mean_and_deviation

INTERCEPT = "const"
Correction = Literal["benjamini-hochberg"]
_EXTREME_SCORE = 23.0  # |log-odds| beyond which a fitted probability is within 1e-10 of 0 or 1


@dataclass(frozen=True, eq=False)
class LogisticResult:
    """A fitted logistic regression, in the units of X.

    Attributes:
        table: a row per variable, ``const`` first, with coef, std_err, z, p_value, ci_low, ci_high (95 %) and vif (NaN
            for ``const``).
        log_likelihood: at the estimate.
        null_log_likelihood: with the intercept alone.
        mcfadden: 1 - log_likelihood / null_log_likelihood.
        aic: Akaike's criterion.
        bic: Schwarz's criterion.
        n_rows: rows fitted.
        n_positive: rows with y = 1.
        converged: whether Newton's method ended on its tolerance.
    """

    table: pd.DataFrame
    log_likelihood: float
    null_log_likelihood: float
    mcfadden: float
    aic: float
    bic: float
    n_rows: int
    n_positive: int
    converged: bool

    @property
    def odds_ratios(self) -> pd.DataFrame:
        """Factor on the odds per unit of each variable: odds_ratio, ci_low, ci_high, without ``const``."""
        rows = self.table.drop(index=INTERCEPT)[["coef", "ci_low", "ci_high"]]
        return rows.apply(np.exp).rename(columns={"coef": "odds_ratio"})

    def predict_probability(self, X: pd.DataFrame | np.ndarray) -> np.ndarray:
        """Return the probability (n,) of y = 1.

        Raises:
            InputError: other columns than the fitted ones, or values that are no finite numbers.
        """
        x, names = read_matrix(X)
        fitted = self.table.index[1:].tolist()
        check_columns(names, fitted if isinstance(X, pd.DataFrame) else None, len(fitted))
        coef = self.table["coef"].to_numpy()
        return expit(coef[0] + x.double().numpy() @ coef[1:])


def fit_logistic(X: pd.DataFrame | np.ndarray, y: Vector) -> LogisticResult:
    """Fit P(y = 1) = 1 / (1 + exp(-(const + X coef))) by maximum likelihood (paper A, table 4.1).

    The intercept is added here. Columns are standardised for the iterations only and the result is carried back
    exactly, so units of measurement decide neither convergence nor what is reported. No column is dropped.

    Args:
        X: (n, p) finite numbers; the columns of an array are called ``x1``, ``x2``, ...
        y: (n,) labels, 0 or 1.

    Raises:
        CollinearityError: constant columns, or columns that are linear combinations of others.
        SeparationError: columns that predict y without error, so that no finite estimate exists.
        InputError: X or y unusable: not numeric, NaN or infinite, duplicate names, one class, too few rows.
    """
    x, names = read_matrix(X)
    y_n = _labels(y, X)
    if INTERCEPT in names:
        raise InputError(f"X has a column '{INTERCEPT}', but the intercept is added here; drop or rename it.")
    if len(x) < len(names) + 1:
        raise InputError(
            f"{len(x)} rows cannot determine {len(names) + 1} coefficients; use more rows or fewer columns."
        )
    x = x.double()
    mean, deviation = mean_and_deviation(x)
    z_np, mean_p, deviation_p = scale(x, mean, deviation).numpy(), mean.numpy(), deviation.numpy()
    refuse_dependencies(find_dependencies(z_np, mean_p, deviation_p, names))
    fit = _maximise_likelihood(z_np, y_n, names)
    n_positive = int(y_n.sum())
    null = float(xlogy(n_positive, n_positive / len(y_n)) + xlogy(len(y_n) - n_positive, 1 - n_positive / len(y_n)))
    return LogisticResult(
        table=_table(fit, mean_p, deviation_p, variance_inflation(z_np), names),
        log_likelihood=float(fit.llf),
        null_log_likelihood=null,
        mcfadden=float(1 - fit.llf / null),
        aic=float(fit.aic),
        bic=float(fit.bic),
        n_rows=len(y_n),
        n_positive=n_positive,
        converged=bool(fit.mle_retvals["converged"]),
    )


def significant(
    result: LogisticResult | pd.DataFrame, level: float = 0.05, correction: Correction | None = None
) -> list[str]:
    """Return the variables with p below ``level``, in table order, without ``const`` (paper A: p < .05).

    Args:
        result: a fit, or its ``table``.
        level: the bound on p, in (0, 1).
        correction: ``benjamini-hochberg`` bounds the expected share of false discoveries instead of each single test.

    Raises:
        InputError: a level outside (0, 1), an unknown correction, or a table without ``p_value``.
    """
    if not 0 < level < 1:
        raise InputError(f"level={level} is not in (0, 1); 5 % is 0.05.")
    if correction is not None and correction not in get_args(Correction):
        raise unknown_name("correction", correction, get_args(Correction))
    table = result.table if isinstance(result, LogisticResult) else result
    if "p_value" not in table.columns:
        raise InputError("the table has no column 'p_value'; pass a LogisticResult or its table.")
    p_value = table.loc[table.index != INTERCEPT, "p_value"]
    if correction and len(p_value):
        p_value = pd.Series(multipletests(p_value, method="fdr_bh")[1], index=p_value.index)
    return p_value.index[p_value < level].tolist()


def _labels(y: Vector, X: pd.DataFrame | np.ndarray) -> np.ndarray:
    y_n = binary_labels(y)
    if len(y_n) != len(X):
        raise InputError(f"X has {len(X):,} rows, but y has {len(y_n):,}; pass the labels of the same rows.")
    if isinstance(X, pd.DataFrame) and isinstance(y, pd.Series) and not X.index.equals(y.index):
        differ = np.asarray(X.index != y.index)
        raise InputError(f"the indices of X and y differ in {rows_text(differ)}; align them, or pass y.to_numpy().")
    return y_n


def _maximise_likelihood(z_np: np.ndarray, y_n: np.ndarray, names: tuple[str, ...]) -> Any:
    """Return statsmodels' fit, or raise where separation leaves the likelihood without a maximum."""
    design_np = np.column_stack([np.ones(len(z_np)), z_np])
    model = Logit(y_n, design_np, check_rank=False)  # dependent columns were refused before
    with _quiet():
        fit = _newton(model)
        converged = fit is not None and fit.mle_retvals["converged"]
        if fit is None or not converged or np.abs(design_np @ fit.params).max() > _EXTREME_SCORE:
            refuse_separation(find_separation(z_np, y_n), names, len(y_n))
        if not converged:  # far outliers can throw the first Newton step from zero out of reach
            rough = model.fit(method="bfgs", maxiter=1000, disp=False, warn_convergence=False)
            fit = _newton(model, rough.params) or rough
    return fit


def _newton(model: Logit, start: np.ndarray | None = None) -> Any | None:
    """Return the fit by Newton's method, or ``None`` where its equations become singular."""
    try:
        # statsmodels' default ridge on the Hessian turns quadratic convergence into hundreds of steps on skewed columns
        return model.fit(start, method="newton", maxiter=100, disp=False, warn_convergence=False, ridge_factor=0.0)
    except np.linalg.LinAlgError:
        return None


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the warnings that separated data provokes; the checks after the fit say more."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def _table(
    fit: Any, mean_p: np.ndarray, deviation_p: np.ndarray, vif_p: np.ndarray, names: tuple[str, ...]
) -> pd.DataFrame:
    """Carry the estimates on standardised columns back to the units of X: a linear map, so its inference is exact."""
    back = np.diag(np.concatenate([[1.0], 1.0 / deviation_p]))
    back[0, 1:] = -mean_p / deviation_p
    tests = fit.t_test(back)
    low, high = tests.conf_int(alpha=0.05).T
    columns = {
        "coef": tests.effect,
        "std_err": tests.sd.ravel(),
        "z": tests.tvalue.ravel(),
        "p_value": tests.pvalue.ravel(),
        "ci_low": low,
        "ci_high": high,
        "vif": np.concatenate([[np.nan], vif_p]),
    }
    return pd.DataFrame(columns, index=pd.Index([INTERCEPT, *names], name="variable"))
