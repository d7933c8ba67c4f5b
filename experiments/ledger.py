"""The reproduction ledger: what a paper claims, what is computed here, and a verdict that follows from the two.

A verdict is never written by hand: every number under ``published`` must be met by the number of the same name under
``ours`` within its tolerance. ``ours`` may say more, such as the recall that a precision costs.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from marketnn.errors import InputError
from marketnn.tracking.files import write_json

Verdict = Literal["reproduced", "in kind", "not reproducible"]
VERDICTS: tuple[Verdict, ...] = ("reproduced", "in kind", "not reproducible")
KINDS = ("Equation", "Table", "Figure")
SIGNIFICANT_DIGITS = 12
_ITEM = re.compile(rf"({'|'.join(KINDS)}) (\d+)(?:\.(\d+))?")
_NUMBERS = {
    ("A", "Equation"): [*(f"2.{n}" for n in range(1, 10)), *(f"3.{n}" for n in range(1, 5)), "4.1"],
    ("A", "Table"): ["2.1", *(f"3.{n}" for n in range(1, 6)), *(f"4.{n}" for n in range(1, 5))],
    ("A", "Figure"): [
        *(f"2.{n}" for n in range(1, 4)),
        *(f"3.{n}" for n in range(1, 4)),
        *(f"4.{n}" for n in range(1, 7)),
    ],
    ("B", "Equation"): [str(n) for n in range(1, 21)],
    ("B", "Table"): [str(n) for n in range(1, 5)],
    ("B", "Figure"): [str(n) for n in range(1, 4)],
}
ITEMS = tuple((paper, f"{kind} {number}") for (paper, kind), numbers in _NUMBERS.items() for number in numbers)


@dataclass(frozen=True)
class Row:
    """One claim and its verdict; ``compare`` makes it.

    Attributes:
        paper: ``A`` or ``B``.
        item: ``Equation 2.7``, ``Table 4.1``, ``Figure 3.3``, or a further claim in words.
        experiment: which experiment computed it.
        ours: name -> number computed here.
        published: name -> number that the paper implies, repaired where the errata say so.
        tolerance: name -> how far ours may be from published.
        verdict: what follows.
        reason: why, or which number differs.
    """

    paper: str
    item: str
    experiment: str
    ours: Mapping[str, float]
    published: Mapping[str, float]
    tolerance: Mapping[str, float]
    verdict: Verdict
    reason: str

    @property
    def kind(self) -> str:
        """``Equation``, ``Table``, ``Figure``, or empty for a further claim."""
        match = _ITEM.fullmatch(self.item)
        return match[1] if match else ""


def compare(
    paper: str,
    item: str,
    experiment: str,
    *,
    ours: Mapping[str, float],
    published: Mapping[str, float],
    tolerance: float | Mapping[str, float],
    reason: str,
    in_kind: bool = False,
) -> Row:
    """Compare numbers and make the row that follows.

    Numbers are kept to 12 significant digits, and the verdict is drawn from what is kept.

    Args:
        paper, item, experiment, ours, published, reason: as in ``Row``.
        tolerance: absolute, one for all published numbers or one for each.
        in_kind: whether agreement means ``in kind`` (other data than the paper's) rather than ``reproduced``.

    Raises:
        InputError: nothing is published, a published number has no tolerance, or a number is not finite.
    """
    if not published:
        raise InputError(f"{item} of paper {paper} has no published number to compare with; store one.")
    tolerance = tolerance if isinstance(tolerance, Mapping) else dict.fromkeys(published, tolerance)
    if set(tolerance) != set(published):
        names = ", ".join(sorted(set(tolerance) ^ set(published)))
        raise InputError(
            f"{item} of paper {paper}: tolerances and published numbers differ in {names}; name both alike."
        )
    ours, published = (
        {name: _stored(item, name, value) for name, value in numbers.items()} for numbers in (ours, published)
    )
    wrong = differing(ours, published, tolerance)
    verdict: Verdict = "in kind" if in_kind else "reproduced"
    if wrong:
        verdict = "not reproducible"
        reason = f"{_difference(wrong, ours, published)} {reason}"
    return Row(paper, item, experiment, ours, published, dict(tolerance), verdict, reason)


def not_computed(paper: str, item: str, experiment: str, why: str) -> Row:
    """Return the row of a claim that nothing was computed for, because data are missing or the experiment failed."""
    return Row(paper, item, experiment, {}, {}, {}, "not reproducible", f"Not computed: {why}")


def differing(ours: Mapping[str, float], published: Mapping[str, float], tolerance: Mapping[str, float]) -> list[str]:
    """Name the published numbers that ours lacks or misses by more than the tolerance."""
    return [
        name
        for name, number in published.items()
        if name not in ours or _kept(abs(ours[name] - number)) > tolerance[name]
    ]


def assemble(rows: Iterable[Row]) -> list[Row]:
    """Sort rows by paper, kind and number, further claims last.

    Raises:
        InputError: two rows for one item.
    """
    ordered = sorted(rows, key=_place)
    for (paper, item), count in Counter((row.paper, row.item) for row in ordered).items():
        if count > 1:
            names = " and ".join(row.experiment for row in ordered if (row.paper, row.item) == (paper, item))
            raise InputError(f"{item} of paper {paper} has {count} rows, from {names}; an item has one.")
    return ordered


def coverage(rows: Sequence[Row]) -> dict[str, tuple[int, int]]:
    """Return for each kind how many of the papers' items have a row, and how many there are."""
    covered = {(row.paper, row.item) for row in rows}
    counts = {}
    for kind in KINDS:
        items = [item for item in ITEMS if item[1].startswith(kind)]
        counts[kind] = (len(covered.intersection(items)), len(items))
    return counts


def verdict_counts(rows: Sequence[Row]) -> dict[str, int]:
    """Return how many rows have each verdict."""
    return {verdict: sum(row.verdict == verdict for row in rows) for verdict in VERDICTS}


def write_ledger(path: Path, rows: Sequence[Row]) -> None:
    """Write the rows as a JSON list; equal rows make equal bytes."""
    write_json(path, [asdict(row) for row in rows])


def _stored(item: str, name: str, value: float) -> float:
    if not math.isfinite(value):
        raise InputError(f"{item}: '{name}' is {value}; only finite numbers can be compared.")
    return value if isinstance(value, int) else _kept(value)


def _kept(value: float) -> float:
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}")


def _difference(wrong: Sequence[str], ours: Mapping[str, float], published: Mapping[str, float]) -> str:
    first = wrong[0]
    found = f"ours is {ours[first]:.10g}" if first in ours else "ours has none"
    more = f" ({len(wrong) - 1} more numbers differ)" if wrong[1:] else ""
    return f"'{first}' differs: {found}, published {published[first]:.10g}{more}."


def _place(row: Row) -> tuple[str, int, int, int, str]:
    match = _ITEM.fullmatch(row.item)
    if match is None:
        return row.paper, len(KINDS), 0, 0, row.item
    return row.paper, KINDS.index(match[1]), int(match[2]), int(match[3] or 0), row.item
