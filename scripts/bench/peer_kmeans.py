"""The peers of Lloyd's rounds; each is a function ``(start, rounds) -> centres`` and is imported only when it is run."""

from __future__ import annotations

import numpy as np
import torch
from bench.cluster_tasks import Start


def faiss_rounds(start: Start, rounds: int) -> np.ndarray:
    """faiss's K-means on all rows, which it would otherwise sample, and with no warnings on small clusters."""
    import faiss

    faiss.omp_set_num_threads(torch.get_num_threads())
    k, d = start.centres.shape
    kmeans = faiss.Kmeans(d, k, niter=rounds, nredo=1, max_points_per_centroid=len(start.x), min_points_per_centroid=1)
    kmeans.train(start.x, init_centroids=start.centres)
    return kmeans.centroids


def fast_pytorch_rounds(start: Start, rounds: int) -> np.ndarray:
    """fast-pytorch-kmeans, which computes all distances at once."""
    from fast_pytorch_kmeans import KMeans

    kmeans = KMeans(len(start.centres), max_iter=rounds, tol=0)
    kmeans.fit(torch.from_numpy(start.x), torch.from_numpy(start.centres))
    return kmeans.centroids.numpy()


def torch_kmeans_rounds(start: Start, rounds: int) -> np.ndarray:
    """torch-kmeans, which holds all differences (n, k, d) at once."""
    from torch_kmeans import KMeans

    kmeans = KMeans(num_init=1, max_iter=rounds, tol=0.0, n_clusters=len(start.centres), verbose=False)
    result = kmeans(torch.from_numpy(start.x)[None], centers=torch.from_numpy(start.centres.copy())[None])
    return result.centers[0].numpy()
