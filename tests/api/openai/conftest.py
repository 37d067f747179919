"""The official OpenAI client in front of the service."""

import os
from collections.abc import AsyncIterator, Iterator

import pytest
from openai import AsyncOpenAI, OpenAI

from tests.simulator.sim_harness import Simulator
from tests.support.service import Service

# SERVICE_URL=http://127.0.0.1:8000 runs the cases of test_openai_answers.py on a service that runs already.
_GIVEN = os.environ.get("SERVICE_URL")


@pytest.fixture(params=["simulator", *(["given"] if _GIVEN else [])])
def service_url(request: pytest.FixtureRequest) -> str:
    """A service whose engine works; add a parameter here to have the same cases on another engine."""
    if request.param == "given" and _GIVEN:
        return _GIVEN
    request.getfixturevalue("api_engine")
    service: Service = request.getfixturevalue("api_service")
    return service.url


@pytest.fixture
def openai_client(service_url: str) -> Iterator[OpenAI]:
    """The client as its users make it; the key is not looked at."""
    with OpenAI(base_url=f"{service_url}/v1", api_key="unused", max_retries=0) as client:
        yield client


@pytest.fixture
async def async_client(service_url: str) -> AsyncIterator[AsyncOpenAI]:
    """The same for asyncio."""
    async with AsyncOpenAI(base_url=f"{service_url}/v1", api_key="unused", max_retries=0) as client:
        yield client


@pytest.fixture
def model(openai_client: OpenAI) -> str:
    """The name of the served model."""
    (card,) = openai_client.models.list().data
    return card.id


@pytest.fixture
def sim_client(api_service: Service, api_engine: Simulator) -> Iterator[OpenAI]:
    """The client in front of a simulated engine that the test may break."""
    assert api_engine.port
    with OpenAI(base_url=f"{api_service.url}/v1", api_key="unused", max_retries=0) as client:
        yield client
