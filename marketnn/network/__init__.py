"""The BP network of paper A and its first weights."""

from marketnn.network.bp import BPNetwork

__all__ = ["BPNetwork"]
