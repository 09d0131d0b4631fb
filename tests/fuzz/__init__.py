"""Random input at every door of the engine: configuration files, hypercalls, SBI, device registers, rings, images."""
