"""A plain chat that is answered without a task is answered like any other, whatever becomes of it."""

import json
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from tests.api.chats import (
    API,
    AWAITED,
    OPENAI,
    WORDS,
    ask,
    lines,
    logged,
    read_all,
    request,
    service_of,
    shape,
    warm,
)
from tests.simulator.sim_harness import FAST, Simulator, running
from tests.support.service import PLAIN, Service, wait_until


@pytest.mark.parametrize("path", [API, OPENAI])
def test_both_ways_answer_alike(service: Service, path: str) -> None:
    at_once, awaited = ask(service, path), ask(service, path, **AWAITED)
    assert (at_once.status_code, awaited.status_code) == (200, 200)
    assert shape(at_once.text) == shape(awaited.text)
    assert at_once.headers.keys() == awaited.headers.keys()
    for name in ("content-type", "x-content-type-options"):
        assert at_once.headers[name] == awaited.headers[name]
    assert int(at_once.headers["content-length"]) == len(at_once.content)


def test_an_id_of_the_caller_s_is_kept_and_logged(service: Service) -> None:
    assert ask(service, API, **{"X-Request-Id": "candidate-7"}).headers["x-request-id"] == "candidate-7"
    assert len(ask(service, API, **{"X-Request-Id": "no id, as it has blanks"}).headers["x-request-id"]) == 32
    line = logged(service, "candidate-7")
    assert (line["status"], line["task"], line["generations"]) == (200, "chat", 1)
    assert line["tokens_in"] > 0


def test_requests_that_come_together_are_answered_in_their_order(service: Service, engine: Simulator) -> None:
    engine.configure(ttft=0.3)
    asked = [request(API, {"messages": WORDS}, f"X-Request-Id: n{number}") for number in range(3)]
    asked.insert(1, b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-Request-Id: live\r\n\r\n")
    asked.append(request(API, {"messages": []}, "X-Request-Id: refused", "Connection: close"))
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
        connection.sendall(b"".join(asked))
        heads = read_all(connection).lower().split("http/1.1 ")[1:]
    told = [(head[:3], head.split("x-request-id: ")[1].split("\r\n")[0]) for head in heads]
    assert told == [("200", "n0"), ("200", "live"), ("200", "n1"), ("200", "n2"), ("422", "refused")]


def test_a_body_in_pieces_is_one(service: Service) -> None:
    whole = request(API, {"messages": WORDS}, "Connection: close")
    for cut in (len(whole) - 1, len(whole) - 20, whole.index(b"\r\n\r\n") + 4, 30):
        with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
            connection.sendall(whole[:cut])
            assert httpx2.get(f"{service.url}/health/live", verify=PLAIN).status_code == 200  # it has been read by now
            connection.sendall(whole[cut:])
            assert read_all(connection).startswith("HTTP/1.1 200 ")


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1"])
def test_a_connection_is_kept_or_not_as_asked(service: Service, version: str) -> None:
    asked = request(API, {"messages": WORDS}, *(["Connection: close"] if version == "HTTP/1.1" else []))
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
        connection.sendall(asked.replace(b"HTTP/1.1", version.encode(), 1))
        answer = read_all(connection)  # returns when the service closes it
    assert answer.startswith("HTTP/1.1 200 ")
    assert "connection: close" in answer.lower()


def test_a_client_that_leaves_frees_the_engine_and_is_counted(service: Service, engine: Simulator) -> None:
    engine.configure(ttft=30)
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
        connection.sendall(request(API, {"messages": WORDS}, "X-Request-Id: left"))
        engine.wait(running=1)
    engine.wait(running=0)
    line = logged(service, "left")
    assert line["status"] == 499
    engine.configure(ttft=0)
    assert ask(service, API).status_code == 200


def test_a_client_that_leaves_before_its_body_is_whole_is_counted_too(service: Service) -> None:
    whole = request(API, {"messages": WORDS}, "X-Request-Id: half")
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
        connection.sendall(whole[:-5])
        assert httpx2.get(f"{service.url}/health/live", verify=PLAIN).status_code == 200  # it has been read by now
    assert logged(service, "half")["status"] == 499


def test_a_body_byte_by_byte_is_one(service: Service) -> None:
    whole = request(API, {"messages": WORDS}, "Connection: close")
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(whole)):
            connection.sendall(whole[at : at + 1])
        assert read_all(connection).startswith("HTTP/1.1 200 ")


def test_an_answer_that_outlives_the_drain_is_refused_in_words() -> None:
    with running(FAST) as engine, service_of(engine, DRAIN_LIMIT="0.5") as service, ThreadPoolExecutor(1) as pool:
        warm(service)
        engine.configure(ttft=30)
        call = pool.submit(ask, service, API)
        engine.wait(running=1)
        assert service.stop() == 0
        answer = call.result()
        assert (answer.status_code, answer.headers["retry-after"], answer.headers["connection"]) == (503, "1", "close")
        assert "shutting down" in answer.json()["error"]["message"]
        engine.wait(running=0)


def test_a_request_that_is_half_there_when_the_service_ends_is_answered() -> None:
    whole = request(API, {"messages": WORDS})
    with running(FAST) as engine, service_of(engine) as service:
        warm(service)
        with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
            connection.sendall(whole[:-5])
            assert httpx2.get(f"{service.url}/health/live", verify=PLAIN).status_code == 200  # it has been read by now
            service.process.send_signal(signal.SIGTERM)
            wait_until(lambda: service.health_status() is None, 10, "no new connections")
            connection.sendall(whole[-5:])
            answer = read_all(connection)
        assert answer.startswith("HTTP/1.1 200 ")
        assert "connection: close" in answer
        assert service.process.wait(10) == 0


def test_an_answer_within_the_drain_is_whole_and_closes_its_connection() -> None:
    with running(FAST) as engine, service_of(engine) as service, ThreadPoolExecutor(1) as pool:
        warm(service)
        engine.configure(ttft=1)
        call = pool.submit(ask, service, API)
        engine.wait(running=1)
        service.process.send_signal(signal.SIGTERM)
        answer = call.result()
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        assert service.process.wait(10) == 0


@pytest.mark.parametrize(
    ("fault", "asked"),
    [
        ({"kind": "status", "status": 503, "count": 1}, 2),
        ({"kind": "status", "status": 500, "count": 1}, 2),
        ({"kind": "drop", "tokens": 2, "count": 1}, 2),
        ({"kind": "reset", "tokens": 0, "count": 1}, 2),
        ({"kind": "abort", "tokens": 2, "count": 1}, 2),
        ({"kind": "invalid_utf8", "tokens": 1, "count": 1}, 2),
    ],
    ids=["503", "500", "drop", "reset", "abort", "invalid_utf8"],
)
def test_an_engine_that_fails_once_is_asked_again(
    unspent: tuple[Service, Simulator], fault: dict[str, Any], asked: int
) -> None:
    service, engine = unspent
    engine.fault(**fault)
    answer = ask(service, API, **{"X-Request-Id": f"again-{fault['kind']}-{fault.get('status')}"})
    assert answer.status_code == 200, answer.text
    line = logged(service, answer.headers["x-request-id"])
    assert line["generations"] == asked


@pytest.mark.parametrize("kind", ["abort", "invalid_utf8"])
def test_an_engine_that_keeps_failing_is_asked_twice_and_no_more(unspent: tuple[Service, Simulator], kind: str) -> None:
    service, engine = unspent
    engine.fault(kind, tokens=1)
    answer = ask(service, API, **{"X-Request-Id": f"twice-{kind}"})
    assert answer.status_code == 502
    line = logged(service, f"twice-{kind}")
    assert line["generations"] == 2


def test_a_prompt_that_is_too_long_is_refused_once(service: Service, engine: Simulator) -> None:
    before = len(engine.state(last=50)["requests"])
    body = {"messages": [{"role": "user", "content": "가나다라 " * 4000}]}
    answer = httpx2.post(f"{service.url}{API}", json=body, timeout=60, verify=PLAIN)
    assert answer.status_code == 400
    assert "MAX_MODEL_LEN" in answer.json()["error"]["message"]
    assert len(engine.state(last=50)["requests"]) - before <= 1


@pytest.mark.parametrize("way", [{}, AWAITED], ids=["at once", "awaited"])
def test_a_reader_that_is_slow_gets_a_long_answer_whole(way: dict[str, str]) -> None:
    roomy = {**FAST, "context_length": 100_000}
    with running(roomy) as engine, service_of(engine, MAX_MODEL_LEN="100000") as service:
        warm(service)
        engine.script("긴 이야기입니다. " * 40_000)
        asked = request(API, {"messages": WORDS, "max_tokens": 90_000}, "Connection: close", *lines(way))
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(("127.0.0.1", service.port))
            connection.sendall(asked)
            head, _, body = read_all(connection, 4096).partition("\r\n\r\n")
        assert f"content-length: {len(body.encode())}\r\n" in head + "\r\n"
        assert len(json.loads(body)["content"]) > 100_000
        assert "Error" not in service.text()


def test_a_deadline_ends_it(service: Service, engine: Simulator) -> None:
    engine.fault("hang")
    answer = ask(service, API, **{"X-Request-Timeout": "1"})
    assert answer.status_code == 504
    assert "X-Request-Timeout" in answer.json()["error"]["message"]
    engine.wait(running=0)
