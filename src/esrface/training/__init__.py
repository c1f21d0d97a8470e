"""Training of ESR networks: configuration, loss, loop, checkpoints, and the protocol for each data set."""
