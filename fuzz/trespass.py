"""Line 2: Host, path, method, header and key mutations on protected routes; none opens anything.

Over real sockets and the real server, because what a path or a Host means is decided there. What counts is what came
of it: a generation at the engine, or a body that no public route gives.
"""

import asyncio
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from app.core.api_keys import make_key
from app.core.key_store import write_keys
from chaos.stage import stage
from chaos.verdict import Verdict
from fuzz.bodies import CHAT, MODEL, OPENAI, TASKS, good_body

_WORKERS = 16
_OK = 200
_PROTECTED = (*TASKS, CHAT, OPENAI, "/v1/models", f"/v1/models/{MODEL}")
_PUBLIC_MARKS = (b'"service":"llm-service"', b'{"status":"alive"}', b"<!DOCTYPE html>", b'"openapi":"3.')
_METHODS = ("POST",) * 6 + (
    "GET",
    "GET",
    "HEAD",
    "OPTIONS",
    "PUT",
    "PATCH",
    "DELETE",
    "TRACE",
    "CONNECT",
    "post",
    "POSTX",
)
_HOSTS = (
    *("127.0.0.1", "localhost", "localhost/health", "localhost/#@x", "127.0.0.1:8000/health?", "x@localhost", ""),
    *("[::1]", "127.0.0.1\t", "a" * 300, "localhost/docs/..", "localhost:99999", "%2f", "evil.example", "0", "::"),
)
_EXTRA = (
    *("X-Forwarded-For: 127.0.0.1", "X-Forwarded-Host: localhost", "X-Original-URL: /health", "X-Rewrite-URL: /docs"),
    *("X-HTTP-Method-Override: GET", "X-Forwarded-Prefix: /health", "Forwarded: for=127.0.0.1;host=localhost"),
    *("X-Real-IP: 127.0.0.1", "X-Forwarded-User: admin", "X-Auth-Request-User: admin", "Cookie: api_key=x; session=x"),
    *("Upgrade: websocket", "Connection: X-API-Key", "Transfer-Encoding: identity", "X-Remote-User: root"),
    *("Access-Control-Request-Method: POST", "Origin: null", "Proxy-Authorization: Bearer x", "X-Api_Key: x"),
)


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys that must not open what is tried: ended, of another scope, of nobody."""

    useless: tuple[str, ...]
    live: str  # opens metrics only
    hash: str


@dataclass(slots=True)
class _Found:
    statuses: Counter[int] = field(default_factory=Counter[int])
    bypasses: list[str] = field(default_factory=list[str])


def make_keys(path: Path) -> Keys:
    """A file of keys none of which opens tasks or chat."""
    past = "2020-01-01T00:00:00Z"
    made = {
        "revoked": make_key("revoked", ["tasks", "chat"], revoked=past),
        "expired": make_key("expired", ["tasks", "chat"], expires=past),
        "other": make_key("other", ["metrics"]),
    }
    write_keys(path, [record for _, record in made.values()])
    stranger = make_key("stranger", ["tasks", "chat"])[0]
    keys = {name: key for name, (key, _) in made.items()}
    return Keys((keys["revoked"], keys["expired"], stranger), keys["other"], made["other"][1].hash)


def attempt(seed: int, number: int, keys: Keys) -> bytes:
    """Attempt ``number``, as bytes on the wire."""
    random = Random(f"{seed}/{number}")
    path = random.choice(_PROTECTED)
    body = json.dumps(good_body(path, "답"), ensure_ascii=False).encode()
    method = random.choice(_METHODS) if random.random() < 0.5 else ("GET" if "models" in path else "POST")  # noqa: PLR2004
    headers = [f"Host: {random.choice(_HOSTS)}" if random.random() < 0.6 else "Host: 127.0.0.1"]  # noqa: PLR2004
    headers += random.sample(_EXTRA, random.randint(0, 3))
    headers += _credentials(random, keys)
    random.shuffle(headers)
    sent = b"" if method in {"GET", "HEAD"} else body
    headers += ["Content-Type: application/json", f"Content-Length: {len(sent)}", "Connection: close"]
    if random.random() < 0.03:  # noqa: PLR2004
        headers.append(random.choice(headers[:-2]))
    version = random.choice(("HTTP/1.1",) * 20 + ("HTTP/1.0", "HTTP/2.0", "HTTP/0.9"))
    lines = [f"{method} {_path(random, path)} {version}", *headers]
    return "\r\n".join(lines).encode("utf-8", "replace") + b"\r\n\r\n" + sent


_INSIDE = ("/", "//", "/./", "/../", "%2f", "%2e%2e/", ";", "\\", "%00", "%0d%0a", "a", "%", "é", "\t", "~")
_BEFORE = (
    *("/health/..", "/docs/..", "/health/live/../..", "/static/../..", "/health;", "//health/..", "/health?", "/"),
    *("http://localhost", "http://localhost/health?", "//localhost", "https://x@y", "http:/", "/health#"),
)
_AFTER = ("/", "?", "#", "?a=/health", "#/health", "%20", "/.", ";a=b", ".json", "?api_key=x", "?x=/health/live", "/..")
_SLASHES = ("//", "\\", "%2F", "%252f", "/%2e/", "\u2215", "/")


def _path(random: Random, path: str) -> str:
    """``path`` as it is, or one that a careless check could take for another."""
    at = random.randrange(len(path) + 1)
    ways: tuple[Callable[[], str], ...] = (
        lambda: path,
        lambda: path,
        lambda: path[:at] + random.choice(_INSIDE) + path[at:],
        lambda: random.choice(_BEFORE) + path,
        lambda: path + random.choice(_AFTER),
        lambda: random.choice((path.upper(), path.title(), path.swapcase())),
        lambda: "".join(f"%{ord(char):02x}" if random.randrange(3) == 0 else char for char in path),
        lambda: path.replace("/", random.choice(_SLASHES)),
        lambda: path[:at] + random.choice("aA%~ ") + path[at + 1 :],
        lambda: path[:at],
        lambda: "/" + path.lstrip("/") * random.randint(1, 2),
    )
    return random.choice(ways)()


def _credentials(random: Random, keys: Keys) -> list[str]:
    key = random.choice((*keys.useless, keys.live))
    at = random.randrange(len(key))
    forged = (
        *(key, key.upper(), key[:at], key[:at] + "0" + key[at + 1 :], key[:-8] + "00000000", key + key, keys.hash, ""),
        *("null", "undefined", "true", "*", "llms_", "' OR '1'='1", "{}", "admin", f"llms_{key[5:17]}_{keys.hash}"),
        *("../../etc/passwd", "\x7f", "é", key + "\x00", "a" * 5000, f"{key},{key}", f"{key} {key}", key[5:17]),
    )
    chosen = random.choice(forged)
    shapes = (
        f"Authorization: Bearer {chosen}",
        f"Authorization: bearer {chosen}",
        f"Authorization: {chosen}",
        f"Authorization: Basic {chosen}",
        f"Authorization: Bearer  {chosen}",
        f"X-API-Key: {chosen}",
        f"x-api-key: {chosen}",
        f"API-Key: {chosen}",
    )
    return random.sample(shapes, random.choice((0, 1, 1, 1, 2)))


async def trespass(seed: int, first: int, count: int) -> Verdict:
    """``count`` attempts from number ``first`` on."""
    verdict, found = Verdict(), _Found()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        path = Path(folder) / "keys.json"
        keys = make_keys(path)
        settings = {"API_KEYS_FILE": path, "MODEL_NAME": MODEL, "LOG_LEVEL": "ERROR"}
        async with stage({"slots": 16, "ttft": 0, "tps": 0}, settings) as (engine, service):
            before = (await engine.state())["total"]
            numbers = iter(range(first, first + count))
            started = time.monotonic()

            async def work() -> None:
                for number in numbers:
                    wire = attempt(seed, number, keys)
                    answer = await _exchange(service.port, wire)
                    _judge(found, number, wire, answer)
                    if number % 10_000 == 0:
                        print(f"trespass: {number} ...", flush=True)

            await asyncio.gather(*(work() for _ in range(_WORKERS)))
            seconds = time.monotonic() - started
            generations = (await engine.state())["total"] - before
    verdict.note("attempts", f"{sum(found.statuses.values())}, {count / seconds:.0f}/s")
    verdict.note("statuses (0: cut)", ", ".join(f"{status}: {n}" for status, n in sorted(found.statuses.items())))
    verdict.none("bypasses", found.bypasses)
    verdict.at_most("generations at the engine", generations, 0)
    return verdict


def _judge(found: _Found, number: int, wire: bytes, answer: bytes) -> None:
    head, _, body = answer.partition(b"\r\n\r\n")
    with suppress(IndexError, ValueError):
        status = int(head.split(b" ", 2)[1])
        found.statuses[status] += 1
        if 200 <= status < 300 and body and not any(mark in body for mark in _PUBLIC_MARKS):  # noqa: PLR2004
            found.bypasses.append(f"number {number}: {wire[:200]!r} -> {status} {body[:100]!r}")
        return
    found.statuses[0] += 1


async def _exchange(port: int, wire: bytes) -> bytes:
    with suppress(OSError, TimeoutError):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            async with asyncio.timeout(10):
                writer.write(wire)
                return await reader.read(1 << 20)
        finally:
            writer.close()
    return b""
