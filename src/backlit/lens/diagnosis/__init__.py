"""Somebody's own gradients compared with the right ones, and the mistake named."""
