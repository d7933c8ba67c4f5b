"""Measure marketnn against its peers: ``python scripts/benchmark.py lm``; the table is ``benchmarks/lm.md``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bench.case import Options
from bench.harness import engines, profile_modules, run_engine, write_overview, write_pages, write_profile
from bench.machine import usable_cores

from marketnn.errors import InputError

_REPOSITORY = Path(__file__).resolve().parent.parent


def main(arguments: list[str]) -> int:
    """Run the chosen engines; returns the exit status."""
    known, profiles = engines(), profile_modules()
    parser = argparse.ArgumentParser(prog="benchmark.py", description=__doc__)
    parser.add_argument("engine", choices=[*known, "all"], help="what is measured")
    parser.add_argument("--case", nargs="+", action="extend", default=[], metavar="NAME", help="only these cases")
    parser.add_argument("--all", action="store_true", help="the slow cases too, which else run only when named")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="cores of each contender")
    parser.add_argument("--seed", type=int, default=0, help="of the data, the first weights and the random shapes")
    parser.add_argument("--repeats", type=int, metavar="N", help="measured runs, instead of each case's own number")
    parser.add_argument("--output", type=Path, help="folder of the tables, instead of benchmarks or its two_threads")
    parser.add_argument("--quick", action="store_true", help="scale down, to try the cases; tables go to reports")
    parser.add_argument(
        "--profile", action="store_true", help=f"where a small step's time goes ({', '.join(profiles)})"
    )
    parser.add_argument(
        "--pages", action="store_true", help="write the pages again from what is stored; measure nothing"
    )
    chosen = parser.parse_args(arguments)
    if (chosen.repeats is not None and chosen.repeats < 1) or not 1 <= chosen.threads <= usable_cores():
        parser.error(f"--repeats must be at least 1 and --threads between 1 and {usable_cores()}")
    if chosen.profile and chosen.engine not in profiles:
        parser.error(f"--profile is there for {', '.join(profiles)}, not for {chosen.engine}")
    output = (chosen.output or _default_output(chosen.threads, chosen.quick)).resolve()
    root = output.parent if output.name.endswith("_threads") else output
    if chosen.pages:
        print(write_pages(root))
        return 0
    options = Options(chosen.seed, chosen.threads, chosen.quick, str(output))
    status = 0
    for engine in known if chosen.engine == "all" else [chosen.engine]:
        try:
            if chosen.profile:
                path = write_profile(engine, profiles[engine], options)
            else:
                path = run_engine(
                    engine, known[engine], options, names=chosen.case, slow=chosen.all, repeats=chosen.repeats
                )
        except InputError as error:
            print(error, file=sys.stderr)
            status = 2
        else:
            print(path)
    if not chosen.profile and not status:
        print(write_overview(root))
    return status


def _default_output(threads: int, quick: bool) -> Path:
    """Keep one page to one number of threads, and what is no measurement out of the tables."""
    if quick:
        return _REPOSITORY / "reports" / "benchmarks"
    folder = _REPOSITORY / "benchmarks"
    return folder if threads == 1 else folder / {2: "two_threads"}.get(threads, f"{threads}_threads")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
