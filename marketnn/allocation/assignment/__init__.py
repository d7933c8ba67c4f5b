"""One offer per customer or none, within capacities and budgets, at any scale and with a proof of how good the answer is."""




