"""Paper B's tables of centres: the certificate is exact, and changing a printed number changes the verdict."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from experiments.centre_audit import Centres, greatest_share, zero_mean
from experiments.claims import Claims, load_claims
from experiments.paper_b.tables_1_2 import final_row, initial_row, words_row


def table_2() -> Centres:
    return Centres.of(load_claims().printed["B"]["Table 2"]["centres"])


def test_no_weights_make_the_means_of_table_2_zero() -> None:
    centres = table_2()
    found = zero_mean(centres)
    assert found.least_mean == pytest.approx(0.06296, abs=1e-5)
    assert found.least_projection > 0
    projections = [
        sum(Fraction(cells[k]) * Fraction(y) for cells, y in zip(centres.cells, found.direction, strict=True))
        for k in range(6)
    ]
    assert min(projections) == found.least_projection
    assert sum(map(abs, found.direction)) == pytest.approx(1)


def test_weights_that_exist_are_found() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 4))
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    labels = rng.integers(3, size=600)
    means = np.stack([x[labels == place].mean(axis=0) for place in range(3)], axis=1)
    found = zero_mean(Centres(tuple("abcd"), tuple(tuple(f"{cell:.12f}" for cell in row) for row in means)))
    assert found.least_mean == pytest.approx(0, abs=1e-10)
    assert found.least_projection <= 1e-10


def test_a_cluster_at_z_is_small() -> None:
    share = greatest_share(7.38258)
    assert share == pytest.approx(0.018017, abs=1e-6)
    n, k = 1_000_000, 18_017
    x = np.zeros(n)
    x[:k] = 1
    x = (x - x.mean()) / x.std()
    assert x[:k].mean() == pytest.approx(7.38258, rel=1e-4), "the bound is reached by two values"


def test_verdicts() -> None:
    claims = load_claims()
    assert [row(claims).verdict for row in (initial_row, words_row)] == ["reproduced", "reproduced"]
    row = final_row(claims)
    assert row.verdict == "not reproducible"
    assert row.ours["certificate: least y.centre"] == pytest.approx(row.ours["least greatest |mean| of a feature"])
    assert row.ours["greatest possible share of cluster 6"] == pytest.approx(0.0740, abs=1e-4)


def test_a_changed_number_changes_the_verdict(changed_claims: Callable[..., Claims]) -> None:
    claims = changed_claims(["B", "Table 1", "centres", "Product purchase quantity", 1], "0.10")
    assert initial_row(claims).verdict == "not reproducible"
    claims = changed_claims(["B", "Table 2", "centres", "Age", 3], "1.41234")
    assert words_row(claims).verdict == "not reproducible"
    claims = changed_claims(["B", "Final centres in words", "located", 2], ["Age", "2.75151"])
    assert words_row(claims).verdict == "not reproducible"
    centres = {"a": ["1.0", "-1.0"], "b": ["0.5", "-0.5"]}
    claims = changed_claims(["B", "Table 2", "centres"], centres)
    assert final_row(claims).verdict == "reproduced"
