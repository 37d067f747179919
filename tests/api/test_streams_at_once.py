"""A chat's stream that flows without a task is told like any other, whatever becomes of it."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.api.chats import (
    API,
    AWAITED,
    OPENAI,
    WORDS,
    ask_stream,
    lines,
    logged,
    post,
    question,
    read_all,
    request,
    service_of,
    shape,
    warm,
)
from tests.simulator.sim_harness import FAST, Simulator, running
from tests.support.service import Service

WAYS: dict[str, dict[str, str]] = {"at once": {}, "awaited": AWAITED}

paths = pytest.mark.parametrize("path", [API, OPENAI])
ways = pytest.mark.parametrize("way", WAYS)


def events_of(text: str) -> list[str]:
    return [event for event in text.split("\n\n") if event]


def told(text: str) -> str:
    """The text of a stream of ``API``, by its pieces; its last event says the same."""
    *deltas, result = [json.loads(event.split("data: ")[1]) for event in events_of(text)]
    whole = "".join(delta["content"] for delta in deltas)
    assert result["content"] == whole
    return whole


@paths
def test_both_ways_tell_the_same(service: Service, engine: Simulator, path: str) -> None:
    said = 'Er sagte "네" und ging \\ weg.\n감사합니다. 🙂'
    engine.script(said, said)
    at_once, awaited = ask_stream(service, path), ask_stream(service, path, **AWAITED)
    assert (at_once.status_code, awaited.status_code) == (200, 200)
    assert [shape(event) for event in events_of(at_once.text)] == [shape(event) for event in events_of(awaited.text)]
    assert at_once.headers.keys() == awaited.headers.keys()
    for name in ("content-type", "cache-control", "x-accel-buffering", "x-content-type-options", "transfer-encoding"):
        assert at_once.headers[name] == awaited.headers[name]
    if path == API:
        assert told(at_once.text) == told(awaited.text) == said


@ways
def test_usage_comes_with_an_openai_stream_only_if_asked_for(service: Service, way: str) -> None:
    for include_usage in (True, False):
        body = question(service, OPENAI, stream=True, stream_options={"include_usage": include_usage})
        *_, last, done = events_of(post(service, OPENAI, body, **WAYS[way]).text)
        assert done == "data: [DONE]"
        assert ('"usage":{' in last) == include_usage


@ways
@pytest.mark.parametrize("fault", ["error_event", "silent_end", "drop", "reset", "abort", "invalid_utf8"])
def test_one_that_breaks_ends_with_one_event_that_says_so(
    service: Service, engine: Simulator, way: str, fault: str
) -> None:
    engine.fault(fault, tokens=3, count=1)
    answer = ask_stream(service, API, **WAYS[way], **{"X-Request-Id": f"broke-{fault}-{way[:2]}"})
    *deltas, last = events_of(answer.text)
    assert len(deltas) >= 3
    assert all(event.startswith("event: delta\n") for event in deltas)
    assert last.startswith("event: error\n")
    assert '"type":"engine_failure"' in last
    line = logged(service, answer.headers["x-request-id"])
    assert (line["status"], line["error"], line["generations"]) == (200, "engine_failure", 1)
    assert service.post(API, {"messages": WORDS}).status_code == 200


@ways
def test_one_whose_time_is_up_says_so_and_frees_the_engine(service: Service, engine: Simulator, way: str) -> None:
    engine.fault("stall", tokens=3)
    answer = ask_stream(service, API, **WAYS[way], **{"X-Request-Timeout": "1"})
    *deltas, last = events_of(answer.text)
    assert deltas
    assert "X-Request-Timeout" in last
    engine.wait(running=0)


@ways
def test_an_engine_that_falls_silent_is_left(way: str) -> None:
    with running(FAST) as engine, service_of(engine, STALL_TIMEOUT="1") as service:
        warm(service)
        engine.fault("stall", tokens=3)
        *deltas, last = events_of(ask_stream(service, API, **WAYS[way]).text)
        assert deltas
        assert "silent" in last
        engine.wait(running=0)


@ways
def test_a_client_that_leaves_frees_the_engine_and_is_counted(service: Service, engine: Simulator, way: str) -> None:
    engine.fault("stall", tokens=3)
    name = f"left-{way[:2]}"
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
        connection.sendall(
            request(API, question(service, API, stream=True), f"X-Request-Id: {name}", *lines(WAYS[way]))
        )
        said = b""
        while b"event: delta" not in said:
            said += connection.recv(65536)
        engine.wait(running=1)
    engine.wait(running=0)
    line = logged(service, name)
    assert line["status"] == 200
    assert "error" not in line
    assert line["ttft"] > 0


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 503},
        {"kind": "drop", "tokens": 0},
        {"kind": "reset", "tokens": 0},
        {"kind": "error_event", "tokens": 0},
        {"kind": "abort", "tokens": 0},
    ],
    ids=lambda fault: fault["kind"],
)
@ways
def test_an_engine_that_fails_before_its_first_word_is_asked_again(
    unspent: tuple[Service, Simulator], way: str, fault: dict[str, Any]
) -> None:
    service, engine = unspent
    engine.fault(**fault, count=1)
    answer = ask_stream(service, API, **WAYS[way])
    assert answer.status_code == 200, answer.text
    assert told(answer.text)
    line = logged(service, answer.headers["x-request-id"])
    lost = fault["kind"] in {"drop", "reset"}  # an idle connection that turns out closed is replaced: one generation
    assert line["generations"] in ({1, 2} if lost else {2})


def test_more_streams_than_connections_are_all_told(service: Service) -> None:
    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(ask_stream, [service] * 24, [API] * 24))
    assert all(told(answer.text) for answer in answers)


def test_streams_that_are_asked_for_together_come_in_their_order(service: Service) -> None:
    asked = [
        request(API, {"messages": WORDS, "stream": number != 1}, f"X-Request-Id: s{number}", *last)
        for number, last in enumerate([[], [], ["Connection: close"]])
    ]
    with socket.create_connection(("127.0.0.1", service.port), timeout=20) as connection:
        connection.sendall(b"".join(asked))
        heads = read_all(connection).lower().split("http/1.1 ")[1:]
    assert [(head[:3], head.split("x-request-id: ")[1].split("\r\n")[0]) for head in heads] == [
        ("200", "s0"),
        ("200", "s1"),
        ("200", "s2"),
    ]
    assert ["0\r\n\r\n" in head for head in heads] == [True, False, True]


@ways
def test_a_reader_that_is_slower_than_the_engine_gets_it_all(service: Service, engine: Simulator, way: str) -> None:
    said = "긴 이야기입니다. " * 8000
    engine.script(said)
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", service.port))
        asked = {"messages": WORDS, "stream": True, "max_tokens": 7000}
        connection.sendall(request(API, asked, "Connection: close", *lines(WAYS[way])))
        raw = bytearray()
        while part := connection.recv(512):
            raw += part
    head, _, body = bytes(raw).partition(b"\r\n\r\n")
    assert b"transfer-encoding: chunked" in head.lower()
    whole = told(unchunked(body).decode())
    assert len(whole) > 10_000
    assert said.startswith(whole)


def unchunked(body: bytes) -> bytes:
    """A body that came in chunks, up to its last one."""
    whole = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        length = int(size, 16)
        whole, body = whole + rest[:length], rest[length + 2 :]
        if not length:
            return whole
    raise AssertionError("the last chunk is missing")
