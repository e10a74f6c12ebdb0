"""Signs that training goes wrong: in the network, on a batch, in the course of the loss."""
