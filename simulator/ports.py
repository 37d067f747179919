"""A port for a server that is started later."""

import secrets
import socket
from contextlib import suppress
from pathlib import Path

_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_OFFERED = 10_000  # ports right below that range among which one is drawn
_SYSTEM = 1024  # from here up anybody may listen
_TRIES = 100


def free_port() -> int:
    """A loopback port that nobody listens on, and that no outgoing connection is given before somebody does.

    A port that the kernel gives away by itself (``bind`` to port 0) is one of those it gives to outgoing connections,
    too: in the second that a server takes to start, one of them may have it.

    Raises:
        OSError: none was free.
    """
    lowest = int(_RANGE.read_text().split()[0])
    if lowest - _OFFERED < _SYSTEM:
        return _bound(0)  # this machine keeps none for servers
    for _ in range(_TRIES):
        with suppress(OSError):
            return _bound(lowest - 1 - secrets.randbelow(_OFFERED))  # `random` is seeded alike in parallel tests
    raise OSError(f"no free port among {_TRIES} between {lowest - _OFFERED} and {lowest - 1}")


def _bound(port: int) -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", port))
        return int(probe.getsockname()[1])
