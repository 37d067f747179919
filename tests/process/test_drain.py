"""How the service ends while it has work, and what it does with clients that are slow."""

import json
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from tests.simulator.sim_harness import FAST, Simulator, running
from tests.support.service import Service, wait_until

CHAT = "/api/chat/completions"
HELLO: dict[str, Any] = {"messages": [{"role": "user", "content": "인사해 주세요."}]}


@pytest.fixture
def engine() -> Iterator[Simulator]:
    """An engine for one service."""
    with running(FAST) as simulator:
        yield simulator


def service_of(engine: Simulator, **settings: str) -> Service:
    return Service(
        environment={
            "SGLANG_HOST": "127.0.0.1",
            "SGLANG_PORT": str(engine.port),
            "MAX_MODEL_LEN": str(FAST["context_length"]),
            **settings,
        }
    )


def test_a_draining_service_says_so_and_still_answers(engine: Simulator) -> None:
    with service_of(engine, DRAIN_DELAY="3") as service:
        service.wait_healthy()
        service.process.send_signal(signal.SIGTERM)
        wait_until(lambda: service.health_status() == 503, 2, "readiness red")
        assert "shutting down" in service.health()["reason"]
        assert httpx2.get(f"{service.url}/health/live").status_code == 200
        answer = service.post(CHAT, HELLO)
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        assert service.process.wait(10) == 0


def test_the_date_of_an_answer_follows_the_clock(engine: Simulator) -> None:
    with service_of(engine) as service:
        service.wait_healthy()
        first = httpx2.get(f"{service.url}/health/live").headers["date"]
        wait_until(lambda: httpx2.get(f"{service.url}/health/live").headers["date"] != first, 5, "another second")


def test_what_runs_is_finished(engine: Simulator) -> None:
    with service_of(engine) as service, ThreadPoolExecutor(2) as pool:
        service.wait_healthy()
        engine.configure(ttft=2)
        calls = [pool.submit(service.post, f"/api/feedback?stream={stream}", _prompt()) for stream in ("false", "true")]
        engine.wait(running=2)
        assert service.stop() == 0
        plain, stream = (call.result() for call in calls)
        assert plain.status_code == 200
        assert stream.text.count("event: result") == 1


@pytest.mark.parametrize("path", [CHAT, "/v1/chat/completions"])
def test_a_stream_that_outlives_the_drain_ends_with_one_error(engine: Simulator, path: str) -> None:
    with service_of(engine, DRAIN_LIMIT="0.5") as service, ThreadPoolExecutor(1) as pool:
        service.wait_healthy()
        engine.fault("stall", tokens=3)
        body = HELLO | {"stream": True, "model": service.health()["model"]}
        call = pool.submit(service.post, path, body)
        engine.wait(running=1)
        time.sleep(0.5)  # for the first three tokens
        assert service.stop() == 0
        text = call.result().text
        assert text.count("shutting down") == 1
        assert text.rstrip().splitlines()[-1].startswith('data: {"error"')
        assert "[DONE]" not in text


def test_a_second_signal_ends_at_once(engine: Simulator) -> None:
    with service_of(engine, DRAIN_DELAY="60", DRAIN_LIMIT="60") as service:
        service.wait_healthy()
        service.process.send_signal(signal.SIGTERM)
        wait_until(lambda: service.health_status() == 503, 2, "readiness red")
        started = time.monotonic()
        service.stop(signal.SIGINT)
        assert time.monotonic() - started < 5


def _prompt() -> Any:
    return {"system_prompt": "평가하세요.", "user_prompt": "답변: 모릅니다."}


def _closed_after(client: socket.socket, limit: float) -> tuple[float, bytes]:
    """Seconds until the service closed the connection, and what it said."""
    client.settimeout(limit)
    started = time.monotonic()
    said = b""
    try:
        while piece := client.recv(65536):
            said += piece
    except ConnectionResetError:
        pass
    return time.monotonic() - started, said


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST /api/feedback HTTP/1.1\r\nhost: x\r\n",
        b"POST /api/feedback HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{",
    ],
    ids=["nothing", "half a header", "half a body"],
)
def test_a_client_that_does_not_finish_its_request_is_cut_off(engine: Simulator, sent: bytes) -> None:
    with service_of(engine, RECEIVE_TIMEOUT="1") as service:
        service.wait_healthy()
        with socket.create_connection(("127.0.0.1", service.port)) as client:
            client.sendall(sent)
            seconds, said = _closed_after(client, 10)
        assert 0.5 < seconds < 5
        assert said.startswith(b"HTTP/1.1 408")
        assert service.post(CHAT, HELLO).status_code == 200


def test_a_client_that_does_not_read_its_answer_is_cut_off_and_its_generation_ends(engine: Simulator) -> None:
    with service_of(engine, SEND_TIMEOUT="1") as service:
        service.wait_healthy()
        engine.script("긴 이야기입니다. " * 200_000)
        body = json.dumps(HELLO | {"stream": True, "max_tokens": 7000}).encode()
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", service.port))
            client.sendall(
                f"POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
                f"content-length: {len(body)}\r\n\r\n".encode()
                + body
            )
            wait_until(lambda: "reads nothing" in service.text(), 20, "the client cut off")
            wait_until(lambda: engine.state()["running"] == 0, 5, "the engine free")


def test_one_connection_too_many_is_closed_at_once(engine: Simulator) -> None:
    with service_of(engine, MAX_CONNECTIONS="3") as service:
        service.wait_healthy()
        time.sleep(0.2)  # the connection of the last look at its health is gone
        held = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(3)]
        with socket.create_connection(("127.0.0.1", service.port)) as client:
            seconds, said = _closed_after(client, 5)
        assert (said, seconds < 2) == (b"", True)
        for client in held:
            client.close()
        wait_until(lambda: service.health_status() == 200, 5, "room again")
