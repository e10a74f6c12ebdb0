"""Engines run the steps of an epoch. `reference` is the readable one; anything faster is proven equal to it."""
