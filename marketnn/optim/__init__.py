"""Least-squares fitting: the Gauss-Newton system, Levenberg-Marquardt, and training with any optimiser."""

from marketnn.optim.gauss_newton import gauss_newton_system
from marketnn.optim.levenberg_marquardt import LevenbergMarquardt, StepReport
from marketnn.optim.train import TrainingResult, train

__all__ = ["LevenbergMarquardt", "StepReport", "TrainingResult", "gauss_newton_system", "train"]
