"""One engine and one watched service for all tests that change neither."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulator.sim_harness import FAST, Simulator, running
from tests.support.collector import Collector
from tests.support.service import Service
from tests.telemetry.watched import service_of


@pytest.fixture(scope="session")
def shared_engine() -> Iterator[Simulator]:
    with running(FAST) as simulator:
        yield simulator


@pytest.fixture
def engine(shared_engine: Simulator) -> Simulator:
    """A simulated engine with nothing left over from another test."""
    shared_engine.client.post("/_sim/reset").raise_for_status()
    shared_engine.configure(**FAST)
    return shared_engine


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    with Collector() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def audit_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audit")


@pytest.fixture(scope="session")
def service(shared_engine: Simulator, collector: Collector, audit_folder: Path) -> Iterator[Service]:
    """Everything on."""
    settings = {
        "AUDIT_LOG": str(audit_folder / "decisions.jsonl"),
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }
    with service_of(shared_engine, **settings) as started:
        yield started
