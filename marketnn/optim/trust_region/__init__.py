"""The parts of ``least_squares``: the search of many starts at once, its residual function, and its box."""
