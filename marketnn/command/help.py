"""What ``marketnn --help`` prints, read from the YAML files alone: it must answer at once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

GROUPS = ("pipeline", "data", "scaler", "cluster", "classifier", "network", "optimizer", "device", "experiment")
EXAMPLES = (
    ("marketnn pipeline=churn data=packaged", "a real table that comes along"),
    ("marketnn pipeline=inspect data=csv data.path=customers.csv", "what each column would be used for"),
    ("marketnn pipeline=churn data=csv data.path=customers.csv data.target=churn", "your own customers"),
    (
        "marketnn pipeline=segment data=csv data.path=customers.csv",
        "groups of like customers, and what tells them apart",
    ),
    ("marketnn pipeline=scorecard data=packaged data.table=concrete", "a network from indices to a score"),
    ("marketnn pipeline=recommend data=packaged data.table=caravan", "who accepts an offer, and how to contact whom"),
    (
        "marketnn pipeline=enterprise data=csv data.path=customers.csv data.target=churn",
        "paper A as one run: leavers, offers, costs, scorecard",
    ),
    (
        "marketnn pipeline=allocate data=csv data.path=chances.csv pipeline.value=[mail,call] pipeline.capacity={call:100}",
        "customers to offers within limits, with a proof",
    ),
    ("marketnn pipeline=omnichannel", "paper B as one run: segments, projects, resources, budget"),
    ("marketnn pipeline=predict model=RUN_FOLDER data=csv data.path=new.csv", "score new rows"),
    (
        "marketnn -m pipeline=scorecard optimizer=lm,adam seed=0,1",
        "every combination, compared",
    ),
    (
        "marketnn search=20 metric=rmse pipeline=scorecard 'optimizer.damping=tag(log, interval(1e-4, 0.1))'",
        "the best of some settings, proposed one after the other",
    ),
    ("marketnn rerun=RUN_FOLDER optimizer=adam", "a finished run again, with one thing changed"),
    ("marketnn pipeline=diff runs=[RUN_FOLDER,RUN_FOLDER]", "what differs between finished runs"),
)


def config_folder() -> Path:
    """Return the folder of the YAML files: beside the package in a checkout, inside it when installed."""
    package = Path(__file__).parent.parent
    checkout = package.parent
    if (checkout / "pyproject.toml").is_file() and (checkout / "configs" / "config.yaml").is_file():
        return checkout / "configs"
    return package / "configs"


def options(group: str) -> dict[str, str]:
    """Name -> what it is, from the comment that heads every YAML of a group (for an experiment, its third line)."""
    folder = config_folder() / group
    files = sorted(folder.rglob("*.yaml"))
    return {str(file.relative_to(folder).with_suffix("")): _heading(file) for file in files}


def help_text(words: Sequence[str] = ()) -> str:
    """Say what can be asked for: the choices with a line each, or the keys of the choices that the words name.

    Args:
        words: of the command; ``pipeline=allocate data=rfm`` asks for the keys of these two.
    """
    choices = {
        f"{group}={name}": config_folder() / group / f"{name}.yaml" for group in GROUPS for name in options(group)
    }
    named = {word: choices[word] for word in words if word in choices}
    return _choices_text(named) if named else _overview_text()


def _overview_text() -> str:
    folder = config_folder()
    lines = ["marketnn: marketing analyses on your own customers, on real ones, or on the papers' claims.", ""]
    lines += ["usage: marketnn pipeline=NAME data=NAME [key=value ...]      -m runs every combination of a=1,2 b=3,4"]
    lines += [
        "       marketnn pipeline=NAME --help                         lists the keys of a pipeline; so for data=NAME"
    ]
    for group in GROUPS:
        lines += ["", f"{group}=NAME", *(f"  {name:<29}{about}".rstrip() for name, about in options(group).items())]
    for group, name in (("data", "csv"), ("pipeline", "churn")):
        lines += ["", f"keys of {group}={name}", *_key_lines(group, folder / group / f"{name}.yaml")]
    lines += ["", "keys of every run", *_key_lines("", folder / "config.yaml")]
    lines += [f"  {'hydra.run.dir':<32}where the run folder goes (of a sweep: hydra.sweep.dir)"]
    lines += ["", "examples", *(f"  {command}\n      {about}" for command, about in EXAMPLES)]
    return "\n".join([*lines, "", "--hydra-help explains Hydra's own flags."])


def _choices_text(files: Mapping[str, Path]) -> str:
    """List the keys of some choices, ``pipeline=churn`` -> its YAML file."""
    lines = []
    for title, file in files.items():
        lines += [f"{title}: {_heading(file)}", *_key_lines(title.split("=")[0], file), ""]
    return "\n".join(lines[:-1])


def _key_lines(group: str, file: Path) -> list[str]:
    prefix = f"{group}." if group else ""
    return [f"  {prefix + key:<32}{about}" for key, about in _commented_keys(file)]


def _heading(file: Path) -> str:
    """Read the comment lines at the head of a YAML file: the last of them says what the file is."""
    heading = ""
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        heading = line.lstrip("#").strip()
    return heading


def _commented_keys(file: Path) -> list[tuple[str, str]]:
    """Read the top-level ``key: value  # comment`` lines of a YAML file."""
    pattern = re.compile(r"^(\w+):[^#]*#\s*(.+)$")
    matches = map(pattern.match, file.read_text(encoding="utf-8").splitlines())
    return [(match[1], match[2]) for match in matches if match and match[1] != "name"]
