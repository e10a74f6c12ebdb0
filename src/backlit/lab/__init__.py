"""The lab: a local page on which a network trains live, and every number can be opened down to its arithmetic."""
