"""The engines that the contract is run on, each as a real server on loopback."""

import subprocess
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import psutil

from app.engines.profiles import EMBEDDED, SGLANG, EngineProfile
from simulator.ports import free_port
from tests.simulator.sim_harness import FAST, running
from tests.support.service import PLAIN, ROOT, Service

KEY = "contract-key"
SLOTS = 4
QUEUE = 8
CONTEXT = 8192


@dataclass(frozen=True, slots=True)
class EngineUnderTest:
    """One running engine.

    Attributes:
        name: As given to ``--engines``.
        port: On loopback.
        api_key: What it asks for.
        profile: Its dialect.
        busy: How many requests it is working on now, by its own count.
    """

    name: str
    port: int
    api_key: str
    profile: EngineProfile
    busy: Callable[[], int]


@contextmanager
def _simulator() -> Generator[EngineUnderTest, None, None]:
    settings = FAST | {"api_key": KEY, "tps": 60.0, "slots": SLOTS, "max_queued": QUEUE, "context_length": CONTEXT}
    with running(settings) as simulator:
        yield EngineUnderTest("simulator", simulator.port, KEY, SGLANG, _running(simulator.port))


@contextmanager
def _embedded() -> Generator[EngineUnderTest, None, None]:
    with Service("--embedded", environment={"EMBEDDED_MODEL": "smollm2-135m"}) as service:
        service.wait_healthy()
        engine = service.engine()
        (port,) = {c.laddr.port for c in engine.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
        key = engine.environ()["ENGINE_API_KEY"]

        def busy() -> int:
            return sum(slot["is_processing"] for slot in service.engine_slots())

        yield EngineUnderTest("embedded", port, key, EMBEDDED, busy)


@contextmanager
def _sglang() -> Generator[EngineUnderTest, None, None]:
    port = free_port()
    flags = ["--max-running-requests", str(SLOTS), "--max-queued-requests", str(QUEUE)]
    command = [sys.executable, "deploy/sglang-cpu/serve.py", "--port", str(port), "--api-key", KEY, "--", *flags]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline()  # printed when it has answered a first generation
            assert "ready" in line, f"SGLang did not start: {line!r}"
            yield EngineUnderTest("sglang", port, KEY, SGLANG, _running(port))
        finally:
            server.terminate()
            server.wait(60)


def _running(port: int) -> Callable[[], int]:
    def busy() -> int:
        headers = {"Authorization": f"Bearer {KEY}"}
        answer = httpx2.get(f"http://127.0.0.1:{port}/v1/loads", headers=headers, timeout=30, verify=PLAIN)
        loads: list[dict[str, Any]] = answer.raise_for_status().json()["loads"]
        return sum(load["num_running_reqs"] + load["num_waiting_reqs"] for load in loads)

    return busy


ENGINES: Mapping[str, Callable[[], AbstractContextManager[EngineUnderTest]]] = {
    "simulator": _simulator,
    "embedded": _embedded,
    "sglang": _sglang,
}
