"""Write ``docs/equations.md``: every equation of the papers, the code whose docstring names it, and that code's test.

``python scripts/papers_table.py`` writes the page; a test holds that it is the one that the code gives.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
PAGE = REPOSITORY / "docs" / "equations.md"
EQUATIONS = {
    "A": [*(f"2.{n}" for n in range(1, 10)), *(f"3.{n}" for n in range(1, 5)), "4.1"],
    "B": [str(n) for n in range(1, 21)],
}
BY_HAND = {"A": "tests/experiments/test_equations_2.py", "B": "tests/experiments/test_equations_b.py"}
SINKS = ("pipeline", "report", "tracking")  # they use what the rooms compute
_PAPER = re.compile(r"[Pp]aper ([AB])\b")
_NAMED = re.compile(r"\beqs?\.?\s+([\d.]*\d(?:\s*(?:-|,|;|and|to)\s*[\d.]*\d)*)")
_REACH = 120  # characters after a paper's name in which its equations are named
HEAD = """# Equations

Every equation of both papers, where it is computed, and the test beside it. The table is written from the docstrings, which name
the equations, by `python scripts/papers_table.py`. What came out for each, beside what was printed, is in the ledger:
`python -m experiments`.
"""


def page() -> str:
    """Write the page."""
    named = equations_by_code()
    lines = [HEAD]
    for paper, equations in EQUATIONS.items():
        lines += [f"## Paper {paper}", "", "| equation | code | test |", "| --- | --- | --- |"]
        for equation in equations:
            places = named.get((paper, equation), [])
            code = [f"`{name}`" for name, _ in places]
            tests = list(dict.fromkeys(test for _, file in places for test in tests_of(file))) or [BY_HAND[paper]]
            lines.append(f"| {equation} | {', '.join(code)} | {', '.join(f'`{test}`' for test in tests)} |")
        lines.append("")
    return "\n".join(lines)


def equations_by_code() -> dict[tuple[str, str], list[tuple[str, Path]]]:
    """Return (paper, equation) -> the dotted names of what computes it, with their files; sinks only where nothing else does."""
    found: dict[tuple[str, str], list[tuple[str, Path]]] = defaultdict(list)
    for file in sorted((REPOSITORY / "marketnn").rglob("*.py")):
        module = file.relative_to(REPOSITORY).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__")
        tree = ast.parse(file.read_text(encoding="utf-8"))
        public = [
            node for node in tree.body if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name[0] != "_"
        ]
        for name, node in [(module, tree), *((f"{module}.{node.name}", node) for node in public)]:
            for key in dict.fromkeys(equations_named(ast.get_docstring(node) or "")):
                if not any(name.startswith(f"{earlier}.") for earlier, _ in found[key]):
                    found[key].append((name, file))
    return {key: _without_sinks(places) for key, places in found.items()}


def equations_named(docstring: str) -> Iterator[tuple[str, str]]:
    """Go through the equations that a docstring names: ``paper A, eq. 2.2-2.5`` is four."""
    papers = list(_PAPER.finditer(docstring))
    for place, paper in enumerate(papers):
        end = papers[place + 1].start() if place + 1 < len(papers) else len(docstring)
        for numbers in _NAMED.finditer(docstring[paper.end() : min(end, paper.end() + _REACH)]):
            known = EQUATIONS[paper[1]]
            for first, last in re.findall(r"([\d.]*\d)(?:\s*-\s*([\d.]*\d))?", numbers[1]):
                if first in known and (last or first) in known:
                    yield from (
                        (paper[1], number) for number in known[known.index(first) : known.index(last or first) + 1]
                    )


def tests_of(file: Path) -> list[str]:
    """Name the test file that mirrors a module, or the ones of its folder that begin with its name."""
    inner = file.relative_to(REPOSITORY / "marketnn")
    stem = inner.parent.name if inner.stem == "__init__" else inner.stem
    folder = REPOSITORY / "tests" / inner.parts[0]
    found = sorted(folder.rglob(f"test_{stem}*.py")) or sorted(folder.rglob(f"test_{inner.parent.name}*.py"))
    return [str(test.relative_to(REPOSITORY)) for test in found][:2]


def _without_sinks(places: list[tuple[str, Path]]) -> list[tuple[str, Path]]:
    rooms = [(name, file) for name, file in places if name.split(".")[1] not in SINKS]
    return rooms or places


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
