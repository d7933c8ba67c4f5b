"""Lloyd's rounds of one start that look only at the rows that may change cluster, and add up only those that do.

A row whose second nearest centre was farther than the nearest by a margin g keeps its cluster until its own centre and the
others have come a way of g towards each other (Hamerly 2010, doi:10.1137/1.9781611972801.12). So each row carries the sum of
its margin and the way that was behind its centre and the fastest centre when it was looked at; a round opens the rows that are
below the ways of now. The clusters' sums are kept from round to round, in float64, and only rows that leave one cluster for
another are subtracted and added. After a few rounds that is a small part of the table.

Which rows those are, a host must ask its device, which is free where the host is the device; elsewhere, and with weights,
whose sums would not come out even, the rounds of ``assignment`` serve.

Shapes: n rows, d columns, k clusters, b rows looked at together, c of them that change.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from marketnn.cluster.assignment import RelativeDistances, Round, nearest_centre
from marketnn.cluster.rows import HeldRows, Rows, block_rows

_MOVED_ROWS = 2**17  # at a time
_BLOCK = 2  # times a mask's block: of the larger distances fewer copies are in use
_SMALLEST = 2**25  # bytes of n k (d + 2) numbers: below, a round over all rows is over before the further calls are
_PROBE = 1_024  # rows, about
_FEW = 0.75  # of the rows that would cost as much as a round over all rows; the rest pays for looking at all rows once


def may_pay(rows: Rows, k: int) -> bool:
    """Say whether there can be rounds of one start with k centres that are faster by open rows than by masks."""
    if not isinstance(rows, HeldRows) or rows.x_nd.device.type != "cpu" or not rows.unweighted:
        return False
    return rows.n_rows * k * (rows.n_columns + 2) * rows.x_nd.element_size() >= _SMALLEST


def pays(rows: HeldRows, before_kd: Tensor, centres_kd: Tensor) -> bool:
    """Say whether few rows would be open in the rounds after one that moved the centres so far.

    A row is open once in as many rounds as its margin is longer than what a round takes off it. Some rows speak for all.
    """
    x_md = rows.x_nd[:: max(rows.n_rows // _PROBE, 1)]
    nearest_2m, centre_2m = torch.cdist(centres_kd, x_md).topk(min(2, len(centres_kd)), dim=0, largest=False)
    step_k = (centres_kd - before_kd).square().sum(1).sqrt()
    way_m = step_k.index_select(0, centre_2m[0]) + step_k.max()
    margin_m = (nearest_2m[-1] - nearest_2m[0]).clamp_(min=torch.finfo(x_md.dtype).tiny)
    # Measured: to find and fetch an open row costs as much as a dozen centres, but only one product is taken of it.
    k = len(centres_kd)
    return float((way_m / margin_m).clamp_(max=1).mean()) < _FEW * (k + 2) / (0.65 * k + 13)


class ChangedRows:
    """The clusters of one start, kept from round to round.

    Args:
        rows: the data, unweighted.
        centres_kd: of the last round; a row enters the first of its nearest centres.
    """

    def __init__(self, rows: HeldRows, centres_kd: Tensor) -> None:
        x_nd, k = rows.x_nd, len(centres_kd)
        self._x_nd, self._total, self._size = x_nd, rows.total, _BLOCK * block_rows(k)
        self._squared_n = x_nd.new_empty(len(x_nd))
        self._sum_kd = torch.zeros(centres_kd.shape, dtype=torch.float64, device=x_nd.device)
        self._count_k = torch.zeros(k, dtype=torch.float64, device=x_nd.device)
        self._label_n = torch.zeros(len(x_nd), dtype=torch.int32, device=x_nd.device)
        self._closed_n = torch.empty_like(self._squared_n)
        self._way_k = torch.zeros(k, dtype=torch.float64, device=x_nd.device)
        self._order_b = torch.arange(min(self._size, len(x_nd)), device=x_nd.device)
        self._centres_kd = centres_kd
        self._enter(rows)

    def in_first(self, centres_kd: Tensor) -> bool:
        """Say whether every row is in the cluster of the first of its nearest centres."""
        return torch.equal(self._label_n, nearest_centre(self._x_nd, centres_kd).int())

    def round(self, centres_1kd: Tensor) -> tuple[Round, int]:
        """Assign and move once; a row that is equally near to another centre stays where it is.

        Returns:
            The round and the number of rows that changed cluster.
        """
        look = _Look(centres_1kd[0], self._go(centres_1kd[0]), self._order_b)
        n_changed = self._move(
            look, torch.nonzero(self._closed_n <= look.way_k.index_select(0, self._label_n)).view(-1)
        )
        hits_1 = self._count_k.sum(0, keepdim=True)
        outcome = Round.of(centres_1kd, self._sum_kd[None].clone(), self._count_k[None].clone(), hits_1, self._total)
        return outcome, n_changed

    def _go(self, centres_kd: Tensor) -> Tensor:
        """Add the centres' steps to their ways, and the longest step to each: what closes the margins, in X's dtype."""
        step_k = (centres_kd.double() - self._centres_kd.double()).square().sum(1).sqrt()
        self._way_k += step_k + step_k.max()
        self._centres_kd = centres_kd
        return self._way_k.to(centres_kd.dtype) * (1 + torch.finfo(centres_kd.dtype).eps)

    def _enter(self, rows: HeldRows) -> None:
        """Put every row into the first of its nearest centres."""
        look = _Look(self._centres_kd, self._way_k.to(self._x_nd.dtype), self._order_b)
        parts = (of.split(self._size) for of in (self._label_n, self._closed_n, self._squared_n))
        for x_db, label_b, closed_b, squared_b in zip(rows.x_dn.split(self._size, dim=1), *parts, strict=True):
            torch.linalg.vecdot(x_db, x_db, dim=0, out=squared_b)
            mask_kb = look.nearest(x_db)
            self._sum_kd += mask_kb @ x_db.T
            self._count_k += mask_kb.sum(1)
            nearest_b = (self._order_b[: len(mask_kb)].to(mask_kb.dtype) @ mask_kb).long()
            label_b.copy_(nearest_b)
            closed_b.copy_(look.closed(nearest_b, squared_b))

    def _move(self, look: _Look, open_m: Tensor) -> int:
        before_m = self._label_n.index_select(0, open_m).long()
        label_m, closed_m = before_m.clone(), self._squared_n.index_select(0, open_m)
        everything = len(open_m) == len(self._x_nd)
        for row_b, label_b, closed_b in zip(
            *(part.split(self._size) for part in (open_m, label_m, closed_m)), strict=True
        ):
            # Where every row is open, they are next to each other as they are.
            x_bd = self._x_nd[row_b[0] : row_b[-1] + 1] if everything else self._x_nd.index_select(0, row_b)
            look.nearer(x_bd, label_b)
            closed_b.copy_(look.closed(label_b, closed_b))
        self._closed_n.index_copy_(0, open_m, closed_m)
        changed_c = torch.nonzero(label_m != before_m).view(-1)
        for row_c in changed_c.split(_MOVED_ROWS):
            x_cd = self._x_nd.index_select(0, open_m.index_select(0, row_c))
            self._add(before_m.index_select(0, row_c), x_cd, -1)
            self._add(label_m.index_select(0, row_c), x_cd, 1)
        self._label_n.index_copy_(0, open_m, label_m.int())
        return len(changed_c)

    def _add(self, label_b: Tensor, x_bd: Tensor, sign: int) -> None:
        self._sum_kd.index_add_(0, label_b, x_bd.double(), alpha=sign)
        self._count_k.add_(torch.bincount(label_b, minlength=len(self._count_k)), alpha=sign)


class _Look:
    """Rows against the centres of one round.

    Args:
        centres_kd: the centres.
        way_k: what closes the margins of each cluster's rows, up to now.
        order_b: 0, 1, 2 and so on, as many as rows at most.
    """

    def __init__(self, centres_kd: Tensor, way_k: Tensor, order_b: Tensor) -> None:
        self.way_k, self._order_b = way_k, order_b
        self._relative = RelativeDistances(centres_kd)
        # The products err by about the root of their length in units of rounding; four times that is taken off a margin.
        self._rounding = 4 * (4 + math.sqrt(centres_kd.shape[1])) * torch.finfo(centres_kd.dtype).eps
        self._reach = self._rounding * centres_kd.square().sum(1).amax()
        self._least = torch.finfo(centres_kd.dtype).tiny
        self._distance_kb = self._mask_kb = self._best_b = centres_kd

    def nearest(self, x_db: Tensor) -> Tensor:
        """Return which of the centres is the first of the nearest (k, b) to rows, as zeros and ones."""
        self._distance_kb = self._relative.to(x_db)
        self._best_b = self._distance_kb.amin(0)
        if self._mask_kb.shape != self._distance_kb.shape:
            self._mask_kb = torch.empty_like(self._distance_kb)
        mask_kb = torch.eq(self._distance_kb, self._best_b, out=self._mask_kb)
        return mask_kb if int(mask_kb.sum()) == len(self._best_b) else mask_kb * (mask_kb.cumsum(0) == 1)

    def nearer(self, x_bd: Tensor, label_b: Tensor) -> None:
        """Give rows that have a nearer centre than their own the first of the nearest, in place."""
        self._distance_kb = self._relative.to(x_bd.T)
        self._best_b = self._distance_kb.amin(0)
        own_b = self._distance_kb.view(-1).index_select(0, self._places(label_b))
        changed_c = torch.nonzero(own_b != self._best_b).view(-1)
        label_b.index_copy_(0, changed_c, self._distance_kb.index_select(1, changed_c).min(0).indices)

    def closed(self, label_b: Tensor, squared_b: Tensor) -> Tensor:
        """Return up to which way (b,) the rows looked at last keep their clusters.

        Args:
            label_b: their nearest centres.
            squared_b: their squared lengths.
        """
        self._distance_kb.view(-1).index_fill_(0, self._places(label_b), math.inf)
        second_b = self._distance_kb.amin(0)
        # A difference of squares over the sum is the difference, without loss of digits; the sum is at most this root.
        sum_b = torch.add(self._best_b + second_b, squared_b, alpha=2).mul_(2).clamp_(min=self._least).sqrt_()
        margin_b = (second_b - self._best_b).sub_(squared_b, alpha=self._rounding).sub_(self._reach).div_(sum_b)
        return margin_b.add_(self.way_k.index_select(0, label_b))

    def _places(self, label_b: Tensor) -> Tensor:
        """Return where the rows' distances to their own centres lie in memory."""
        b = len(label_b)
        return torch.add(self._order_b[:b], label_b, alpha=b)
