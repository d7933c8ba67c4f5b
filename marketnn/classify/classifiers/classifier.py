"""What every classifier of the recommender does, and what it asks of its data.

Shapes: n rows, d features.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
import pandas as pd
import torch

from marketnn import registry
from marketnn.classify.classifiers.rows import LabelledRows, labelled, refuse_rare_class
from marketnn.classify.labels import Vector
from marketnn.device import resolve
from marketnn.errors import InputError
from marketnn.preprocess.scaling import check_columns, read_matrix

Progress = Callable[[str, int, int], None]  # told what is done, how much of it, of how much
Tensors = Mapping[str, torch.Tensor]
C = TypeVar("C")


@dataclass(frozen=True)
class Work:
    """How a fit is to be done.

    Attributes:
        seed: of everything random.
        device: where tensors live.
        progress: called as the fit goes on.
    """

    seed: int
    device: torch.device
    progress: Progress | None


class Classifier(ABC, Generic[C]):
    """P(y = 1) of rows of numbers.

    Args:
        config: the settings, of the module's own ``Config``.

    Attributes:
        config: the settings; where a fit searches for them, those it found.
        columns: names of the features, empty before ``fit``.
    """

    name: ClassVar[str]

    def __init__(self, config: C) -> None:
        self.config = config
        self.columns: tuple[str, ...] = ()

    def fit(
        self,
        X: pd.DataFrame | np.ndarray,
        y: Vector,
        *,
        seed: int = 0,
        device: str | torch.device = "auto",
        validation: tuple[pd.DataFrame | np.ndarray, Vector] | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Learn from rows.

        Args:
            X: (n, d) finite numbers.
            y: (n,) 0/1, at least ten of each.
            seed: of everything random.
            device: where to compute, for the models that can choose.
            validation: rows that say when to stop; without them, models that need some take them out of X.
            progress: called with the model's name, rounds done and rounds planned.

        Raises:
            InputError: X or y unusable, a class with fewer than ten rows, or settings out of range.
        """
        rows = labelled(X, y)
        refuse_rare_class(rows.y)
        others = None if validation is None else labelled(*validation, columns=rows.columns)
        self._learn(rows, others, Work(seed, resolve(device), progress))
        self.columns = rows.columns
        return self

    def predict_proba(self, X: pd.DataFrame | np.ndarray) -> np.ndarray:
        """Return the probability (n,) of class 1, float64.

        Raises:
            InputError: before ``fit``, other columns than the fitted ones, or values that are no finite numbers.
        """
        return self._probability(self._features(X)).astype(np.float64)

    def importance(self) -> pd.Series:
        """Return how much each feature (d,) counts, in table order; the shares sum to 1.

        Without any effect of any feature all shares are 0.

        Raises:
            InputError: before ``fit``.
        """
        self._require_fit()
        effect = self._effects()
        total = effect.sum()
        shares = effect / total if total > 0 else effect
        return pd.Series(shares, index=pd.Index(self.columns, name="feature"), name="importance")

    def contributions(self, X: pd.DataFrame | np.ndarray) -> pd.DataFrame | None:
        """Return what each feature adds to the log odds of each row, (n, d + 1) with ``bias`` last; ``None`` without such.

        Raises:
            InputError: as ``predict_proba``.
        """
        return None

    def saved(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        """Return the fitted model as JSON values and tensors, for ``restored``.

        Raises:
            InputError: before ``fit``.
        """
        self._require_fit()
        facts, tensors = self._state()
        state = {"name": self.name, "settings": asdict(self.config), "columns": list(self.columns), **facts}  # type: ignore[call-overload]
        return state, tensors

    @abstractmethod
    def _learn(self, rows: LabelledRows, validation: LabelledRows | None, work: Work) -> None:
        """Fit to checked rows."""

    @abstractmethod
    def _probability(self, x_nd: np.ndarray) -> np.ndarray:
        """Return the probability (n,) of class 1."""

    @abstractmethod
    def _effects(self) -> np.ndarray:
        """Return the size of every feature's effect (d,), none negative."""

    @abstractmethod
    def _state(self) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        """Return what ``_restore`` needs besides settings and columns."""

    @abstractmethod
    def _restore(self, facts: Mapping[str, Any], tensors: Tensors) -> None:
        """Take what ``_state`` gave; damaged ones raise ``KeyError``, ``TypeError``, ``ValueError`` or ``RuntimeError``."""

    def _features(self, X: pd.DataFrame | np.ndarray) -> np.ndarray:
        self._require_fit()
        x, names = read_matrix(X)
        check_columns(names, self.columns if isinstance(X, pd.DataFrame) else None, len(self.columns))
        return x.double().numpy()

    def _require_fit(self) -> None:
        if not self.columns:
            raise InputError(f"the classifier {self.name} is not fitted; call fit(X, y) first.")


def restored(state: Mapping[str, Any], tensors: Tensors) -> Classifier[Any]:
    """Rebuild a fitted classifier of any kind from what ``saved`` returned; nothing in it is executed.

    Raises:
        InputError: an unknown classifier, or a damaged state.
    """
    try:
        classifier = registry.build("classifier", {"name": state["name"], **state["settings"]})
        classifier._restore(state, tensors)
        classifier.columns = tuple(map(str, state["columns"]))
        if classifier._effects().shape != (len(classifier.columns),):
            raise InputError("the saved classifier is damaged (its columns are not those of its model); fit it again.")
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"the saved classifier is damaged ({error}); fit it again.") from error
    return classifier
