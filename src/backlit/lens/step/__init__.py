"""One step of training, explained: every number, where it comes from, and what it did to the loss."""
