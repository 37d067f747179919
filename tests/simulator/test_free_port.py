"""A port for a server that is started later."""

from pathlib import Path

import pytest

from simulator.ports import free_port


def test_nobody_is_given_it_before_the_server_has_it() -> None:
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    if lowest < 12_000:
        pytest.skip("this machine keeps no ports for servers")
    ports = [free_port() for _ in range(50)]
    assert max(ports) < lowest  # from there up the kernel gives them to outgoing connections
    assert min(ports) >= 1024  # below that only root may listen
    assert len(set(ports)) > 40  # tests that run beside each other seldom draw the same
