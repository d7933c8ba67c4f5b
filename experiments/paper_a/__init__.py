"""The claims of paper A, one module each."""
