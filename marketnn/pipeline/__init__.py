"""Whole analyses, from a table to a report. Each is a module with a ``Config``, ``N_STAGES`` and ``run(config, parts, run)``."""

from marketnn.pipeline.parts import Parts

__all__ = ["Parts"]
