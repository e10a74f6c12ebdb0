"""The compiled engine: the steps of the reference engine as machine code, by Numba."""
