"""Runs the contract on each engine of ``--engines``, and keeps what each case gave."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.core.admission import Admission
from app.core.http_pool import HttpPool
from app.core.llm_engine import LLMEngine
from app.core.retry import RetryPolicy
from app.engines.base import RemoteHost
from tests.contract.engines import CONTEXT, ENGINES, EngineUnderTest
from tests.support.service import ROOT

RESULTS = ROOT / ".cache" / "contract"


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def tested(request: pytest.FixtureRequest) -> Iterator[EngineUnderTest]:
    """The engine under test."""
    with ENGINES[request.param]() as engine:
        yield engine


@pytest.fixture
async def engine(tested: EngineUnderTest) -> AsyncIterator[LLMEngine]:
    """Our client of it."""
    async with connected(tested, tested.api_key) as client:
        yield client


class connected:  # noqa: N801  used like a function
    """A client of an engine, ready to admit."""

    def __init__(self, tested: EngineUnderTest, api_key: str) -> None:
        self._pool = HttpPool()
        self._engine = LLMEngine(
            host=RemoteHost("127.0.0.1", tested.port),
            profile=replace(tested.profile, load_path=None),  # the engine's own queue is on trial, not ours
            model="contract",
            context=CONTEXT,
            api_key=api_key,
            admission=Admission(64, 0),
            pool=self._pool,
            retries=RetryPolicy(attempts=1),  # what an engine says, and not what is made of it
        )

    async def __aenter__(self) -> LLMEngine:
        self._monitor = asyncio.create_task(self._engine.monitor.run())
        async with asyncio.timeout(30):
            await self._engine.monitor.wait_ready()
        return self._engine

    async def __aexit__(self, *_: object) -> None:
        self._monitor.cancel()
        await asyncio.gather(self._monitor, return_exceptions=True)
        await self._engine.close()
        self._pool.close()


@pytest.fixture
def record(request: pytest.FixtureRequest, tested: EngineUnderTest) -> Callable[[object], None]:
    """Keeps what a case gave on this engine, for the table in docs/contract.md."""

    def keep(outcome: object) -> None:
        path: Path = RESULTS / f"{tested.name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        results: dict[str, object] = json.loads(path.read_text()) if path.exists() else {}
        results[request.node.originalname] = outcome
        path.write_text(json.dumps(results, ensure_ascii=False, indent=1, sort_keys=True))

    return keep


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One run of each case for each engine."""
    if "tested" in metafunc.fixturenames:
        names = str(metafunc.config.getoption("--engines")).split(",")
        if metafunc.definition.get_closest_marker("scheduling"):
            names = [name for name in names if name != "embedded"]  # llama.cpp has no priorities and no bound
        metafunc.parametrize("tested", names, indirect=True, scope="session")
