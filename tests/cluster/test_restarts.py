"""Many starts: together as one by one, and on large tables by a sample to the same best error."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from marketnn.cluster.lloyd import LloydResult, lloyd
from marketnn.cluster.restarts import Starts, best_of
from marketnn.cluster.rows import HeldRows
from marketnn.cluster.seeding import greedy_kmeans_plus_plus, random_rows
from marketnn.seed import torch_generator

SEEDINGS = [random_rows, greedy_kmeans_plus_plus]


def blobs(n: int, k: int, seed: int, spread: float = 1.0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    X = rng.normal(scale=3, size=(k, 3))[rng.integers(k, size=n)] + rng.normal(scale=spread, size=(n, 3))
    return torch.as_tensor(X - X.mean(axis=0))


def best_error(result: LloydResult) -> float:
    return result.history[result.best][-1]


@pytest.mark.parametrize("seeding", SEEDINGS)
def test_starts_together_end_as_one_by_one(seeding) -> None:
    rows, k = HeldRows(blobs(700, 6, 0)), 6
    together = best_of(rows, k, Starts(seeding, 12, 300, 0.0), torch_generator(1))
    first_rkd = seeding(rows.x_nd, rows.weight_n, k, 12, torch_generator(1))
    alone = [lloyd(rows, first_kd[None], max_rounds=300, tolerance=0.0) for first_kd in first_rkd]
    torch.testing.assert_close(together.centres_rkd, torch.cat([one.centres_rkd for one in alone]), rtol=1e-10, atol=0)
    assert together.n_rounds == [one.n_rounds[0] for one in alone]
    assert best_error(together) == pytest.approx(min(best_error(one) for one in alone), rel=1e-12)
    assert together.best == int(np.argmin([best_error(one) for one in alone]))


@pytest.mark.parametrize("seeding", SEEDINGS)
def test_a_sample_finds_the_best_error_of_all_starts_on_all_rows(monkeypatch: pytest.MonkeyPatch, seeding) -> None:
    """Overlapping clusters have many optima within a few parts in 100,000 of the best one: there, one of these is found."""
    monkeypatch.setattr("marketnn.cluster.restarts._SAMPLE", 400)
    for spread, equal, most in ((0.5, 1e-9, 19), (1.0, 2e-4, 20)):
        excess = []
        for seed in range(20):
            rows, starts = HeldRows(blobs(2_000, 6, seed, spread)), Starts(seeding, 20, 300, 0.0)
            sampled = best_of(rows, 6, starts, torch_generator(seed))
            assert len(sampled.n_rounds) <= 5
            first_rkd = seeding(rows.x_nd, rows.weight_n, 6, 20, torch_generator(seed))
            whole = lloyd(rows, first_rkd, max_rounds=300, tolerance=0.0)
            excess.append(best_error(sampled) / best_error(whole) - 1)
        assert (np.array(excess) < equal).sum() >= most


def test_few_starts_and_small_tables_take_no_sample() -> None:
    X = blobs(16_384, 4, 3)
    for rows, n_starts, expected in ((HeldRows(X), 19, 19), (HeldRows(X[:-1]), 20, 20)):
        result = best_of(rows, 4, Starts(random_rows, n_starts, 2, 0.0), torch_generator(0))
        assert len(result.n_rounds) == expected
    sampled = best_of(HeldRows(X), 4, Starts(random_rows, 20, 300, 0.0), torch_generator(0))
    assert len(sampled.n_rounds) <= 5


def test_equal_ends_are_polished_once() -> None:
    """Clusters far apart: nearly every start ends at the same optimum, and only different ends go on."""
    X = blobs(18_000, 3, 5, spread=0.01)
    result = best_of(HeldRows(X), 3, Starts(greedy_kmeans_plus_plus, 20, 300, 0.0), torch_generator(0))
    errors = [errors[-1] for errors in result.history]
    assert len(errors) == len(set(np.round(errors, 6)))
    assert best_error(result) == pytest.approx(18_000 * 3 * 0.01**2, rel=0.05)


def test_the_sample_is_drawn_by_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of no weight never enter it, however many they are, and heavy ones count as often as they weigh."""
    monkeypatch.setattr("marketnn.cluster.restarts._SAMPLE", 200)
    heard = []

    def seeding(x_nd, weight_n, k, n_starts, generator):
        heard.append((x_nd, weight_n))
        return random_rows(x_nd, weight_n, k, n_starts, generator)

    value = torch.arange(4.0, dtype=torch.float64).repeat(1_000)
    X = torch.column_stack([value, torch.randn(4_000, generator=torch_generator(0), dtype=torch.float64) / 100])
    rows = HeldRows(X, torch.tensor([0.0, 1.0, 3.0, 4.0], dtype=torch.float64).repeat(1_000))
    result = best_of(rows, 3, Starts(seeding, 20, 300, 0.0), torch_generator(1))
    (sample_nd, weight_n), *rest = heard
    assert (len(sample_nd), rest) == (200, [])
    assert (weight_n == 1).all()
    counts = torch.bincount(sample_nd[:, 0].long(), minlength=4).tolist()
    assert counts[0] == 0
    np.testing.assert_allclose(counts[1:], [25, 75, 100], atol=25)
    assert sorted(result.centres_rkd[result.best, :, 0].tolist()) == pytest.approx([1, 2, 3])


@pytest.mark.parametrize(("n", "n_starts"), [(900, 8), (9_000, 20)])
def test_every_device_gives_the_same_numbers_and_so_does_the_same_seed(
    device: torch.device, n: int, n_starts: int
) -> None:
    X, starts = blobs(n, 5, 1), Starts(greedy_kmeans_plus_plus, n_starts, 100, 0.0)
    here, again = (best_of(HeldRows(X), 5, starts, torch_generator(2)) for _ in range(2))
    there = best_of(HeldRows(X.to(device)), 5, starts, torch_generator(2))
    assert torch.equal(here.centres_rkd, again.centres_rkd)
    if device.type != "cuda":  # away from the host, starts that rest leave the batch a few rounds later
        torch.testing.assert_close(there.centres_rkd.cpu(), here.centres_rkd, rtol=1e-12, atol=1e-13)
    assert best_error(there) == pytest.approx(best_error(here), rel=1e-9)
