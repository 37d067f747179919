"""Overload, faults and failures against real processes over real sockets, from a seed: ``python -m chaos --help``."""
