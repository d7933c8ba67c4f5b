"""One offer per customer or none, within capacities and budgets, at any scale and with a proof of how good the answer is."""

from marketnn.allocation.assignment.offers import AssignmentResult, assign_offers

__all__ = ["AssignmentResult", "assign_offers"]
