"""Rows in blocks: complete, in order, laid out once; and a table whose blocks are generated serves as one that is held."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from marketnn.cluster.assignment import lloyd_round
from marketnn.cluster.centres import mean_row
from marketnn.cluster.lloyd import lloyd
from marketnn.cluster.rows import Block, HeldRows, block_rows
from marketnn.processes import ALONE


class GeneratedRows:
    """A table that is made anew on every pass, in ragged blocks that ignore what is asked for."""

    def __init__(self, x_nd: Tensor, weight_n: Tensor) -> None:
        self.n_rows, self.n_columns = x_nd.shape
        self._x_nd, self._weight_n = x_nd, weight_n
        self.passes = 0
        self.processes = ALONE

    @property
    def total(self) -> Tensor:
        return self._weight_n.double() @ self._x_nd.double().square().sum(1)

    def blocks(self, n_centres: int) -> Iterator[Block]:
        self.passes += 1
        for x_bd, weight_b in zip(self._x_nd.split(97), self._weight_n.split(97), strict=True):
            yield Block(x_bd.T.contiguous(), weight_b.clone())


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("marketnn.cluster.rows._BLOCK_ROWS", (16, 40))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.usefixtures("small_blocks")
def test_blocks_are_all_rows_in_order(dtype: torch.dtype) -> None:
    X = torch.as_tensor(np.random.default_rng(0).normal(size=(1_003, 5))).to(dtype)
    weight = torch.linspace(0.5, 2, 1_003, dtype=dtype)
    rows = HeldRows(X, weight)
    blocks = rows.blocks(4)
    assert [block.x_db.shape[1] for block in blocks] == [40] * 25 + [3]
    assert torch.equal(torch.cat([block.x_db for block in blocks], 1), X.T)
    assert torch.equal(torch.cat([block.weight_b for block in blocks]), weight)
    assert torch.equal(torch.cat([block.weighted_db for block in blocks], 1), (X * weight[:, None]).T)
    assert rows.blocks(4) is blocks
    rounding = 1e-14 if dtype == torch.float64 else 1e-6
    torch.testing.assert_close(rows.total, weight.double() @ X.double().square().sum(1), rtol=rounding, atol=0)


def test_rows_of_weight_one_are_not_copied_for_their_weights() -> None:
    rows = HeldRows(torch.ones(50, 3), torch.ones(50))
    (block,) = rows.blocks(2)
    assert block.weight_b is None
    assert block.weighted_db.data_ptr() == rows.x_dn.data_ptr()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_mean_of_many_rows_loses_nothing_far_from_the_origin(dtype: type) -> None:
    X = np.random.default_rng(3).normal(loc=1e4, size=(50_001, 2)).astype(dtype)
    np.testing.assert_allclose(mean_row(X), X.mean(0, dtype=np.float64), rtol=100 * np.finfo(dtype).eps)


def test_blocks_shrink_with_the_centres_within_bounds() -> None:
    sizes = [block_rows(n_centres) for n_centres in (1, 8, 16, 64, 512, 10**6)]
    assert sizes == [65_536, 32_768, 16_384, 4_096, 512, 256]


def test_weights_of_one_are_no_weights() -> None:
    X = torch.zeros(4, 1)
    assert HeldRows(X).unweighted
    assert HeldRows(X, torch.ones(4)).unweighted
    assert not HeldRows(X, torch.tensor([1.0, 1.0, 1.0, 0.0])).unweighted


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("break_ties", [False, True])
def test_a_round_on_generated_rows_is_that_on_held_ones(dtype: torch.dtype, break_ties: bool) -> None:
    """Coarse rows, so that some are equally near to two centres."""
    rng = np.random.default_rng(1)
    X = torch.as_tensor(rng.integers(0, 5, size=(700, 3))).to(dtype)
    weight = torch.as_tensor(rng.integers(1, 4, size=700)).to(dtype)
    held, generated = HeldRows(X, weight), GeneratedRows(X, weight)
    centres = X[:12].reshape(2, 6, 3)
    expected = lloyd_round(held, centres, break_ties=break_ties)
    found = lloyd_round(generated, centres, break_ties=break_ties)
    assert generated.passes == 1
    assert torch.equal(found.sum_rkd, expected.sum_rkd)
    assert torch.equal(found.mass_rk, expected.mass_rk)
    assert torch.equal(found.hits_r, expected.hits_r)
    assert (found.hits_r.max() > 700) == (not break_ties)
    torch.testing.assert_close(found.sse_r, expected.sse_r, rtol=1e-13, atol=0)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_rounds_on_generated_rows_end_where_those_on_held_ones_do(weighted: bool) -> None:
    """The second start has a centre far from everything: it runs empty in the first round and is given a row."""
    rng = np.random.default_rng(2)
    X = torch.as_tensor(rng.normal(size=(1_000, 2)))
    weight = torch.as_tensor(rng.uniform(0.1, 3, size=1_000)) if weighted else torch.ones(1_000, dtype=torch.float64)
    start = torch.stack([X[:5], torch.cat([X[5:9], torch.full((1, 2), 1e3)])])
    held = lloyd(HeldRows(X, weight), start, max_rounds=200, tolerance=0.0)
    generated = GeneratedRows(X, weight)
    streamed = lloyd(generated, start, max_rounds=200, tolerance=0.0)
    torch.testing.assert_close(streamed.centres_rkd, held.centres_rkd, rtol=1e-10, atol=1e-12)
    assert streamed.n_rounds == held.n_rounds
    assert all(streamed.converged)
    np.testing.assert_allclose(streamed.history[1], held.history[1], rtol=1e-12)
    # One pass per round, one more to fill the empty cluster.
    assert generated.passes == max(held.n_rounds) + 1
