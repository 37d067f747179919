"""Hostile requests against the service in front of the simulator, from a seed: ``python -m fuzz --help``."""
