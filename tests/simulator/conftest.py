from collections.abc import Iterator

import pytest

from tests.simulator.sim_harness import FAST, Simulator, running


@pytest.fixture(scope="session")
def shared_simulator() -> Iterator[Simulator]:
    with running(FAST) as simulator:
        yield simulator


@pytest.fixture
def sim(shared_simulator: Simulator) -> Simulator:
    shared_simulator.client.post("/_sim/reset").raise_for_status()
    shared_simulator.configure(**FAST)
    return shared_simulator
