"""Chats by both ways in which they are answered: at once, and by a task that waits (``app/api/at_once.py``)."""

import json
import re
import socket
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2

from tests.simulator.sim_harness import FAST, Simulator
from tests.support.service import PLAIN, Service, wait_until

API, OPENAI = "/api/chat/completions", "/v1/chat/completions"
WORDS = [{"role": "user", "content": "인사해 주세요."}]
AWAITED = {"Origin": "http://page.test"}
"""Requests from a page of another origin, like all that is unusual, are answered by a task."""


def service_of(engine: Simulator, **settings: str) -> Service:
    where = {"SGLANG_HOST": "127.0.0.1", "SGLANG_PORT": str(engine.port), "MAX_MODEL_LEN": str(FAST["context_length"])}
    return Service(environment={**where, **settings})


def warm(service: Service) -> Service:
    """Have two connections opened to the engine: one may be taken by a look at its health."""
    service.wait_healthy()
    with ThreadPoolExecutor(2) as pool:
        assert all(answer.status_code == 200 for answer in pool.map(ask, [service] * 2, [API] * 2))
    return service


def question(service: Service, path: str, **more: Any) -> dict[str, Any]:
    body = {"messages": WORDS, "max_tokens": 40, **more}
    if path == OPENAI:
        body["model"] = httpx2.get(f"{service.url}/v1/models", verify=PLAIN).json()["data"][0]["id"]
    return body


def ask(service: Service, path: str, **headers: str) -> httpx2.Response:
    return post(service, path, question(service, path), **headers)


def ask_stream(service: Service, path: str, **headers: str) -> httpx2.Response:
    """The whole of a stream."""
    return post(service, path, question(service, path, stream=True), **headers)


def post(service: Service, path: str, body: Any, **headers: str) -> httpx2.Response:
    return httpx2.post(f"{service.url}{path}", json=body, headers=headers, timeout=60, verify=PLAIN)


def logged(service: Service, request_id: str) -> dict[str, Any]:
    """The request's line in the access log."""
    wait_until(lambda: f'"id":"{request_id}"' in service.text(), 5, "a line of the access log")
    (line,) = [json.loads(line) for line in service.text().splitlines() if f'"id":"{request_id}"' in line]
    return line


def request(path: str, body: Any, *headers: str) -> bytes:
    raw = json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1", "Host: x", "Content-Type: application/json", f"Content-Length: {len(raw)}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + raw


def shape(text: str) -> str:
    """JSON without its texts and numbers, but for the names of fields."""
    return re.sub(r'(?<=:)"(?:[^"\\]|\\.)*"|\d+', "_", text)


def lines(headers: Mapping[str, str]) -> list[str]:
    """``headers`` for ``request``."""
    return [f"{name}: {value}" for name, value in headers.items()]


def read_all(connection: socket.socket, most: int = 65536) -> str:
    """What comes until the other end closes; ``most``: bytes at a time."""
    parts: list[bytes] = []
    while part := connection.recv(most):
        parts.append(part)
    return b"".join(parts).decode()
