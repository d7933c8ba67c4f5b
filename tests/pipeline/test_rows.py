from __future__ import annotations

from marketnn.pipeline.rows import repeats_text


def test_repeats_are_kept_together_or_said_to_be_too_many() -> None:
    assert repeats_text(1200, True, "indices") == (
        "the 1,200 rows that repeat another row's indices stay on that row's side."
    )
    assert repeats_text(7, False, "features") == (
        "7 rows repeat another row's features, so many that each is split on its own."
    )
