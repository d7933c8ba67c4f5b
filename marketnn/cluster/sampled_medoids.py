"""CLARA: medoids of samples, judged on all rows (Kaufman and Rousseeuw 1990, ch. 3; the pre-run of paper A, section II.B).

The samples of a round are one batched k-medoids problem, and their medoids are judged by one product per block of rows. The
samples of the next round contain the best medoids so far. At the end the medoids of all samples are candidates for swaps
once more, on more rows than a sample has; the outcome is judged beside the last samples and counts only if it is better on
all rows.

Shapes: n rows, d columns, k clusters, s samples of m rows each, c candidates, b rows of a block.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from marketnn.cluster.pam import build, swap

_BLOCK_ELEMENTS = 2**18  # of the (s k, b) distances: what fits in a core's cache
_JUDGING_ROWS = 512  # on which the medoids of all samples compete


@dataclass(frozen=True)
class SampledMedoids:
    """The best medoids found.

    Attributes:
        medoids_k: row numbers.
        history: the lowest sum of distances over all rows so far, after each round and, if there was one, the last contest.
        path: the medoids at each entry of the history.
    """

    medoids_k: Tensor
    history: list[float]
    path: list[list[int]]


def sampled_medoids(
    x_nd: Tensor, k: int, *, n_samples: int, sample_size: int, rounds: int, generator: torch.Generator
) -> SampledMedoids:
    """Find medoids of all rows from samples of them; a sample of all rows is taken once and gives PAM's medoids.

    Args:
        x_nd: the rows.
        k: medoids.
        n_samples: samples in all, spread evenly over the rounds.
        sample_size: rows per sample, from k to n.
        rounds: how often the best medoids are carried into new samples, plus one; at most ``n_samples``.
        generator: draws the samples, on the CPU.
    """
    n = len(x_nd)
    everything = sample_size == n
    sizes = [1] if everything else [len(part) for part in torch.arange(n_samples).tensor_split(rounds)]
    path: list[list[int]] = []
    found: list[list[int]] = []
    history: list[float] = []
    for turn, size in enumerate(sizes, start=1):
        samples = [distinct_rows(n, sample_size, path[-1] if path else [], generator) for _ in range(size)]
        groups = [_medoids_of(x_nd, torch.tensor(samples, device=x_nd.device), k).tolist()]
        found += groups[0]
        candidates = sorted({row for medoids in found for row in medoids})
        if turn == len(sizes) and len(candidates) > k and not everything:
            judges = distinct_rows(n, min(n, _JUDGING_ROWS), [], generator)
            groups.append(_contest(x_nd, candidates, found, judges).tolist())
        _extend(x_nd, groups, history, path)
    return SampledMedoids(torch.tensor(path[-1], device=x_nd.device), history, path)


def distinct_rows(n: int, m: int, include: Iterable[int], generator: torch.Generator) -> list[int]:
    """Return m different row numbers below n in ascending order, those of ``include`` among them, the others drawn."""
    if m == n:
        return list(range(n))
    chosen = dict.fromkeys(include)
    while len(chosen) < m:
        chosen.update(dict.fromkeys(torch.randint(n, (m,), generator=generator).tolist()))
    return sorted(list(chosen)[:m])


def sums_of_distances(x_nd: Tensor, centres_skd: Tensor) -> Tensor:
    """Return the sum (s,) of the rows' distances to the nearest of each set's centres; the host does not wait.

    The products are of rows about the centres' mean: the expanded square loses distances in the size of the numbers.
    """
    s, k, d = centres_skd.shape
    lines = centres_skd.reshape(s * k, d)
    origin = lines.mean(0)
    lines = lines - origin
    squared, doubled = lines.square().sum(1, keepdim=True), -2 * lines
    ones_d = lines.new_ones(d)
    total_s = torch.zeros(s, dtype=torch.float64, device=x_nd.device)
    b = min(max(_BLOCK_ELEMENTS // (s * k), 1), len(x_nd))
    scratch = lines.new_empty(s * k * b)  # new memory for every block would cost more than the product
    for block in x_nd.split(b):
        x = block - origin
        partial = torch.addmm(squared, doubled, x.T, out=scratch[: s * k * len(x)].view(s * k, -1))
        nearest_sb = partial.view(s, k, -1).amin(1)
        total_s += nearest_sb.add_(x.square_().mv(ones_d)).clamp_(min=0).sqrt_().sum(1, dtype=torch.float64)
    return total_s


def _medoids_of(x_nd: Tensor, rows_sm: Tensor, k: int) -> Tensor:
    """Return the medoids (s, k) of s samples as row numbers of all data."""
    distance_smm = _distances(x_nd[rows_sm], x_nd[rows_sm])
    return rows_sm.gather(1, swap(distance_smm, build(distance_smm, k)).medoids_sk)


def _contest(x_nd: Tensor, candidates: list[int], found: list[list[int]], judges: list[int]) -> Tensor:
    """Return the medoids (1, k) that swaps among the candidates reach on the judging rows, from the best set found there."""
    place = {row: c for c, row in enumerate(candidates)}
    candidate_c, judge_n, place_sk = (
        torch.tensor(rows, device=x_nd.device)
        for rows in (candidates, judges, [[place[row] for row in medoids] for medoids in found])
    )
    distance_cn = _distances(x_nd[candidate_c], x_nd[judge_n])
    start = distance_cn[place_sk].amin(1).sum(1).argmin(keepdim=True)
    return candidate_c[swap(distance_cn[None], place_sk.index_select(0, start)).medoids_sk]


def _extend(x_nd: Tensor, groups: list[list[list[int]]], history: list[float], path: list[list[int]]) -> None:
    """Append the lowest sum of distances so far, and its medoids, after each group of sets; all rows are read once."""
    sets = torch.tensor([medoids for group in groups for medoids in group], device=x_nd.device)
    losses = iter(sums_of_distances(x_nd, x_nd[sets]).tolist())
    for group in groups:
        loss, medoids = min((next(losses), medoids) for medoids in group)
        if history and history[-1] <= loss:
            loss, medoids = history[-1], path[-1]
        history.append(loss)
        path.append(medoids)


def _distances(x: Tensor, y: Tensor) -> Tensor:
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
