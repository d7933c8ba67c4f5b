"""Clustering: scikit-learn estimators over torch kernels."""

from marketnn.cluster.ck import CK
from marketnn.cluster.clara import CLARA
from marketnn.cluster.hierarchical import HierarchicalKMeans
from marketnn.cluster.kmeans import KMeans
from marketnn.cluster.kmedoids import KMedoids
from marketnn.cluster.minibatch_kmeans import MiniBatchKMeans
from marketnn.cluster.n_clusters import choose_n_clusters

__all__ = ["CK", "CLARA", "HierarchicalKMeans", "KMeans", "KMedoids", "MiniBatchKMeans", "choose_n_clusters"]
