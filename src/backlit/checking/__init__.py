"""Gradients checked: finite differences, and the mean loss of one batch as a function of the parameters."""
