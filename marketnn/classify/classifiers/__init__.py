"""Classifiers of the strategy recommender, one per file, behind one interface: ``registry.build("classifier", {"name": ...})``.

Paper A, table 4.4 compares XGBoost, CART, logistic regression and a random forest; the LMBP network of chapter 2 joins them.
"""

from marketnn.classify.classifiers.classifier import Classifier, Progress, restored

__all__ = ["Classifier", "Progress", "restored"]
