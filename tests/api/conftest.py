"""The service in front of a simulated SGLang: answers at once, so that tests can ask a lot."""

from collections.abc import Iterator

import pytest

from tests.api.chats import service_of, warm
from tests.simulator.sim_harness import FAST, Simulator, running
from tests.support.service import Service


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def shared_engine() -> Iterator[Simulator]:
    """One simulated engine for all tests."""
    with running(FAST) as simulator:
        yield simulator


@pytest.fixture
def api_engine(shared_engine: Simulator) -> Iterator[Simulator]:
    """The simulated engine behind ``api_service``, with nothing left over from another test, or for another one."""
    for turn in ("before", "after"):
        shared_engine.client.post("/_sim/reset").raise_for_status()
        shared_engine.configure(**FAST)
        if turn == "before":
            yield shared_engine


@pytest.fixture(scope="session")
def api_service(shared_engine: Simulator) -> Iterator[Service]:
    """The service with every setting at its default, but for its engine's address and context."""
    with service_of(shared_engine) as service:
        yield service.wait_healthy()


@pytest.fixture
def engine(api_engine: Simulator) -> Simulator:
    """The engine of the shared service."""
    return api_engine


@pytest.fixture
def service(engine: Simulator, api_service: Service) -> Service:
    """The shared service with connections to its engine."""
    assert engine.port
    return warm(api_service)


@pytest.fixture
def unspent() -> Iterator[tuple[Service, Simulator]]:
    """A service that has not repeated anything yet, and its engine: there is a budget for that."""
    with running(FAST) as engine, service_of(engine) as service:
        yield warm(service), engine
