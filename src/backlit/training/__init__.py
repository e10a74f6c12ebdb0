"""Training: what is done to a network, epoch by epoch and step by step."""
