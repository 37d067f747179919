"""Running services that tests share."""

from collections.abc import Iterator

import pytest

from tests.support.service import Service


@pytest.fixture(scope="session")
def korean_service() -> Iterator[Service]:
    """The service on the default embedded model: real Korean answers, seconds each."""
    with Service("--embedded", environment={"LANGUAGE": "auto"}) as service:
        yield service.wait_healthy()


@pytest.fixture(scope="session")
def small_service() -> Iterator[Service]:
    """The service on the smallest model: for everything but the quality of answers."""
    with Service("--embedded", environment={"EMBEDDED_MODEL": "smollm2-135m", "LANGUAGE": "auto"}) as service:
        yield service.wait_healthy()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Which engines the contract in tests/contract is run on."""
    parser.addoption("--engines", default="simulator,embedded", help="of simulator, embedded, sglang; by commas")
