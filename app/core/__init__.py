"""How a generation is done: the one engine client and the pure parts around it."""
