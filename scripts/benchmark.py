"""Measure marketnn against its peers: ``python scripts/benchmark.py lm``; the table is ``benchmarks/lm.md``."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from bench.case import Options
from bench.harness import engines, run_engine
from bench.machine import usable_cores

from marketnn.errors import InputError

_REPOSITORY = Path(__file__).resolve().parent.parent


def main(arguments: list[str]) -> int:
    """Run the chosen engines; returns the exit status."""
    known = engines()
    parser = argparse.ArgumentParser(prog="benchmark.py", description=__doc__)
    parser.add_argument("engine", choices=[*known, "all"], help="what is measured")
    parser.add_argument("--case", nargs="+", action="extend", default=[], metavar="NAME", help="only these cases")
    parser.add_argument("--threads", nargs="+", type=int, default=[1], metavar="N", help="cores of each contender")
    parser.add_argument("--seed", type=int, default=0, help="of the data, the first weights and the random shapes")
    parser.add_argument("--repeats", type=int, metavar="N", help="measured runs, instead of each case's own number")
    parser.add_argument("--output", type=Path, default=_REPOSITORY / "benchmarks", help="folder of the tables")
    parser.add_argument("--quick", action="store_true", help="scale sizes and seconds down, to try the cases")
    chosen = parser.parse_args(arguments)
    if (chosen.repeats is not None and chosen.repeats < 1) or not all(1 <= n <= usable_cores() for n in chosen.threads):
        parser.error(f"--repeats must be at least 1 and --threads between 1 and {usable_cores()}")
    options = Options(chosen.seed, chosen.threads[0], chosen.quick, str(chosen.output.resolve()))
    for engine in known if chosen.engine == "all" else [chosen.engine]:
        try:
            path = run_engine(
                engine,
                known[engine],
                options,
                command=shlex.join(["python", "scripts/benchmark.py", *arguments]),
                names=chosen.case,
                threads=chosen.threads,
                repeats=chosen.repeats,
            )
        except InputError as error:
            print(error, file=sys.stderr)
            return 2
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
