"""The claims as they stand, a way to change one of them, and one run of the churn experiment for all tests."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from experiments.claims import Claims, load_claims
from experiments.experiment import Findings, Workspace, find


@pytest.fixture
def changed_claims() -> Callable[..., Claims]:
    """A function that returns the claims with the value at one path changed."""

    def change(path: Sequence[str | int], value: Any, *, errata: bool = False) -> Claims:
        claims = copy.deepcopy(load_claims())
        place: Any = claims.errata if errata else claims.printed
        for key in path[:-1]:
            place = place[key]
        assert place[path[-1]] != value
        place[path[-1]] = value
        return claims

    return change


@pytest.fixture(scope="session")
def churn_findings(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    workspace = Workspace(load_claims(), tmp_path_factory.mktemp("runs with space, [brackets] and 'quotes'"))
    return find("paper_a/churn_telco").run(workspace)
