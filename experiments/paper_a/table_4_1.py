"""Table 4.1 of paper A, the coefficients of the churn model: its faults, found from the printed numbers alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from experiments.claims import Claims, last_place
from experiments.experiment import Findings, Picture, Workspace
from experiments.ledger import Row, compare
from experiments.logistic_audit import Fault, PrintedRow, audit, two_sided_p
from marketnn.report.figures import BLUE, GREY, RED
from marketnn.report.page import FigureBlock

ITEM = "Table 4.1"
GROUPS = ("std_error", "z", "p_tenfold", "p_digits")


def run(workspace: Workspace) -> Findings:
    """Audit the printed table and compare what is found with the errata."""
    rows = printed_rows(workspace.claims)
    faults = audit(rows)
    caption = (
        "Table 4.1: z as printed, and estimate / std. error as printed. Where the two part, one cell is misprinted."
    )
    picture = Picture((ITEM,), FigureBlock.of(z_figure(rows, faults), caption))
    return Findings((ledger_row(workspace.claims, rows, faults),), (picture,))


def printed_rows(claims: Claims) -> list[PrintedRow]:
    """Return the table's rows as printed."""
    return [PrintedRow(variable, *cells) for variable, cells in claims.printed["A"][ITEM]["rows"].items()]


def ledger_row(claims: Claims, rows: Sequence[PrintedRow], faults: Sequence[Fault]) -> Row:
    """Compare the audit's faults and repairs with the errata, cell by cell."""
    level = float(claims.printed["A"][ITEM]["level"])
    errata = claims.errata["A"][ITEM]
    groups = Counter(map(_group, faults))
    ours: dict[str, float] = {"z values that are wrong": groups["std_error"] + groups["z"]}
    ours |= {f"{group} faults": groups[group] for group in GROUPS}
    ours["z of the row below"] = sum(fault.cause == "row below" for fault in faults)
    for fault in faults:
        ours[f"{fault.variable} {_group(fault)} printed"] = float(fault.printed)
        ours[f"{fault.variable} {_group(fault)} repaired"] = fault.repaired
    ours["rows with p below the level"] = sum(two_sided_p(z) < level for z in _repaired_z(rows, faults))

    published: dict[str, float] = {
        "z values that are wrong": len(errata["std_error"]) + len(errata["z"]),
        **{f"{group} faults": len(errata[group]) for group in GROUPS},
        "z of the row below": len(errata["z"]),
        "rows with p below the level": len(rows),
    }
    tolerance = dict.fromkeys(published, 0.0)
    for group in GROUPS:
        for variable, (printed, repaired) in errata[group].items():
            name = f"{variable} {group}"
            published |= {f"{name} printed": float(printed), f"{name} repaired": float(repaired)}
            tolerance |= {f"{name} printed": 0.0, f"{name} repaired": last_place(repaired) / 2}
    reason = (
        f"{len(faults)} of {4 * len(rows)} printed cells cannot be right; repaired, every z and p follows from its row. "
        f"{claims.finding('A', ITEM)}"
    )
    return compare("A", ITEM, "paper_a/table_4_1", ours=ours, published=published, tolerance=tolerance, reason=reason)


def z_figure(rows: Sequence[PrintedRow], faults: Sequence[Fault]) -> Figure:
    """Draw printed against recomputed z, one line per variable, faulty rows in red."""
    figure = Figure(figsize=(8.0, 5.0), layout="constrained")
    axes = figure.subplots()
    place = np.arange(len(rows))[::-1]
    wrong = {fault.variable for fault in faults if fault.column != "p"}
    printed, computed = [float(row.z) for row in rows], [row.wald_z for row in rows]
    axes.hlines(place, printed, computed, colors=[RED if row.variable in wrong else GREY for row in rows])
    axes.plot(printed, place, "o", color=GREY, label="z as printed")
    axes.plot(computed, place, "x", color=BLUE, label="estimate / std. error")
    axes.axvline(0, color=GREY, linestyle=":")
    axes.set_xscale("symlog", linthresh=5)
    axes.set_xticks([-5, -2.5, 0, 2.5, 5, 10, 20], ["-5", "-2.5", "0", "2.5", "5", "10", "20"])
    axes.set_yticks(place, [row.variable for row in rows])
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_color(RED if row.variable in wrong else "black")
    axes.set_xlabel("z, logarithmic beyond ±5")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower right")
    return figure


def _group(fault: Fault) -> str:
    if fault.column == "p":
        return "p_tenfold" if fault.cause == "tenfold" else "p_digits"
    return fault.column


def _repaired_z(rows: Sequence[PrintedRow], faults: Sequence[Fault]) -> list[float]:
    std_errors = {fault.variable: fault.repaired for fault in faults if fault.column == "std_error"}
    return [float(row.estimate) / std_errors.get(row.variable, float(row.std_error)) for row in rows]
