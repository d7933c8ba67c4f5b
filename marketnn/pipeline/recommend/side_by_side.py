"""The models side by side: every one learnt from the same rows and is judged on the same test rows (paper A, table 4.4)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from marketnn.classify import Comparison, Finding, audit, bootstrap_intervals, confusion_report, ranking_report
from marketnn.seed import child_seed

SHOWN = ["auc", "average_precision", "accuracy", "precision", "recall", "f1", "brier"]
DECIDED = ["accuracy", "precision", "recall", "f1", "balanced_accuracy"]
CELLS = ["tp", "fn", "fp", "tn"]


@dataclass(frozen=True)
class SideBySide:
    """Measures of every model on the same test rows.

    Attributes:
        value, low, high: models x measures, the best AUC first, with 95 % intervals: of the mean over several splits, or by
            the bootstrap of the test rows of the one split.
        confusion: a row per model: the four cells on the first split's test rows, and what follows from them.
        findings: what of this cannot be: the same audit that finds misprints in the paper's tables 4.3 and 4.4.
        n_splits: how many.
    """

    value: pd.DataFrame
    low: pd.DataFrame
    high: pd.DataFrame
    confusion: pd.DataFrame
    findings: tuple[Finding, ...]
    n_splits: int

    def table(self) -> pd.DataFrame:
        """Return one row per model, each measure with the ends of its interval."""
        parts = {"": self.value, "_low": self.low, "_high": self.high}
        named = {f"{measure}{end}": part[measure] for measure in self.value for end, part in parts.items()}
        return pd.DataFrame(named).rename_axis("model").reset_index()

    def verdict(self) -> str:
        """Say which model ranks best, and whose intervals overlap with its own."""
        best, *others = self.value.index
        sentence = f"{best} ranks best: AUC {self._auc(best)}"
        if not others:
            return f"{sentence}; it was compared with no other model."
        close = [name for name in others if self.high.loc[name, "auc"] >= self.low.loc[best, "auc"]]
        rest = f"; {others[0]} follows with {self._auc(others[0])}"
        alike = f", and the intervals of {', '.join(close)} overlap with its own" if close else ""
        return f"{sentence}{rest}{alike}."

    def _auc(self, model: str) -> str:
        value, low, high = (part.loc[model, "auc"] for part in (self.value, self.low, self.high))
        return f"{value:.3f} ({low:.3f} to {high:.3f})"


def side_by_side(comparison: Comparison, y: np.ndarray, *, threshold: float, n_resamples: int, seed: int) -> SideBySide:
    """Gather the measures of a comparison's models.

    Args:
        comparison: over one split or several.
        y: (n,) outcomes of the first split's test rows.
        threshold: probabilities at or above it count as positive; over several splits it is one half.
        n_resamples, seed: of the bootstrap, which one split needs.
    """
    n_splits = len(comparison.test_rows)
    if n_splits > 1:
        value, low, high = (comparison.summary[key].unstack() for key in ("mean", "ci_low", "ci_high"))
    else:
        by_model = {
            model: bootstrap_intervals(
                y, probability, threshold=threshold, n_resamples=n_resamples, seed=child_seed(seed, "bootstrap")
            )
            for model, probability in comparison.probability.items()
        }
        value, low, high = (
            pd.DataFrame({model: table[key] for model, table in by_model.items()}).T for key in ("value", "low", "high")
        )
    order = value["auc"].sort_values(ascending=False, kind="stable").index
    reports = {model: confusion_report(y, comparison.probability[model], threshold).as_metrics() for model in order}
    confusion = pd.DataFrame(reports).T[[*CELLS, *DECIDED]]
    confusion[CELLS] = confusion[CELLS].astype(int)
    # A model that names nobody at this threshold has no precision to audit.
    telling = confusion[confusion["tp"] > 0]
    auc = {model: ranking_report(y, comparison.probability[model]).auc for model in telling.index}
    findings = audit(telling[CELLS], telling, auc=auc, n=len(y)) if len(telling) else []
    return SideBySide(
        value=value.loc[order, SHOWN],
        low=low.loc[order, SHOWN],
        high=high.loc[order, SHOWN],
        confusion=confusion.rename_axis("model").reset_index(),
        findings=tuple(findings),
        n_splits=n_splits,
    )
