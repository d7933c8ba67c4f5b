"""What holds for every run that a pipeline's tests make."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from marketnn.tracking import Run
from marketnn.tracking.metric_schema import is_described


@pytest.fixture(scope="package", autouse=True)
def every_metric_is_in_the_schema() -> Iterator[None]:
    """A pipeline that writes a metric of which the schema knows nothing fails its tests."""
    record = Run.metric

    def checked(self: Run, **values: float) -> None:
        unknown = [name for name in values if not is_described(name)]
        assert not unknown, f"describe {unknown} in marketnn/tracking/metric_schema.py"
        record(self, **values)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "metric", checked)
        yield
