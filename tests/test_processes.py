"""Two processes that hold unequal shares of a table find what one process finds that holds it all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torchrun_engines as engines
import torchrun_interrupted as interrupted
from safetensors.torch import load_file
from sklearn.metrics import roc_auc_score
from torchrun import torchrun

from marketnn.classify.classifiers import xgboost
from marketnn.errors import InputError, LostProcessError
from marketnn.optim.problem import flat_parameters
from marketnn.processes import ALONE, Processes, reduction
from marketnn.tracking.checkpoint import load_checkpoint

pytestmark = pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without torch.distributed")
Found = dict[str, list[dict[str, np.ndarray]]]


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Found:
    folder = tmp_path_factory.mktemp("together")
    done = torchrun(Path(engines.__file__), str(folder))
    assert done.returncode == 0, done.stderr[-3_000:]
    cases = (*engines.KMEANS, "xgboost")
    files = {case: [load_file(folder / f"{case}-{rank}.safetensors") for rank in (0, 1)] for case in cases}
    return {case: [{key: value.numpy() for key, value in of.items()} for of in both] for case, both in files.items()}


@pytest.mark.parametrize("case", engines.KMEANS)
def test_kmeans_has_the_labels_and_centres_of_one_process(case: str, together: Found) -> None:
    first, second = together[case]
    for name in ("centres", "history", "rounds"):
        assert (first[name] == second[name]).all()
    assert len(first["labels"]) == engines.SPLIT
    model, x_nd = engines.KMEANS[case]()
    alone = model.fit_shard(x_nd, process_group=None)
    assert (np.concatenate([first["labels"], second["labels"]]) == alone.labels_).all()
    np.testing.assert_allclose(first["centres"], alone.cluster_centers_, rtol=0, atol=1e-10)
    assert first["history"][-1] == pytest.approx(alone.total_error_, rel=1e-12)
    if not isinstance(model.init, str):  # from the end of a search, rounding decides whether one round is the last
        assert first["rounds"] == alone.n_iter_
        np.testing.assert_allclose(first["history"], alone.history_, rtol=1e-12)


def test_boosted_trees_part_buyers_as_well_as_those_of_one_process(together: Found) -> None:
    first, second = (share["probability"] for share in together["xgboost"])
    assert (first == second).all()
    x_nd, y_n = engines.buyers()
    alone = xgboost.build(xgboost.Config(**engines.BOOSTED)).fit(x_nd, y_n, seed=4).predict_proba(x_nd)
    assert roc_auc_score(y_n, first) == pytest.approx(roc_auc_score(y_n, alone), abs=0.002)


def test_a_process_that_dies_ends_the_job_and_training_goes_on_from_the_checkpoint(tmp_path: Path) -> None:
    file = tmp_path / "checkpoint"
    done = torchrun(Path(interrupted.__file__), str(file))
    assert done.returncode == 1
    assert "rank      : 1" in done.stderr
    assert "exitcode  : 9" in done.stderr
    checkpoint = load_checkpoint(file)
    whole, resumed = interrupted.network(), interrupted.network()
    expected = interrupted.fit(whole, slice(None), None)
    result = interrupted.fit(resumed, slice(None), None, resume=checkpoint)
    epochs = result.history["epoch"]
    assert epochs[-1] == expected.history["epoch"][-1]
    np.testing.assert_allclose(result.history["loss"], expected.history["loss"][-len(epochs) :], rtol=1e-6)
    torch.testing.assert_close(flat_parameters(resumed), flat_parameters(whole), rtol=0, atol=1e-6)


def test_who_waits_for_a_lost_process_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def reset(tensor: torch.Tensor, group: object) -> None:
        raise RuntimeError("Connection reset by peer\nmore")

    monkeypatch.setattr(torch.distributed, "all_reduce", reset)
    reduce = reduction("a group")
    assert reduce is not None
    with pytest.raises(
        LostProcessError, match=r"another process ended or does not answer \(Connection reset by peer\)"
    ):
        reduce([torch.zeros(2)])


def test_one_process_is_a_group_of_one() -> None:
    rows = torch.arange(6.0).view(3, 2)
    ALONE.add_up(rows)
    assert ALONE.gather(rows) is rows
    assert (Processes().rank, rows.sum()) == (0, 15)
    model, x_nd = engines.KMEANS["empty"]()
    labels = model.fit_shard(x_nd, process_group=None).labels_
    assert (labels == model.fit(x_nd).labels_).all()
    assert len(np.unique(labels)) == 5


def test_a_search_of_settings_stays_in_one_process() -> None:
    x_nd, y_n = engines.buyers()
    with pytest.raises(InputError, match="search=3 runs in one process"):
        xgboost.build(xgboost.Config(search=3)).fit_shard(x_nd, y_n, process_group=None)
