"""Adding up over processes, as ``marketnn.processes`` does it."""

from marketnn.processes import Reduce, reduction

__all__ = ["Reduce", "reduction"]
