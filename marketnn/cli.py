"""The command ``marketnn``: what was typed, who deals with it, and the exit status.

Nothing heavy is imported before it is needed, so ``marketnn --help`` answers at once.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence

from marketnn.command.help import GROUPS, config_folder, help_text, options

__all__ = ["GROUPS", "config_folder", "help_text", "main", "options"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        The exit status: 0 done, 1 a job of a sweep failed, 2 refused with a message on standard error.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or {"-h", "--help"} & set(words):
        print(help_text(words))
        return 0
    if "--version" in words:
        from marketnn import __version__

        print(f"marketnn {__version__}")
        return 0
    from marketnn.errors import InputError, system_message
    from marketnn.redact import redact

    try:
        return _run(words)
    except InputError as error:
        print(f"marketnn: {redact(str(error))}", file=sys.stderr)
    except OSError as error:
        print(f"marketnn: {redact(system_message(error))}", file=sys.stderr)
    return 2


def _run(words: Sequence[str]) -> int:
    """Check the words before anything heavy is imported, then run one job or a sweep."""
    from marketnn.command.search_words import take_search
    from marketnn.command.words import SWEEP, check_words, in_full, take_rerun

    given, search = take_search(words)
    if "--hydra-help" not in words:
        check_words([*given, *(["-m"] if search else [])])
    others, recorded = take_rerun(given)
    command = shlex.join(["marketnn", *words])
    from marketnn.command.compose import PRIMARY
    from marketnn.command.rerun import store_recorded
    from marketnn.command.single import run_single

    primary = PRIMARY if recorded is None else store_recorded(recorded, others)
    if search:
        from marketnn.command.search import run_search

        return run_search(in_full(others), search, primary, command)
    if not SWEEP & set(words):
        run_single(in_full(others), primary, command)
        return 0
    from marketnn.command.sweep import run_sweep

    return run_sweep(in_full(others), primary, command)


if __name__ == "__main__":
    sys.exit(main())
