"""What a page documents, as the tests run it: its commands in their order, its examples, and what it says is printed."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

from marketnn import cli

REPOSITORY = Path(__file__).parents[1]
SETUP = ("./scripts/reproduce.sh", "./scripts/test.sh", "./scripts/docs.sh")


@dataclass(frozen=True)
class Page:
    """A page of markdown in the repository.

    Attributes:
        path: from the repository's root.
    """

    path: str

    @cached_property
    def text(self) -> str:
        return (REPOSITORY / self.path).read_text()

    @cached_property
    def blocks(self) -> list[tuple[str, str]]:
        """Kind and text of each fenced block."""
        return re.findall(r"```([^\n]+)\n(.*?)```", self.text, re.DOTALL)

    @property
    def commands(self) -> list[str]:
        """The commands, but those that set up."""
        typed = [text for kind, text in self.blocks if kind == "bash"]
        return [line for text in typed for line in text.splitlines() if line not in SETUP]

    @property
    def examples(self) -> list[str]:
        """The blocks of Python."""
        return [text for kind, text in self.blocks if kind == "python"]

    @property
    def links(self) -> list[str]:
        """Where the page points to inside the repository, anchors left out."""
        return [link.partition("#")[0] for link in re.findall(r"\]\(([^)h#][^)]*)\)", self.text)]


def run_command(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a documented command in the working directory and return what it prints.

    marketnn's own run in this process, whose state they leave as it was; of the TensorBoard server, only its reading of the logs.
    """
    first, *words = shlex.split(command)
    if first == "marketnn":
        capsys.readouterr()
        status = cli.main(words)
        printed = capsys.readouterr()
        assert status == 0, printed.err
        return printed.out
    others = {"tensorboard": ["-m", "tensorboard.main", *words, "--inspect"], "python": words}
    assert first in others, f"a page has a command that no test runs: {command}"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run([sys.executable, *others[first]], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_example(example: str, name: str = "example") -> None:
    """Run a documented example in the working directory, in a namespace of its own."""
    exec(compile(example, name, "exec"), {"__name__": "__main__"})
