"""marketnn: a GPU-ready PyTorch research framework for marketing operations.

Importing the package loads nothing heavy; rooms come in when they are first named:

    from marketnn.cluster import KMeans
    import marketnn; marketnn.cluster.KMeans
"""

from __future__ import annotations

import importlib
from types import ModuleType

__version__ = "0.1.0"

_ROOMS = (
    "allocation",
    "classify",
    "cluster",
    "data",
    "network",
    "optim",
    "pipeline",
    "preprocess",
    "report",
    "scorecard",
    "tracking",
)


def __getattr__(name: str) -> ModuleType:
    if name in _ROOMS:
        return importlib.import_module(f"marketnn.{name}")
    raise AttributeError(f"module 'marketnn' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*globals(), *_ROOMS])
