"""Experiments on paper B."""
