"""A training run recorded, and walked through."""
