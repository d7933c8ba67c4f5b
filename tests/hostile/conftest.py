"""A finished run for the tests of hostile input to damage copies of."""

from __future__ import annotations

from pathlib import Path

import pytest

from marketnn import cli

GOOD = "customer_id,age,plan,churn\n" + "".join(
    f"C{i},{20 + (7 * i) % 31},{'abc'[i % 3]},{int((i * i) % 7 < 3)}\n" for i in range(80)
)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table of 80 customers, ``good.csv``, and a finished segmentation of them, ``run``."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "good.csv").write_text(GOOD)
    words = ["pipeline=segment", "pipeline.n_clusters=2", "data=csv", f"data.path='{folder}/good.csv'"]
    assert cli.main([*words, f"hydra.run.dir='{folder}/run'"]) == 0
    return folder
