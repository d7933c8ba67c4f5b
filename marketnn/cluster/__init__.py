"""Clustering: scikit-learn estimators over torch kernels."""

from marketnn.cluster.kmeans import KMeans
from marketnn.cluster.n_clusters import choose_n_clusters

__all__ = ["KMeans", "choose_n_clusters"]
