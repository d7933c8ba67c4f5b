"""Least-squares fitting: the Gauss-Newton system, Levenberg-Marquardt, and training with any optimiser."""

from marketnn.optim.cross_validation import CrossValidation, HiddenSizeSearch, cross_validate, search_hidden_sizes
from marketnn.optim.gauss_newton import gauss_newton_system
from marketnn.optim.least_squares import LeastSquaresResult, least_squares
from marketnn.optim.levenberg_marquardt import LevenbergMarquardt, StepReport
from marketnn.optim.parquet_rows import ParquetRows
from marketnn.optim.train import TrainingResult, train

__all__ = [
    "CrossValidation",
    "HiddenSizeSearch",
    "LeastSquaresResult",
    "LevenbergMarquardt",
    "ParquetRows",
    "StepReport",
    "TrainingResult",
    "cross_validate",
    "gauss_newton_system",
    "least_squares",
    "search_hidden_sizes",
    "train",
]
