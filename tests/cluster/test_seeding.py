"""Seedings: rows of the table, all different, drawn in proportion to what the method says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pretend_device import PretendDevice
from scipy.stats import chisquare

from marketnn.cluster.seeding import greedy_kmeans_plus_plus, random_rows
from marketnn.seed import torch_generator

METHODS = [random_rows, greedy_kmeans_plus_plus]


@pytest.mark.parametrize("seeding", METHODS)
def test_centres_are_different_rows(seeding) -> None:
    X = torch.randn(200, 3, generator=torch_generator(0), dtype=torch.float64)
    centres = seeding(X, torch.ones(200, dtype=torch.float64), 7, 20, torch_generator(1))
    assert centres.shape == (20, 7, 3)
    for start in centres:
        assert (start[:, None] == X).all(2).any(1).all()
        assert len(torch.unique(start, dim=0)) == 7


def test_random_rows_follow_their_weights() -> None:
    weight = torch.tensor([0.0, 1.0, 2.0, 3.0, 4.0], dtype=torch.float64)
    X = torch.arange(5.0, dtype=torch.float64)[:, None]
    drawn = random_rows(X, weight, 1, 4000, torch_generator(0)).flatten().long()
    counts = torch.bincount(drawn, minlength=5)
    assert counts[0] == 0
    assert chisquare(counts[1:], 4000 * weight[1:] / 10).pvalue > 0.001


def test_the_first_centre_follows_the_weights_and_far_rows_come_next() -> None:
    X = torch.tensor([[0.0], [0.1], [100.0]], dtype=torch.float64)
    centres = greedy_kmeans_plus_plus(X, torch.ones(3, dtype=torch.float64), 2, 300, torch_generator(0))
    counts = torch.bincount((centres[:, 0, 0] > 0.05).long() + (centres[:, 0, 0] > 50).long(), minlength=3)
    assert chisquare(counts, [100, 100, 100]).pvalue > 0.001
    assert ((centres[:, :, 0] > 50).sum(1) == 1).all()


def test_more_starts_than_fit_at_once_draw_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    X = torch.randn(100, 2, generator=torch_generator(3), dtype=torch.float64)
    weight = torch.ones(100, dtype=torch.float64)
    whole = greedy_kmeans_plus_plus(X, weight, 5, 9, torch_generator(2))
    monkeypatch.setattr("marketnn.cluster.seeding._STARTS_ELEMENTS", 800)
    assert torch.equal(greedy_kmeans_plus_plus(X, weight, 5, 9, torch_generator(2)), whole)


@pytest.mark.parametrize("seeding", METHODS)
def test_every_device_draws_the_same_and_never_waits(device: torch.device, seeding) -> None:
    X = torch.randn(300, 3, generator=torch_generator(0), dtype=torch.float64)
    weight = torch.ones(300, dtype=torch.float64)
    there = seeding(X, weight, 6, 4, torch_generator(1))
    X_here, weight_here = X.to(device), weight.to(device)
    if device.type == "pretend":
        with PretendDevice(host_sync="error"):
            here = seeding(X_here, weight_here, 6, 4, torch_generator(1))
    else:
        here = seeding(X_here, weight_here, 6, 4, torch_generator(1))
    np.testing.assert_array_equal(here.cpu().numpy(), there.numpy())
