"""What a log looks like: objects for machines, words for a person at a terminal."""

import json
import os
import select
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import httpx2

from simulator.ports import free_port
from tests.simulator.sim_harness import FAST, Simulator
from tests.support.service import LLM_SERVICE, Service, clean_environment, wait_until
from tests.telemetry.watched import CHAT, HELLO, Figures, access_line, lines_of


def test_every_line_in_production_is_one_object_with_the_same_four_fields(service: Service, engine: Simulator) -> None:
    engine.fault("status", status=500, count=1)
    service.post(CHAT, HELLO, X_Request_Id="in-production")
    wait_until(lambda: "in-production" in service.text(), 5, "the line")
    logged = [line for line in service.text().splitlines() if '"event"' in line]
    assert all({"event", "logger", "level", "timestamp"} <= set(json.loads(line)) for line in logged)
    assert {line["timestamp"][-1] for line in lines_of(service)} == {"Z"}
    assert len({line["logger"] for line in lines_of(service)}) > 2


def test_each_of_many_requests_has_one_line_with_the_time_of_its_end_and_is_counted(
    service: Service,
) -> None:
    def ask(name: str) -> int:
        return service.post(CHAT, HELLO, X_Request_Id=name).status_code

    names = [f"one-of-many-{number}" for number in range(150)]
    counted = Figures(service).value("llm_service_requests_total", route=CHAT)
    begun = datetime.now(UTC)
    with ThreadPoolExecutor(8) as clients:
        assert set(clients.map(ask, names)) == {200}
    assert Figures(service).value("llm_service_requests_total", route=CHAT) == counted + len(names)
    ended = datetime.now(UTC)  # an answer has arrived before its request is over
    lines = [access_line(service, name) for name in names]
    assert all(begun <= datetime.fromisoformat(line["timestamp"]) <= ended for line in lines)


def test_a_terminal_gets_words(engine: Simulator) -> None:
    controller, terminal = os.openpty()
    port = free_port()
    environment = clean_environment(
        APP_HOST="127.0.0.1",
        APP_PORT=str(port),
        SGLANG_HOST="127.0.0.1",
        SGLANG_PORT=str(engine.port),
        MAX_MODEL_LEN=str(FAST["context_length"]),
    )
    process = subprocess.Popen([str(LLM_SERVICE), "serve"], env=environment, stdout=terminal, stderr=terminal)
    os.close(terminal)
    try:
        said = _until(controller, "is ready")
        headers = {"X-Request-Id": "at-a-terminal"}
        httpx2.post(f"http://127.0.0.1:{port}{CHAT}", json=HELLO | {"stream": True}, headers=headers).raise_for_status()
        said += _until(controller, "id at-a-terminal")
    finally:
        process.terminate()
        process.wait(20)
        os.close(controller)
    (line,) = [line for line in said.splitlines() if "at-a-terminal" in line]
    assert f" 200 {CHAT}" in line
    assert "ttft" in line
    assert not any(line.startswith("{") for line in said.splitlines())


def _until(terminal: int, mark: str) -> str:
    """What is written up to the line that holds ``mark``."""
    said, until = b"", time.monotonic() + 60
    while mark.encode() not in said and time.monotonic() < until:
        if select.select([terminal], [], [], 0.5)[0]:
            said += os.read(terminal, 65536)
    return said.decode()
