"""What stands behind the command ``marketnn``: its help, its words, Hydra, one job, a sweep of them."""
